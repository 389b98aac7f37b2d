"""The last line of every benchmark: figures and goals as one JSON object."""

import json
from collections.abc import Mapping
from typing import Any


def goal(value: float, at_most: float) -> dict[str, Any]:
    """A figure that should not be above `at_most`."""
    return {"value": round(value, 3), "goal": f"<= {at_most}", "met": value <= at_most}


def at_least(value: float, minimum: float) -> dict[str, Any]:
    """A figure that should not be below `minimum`."""
    return {"value": round(value, 3), "goal": f">= {minimum}", "met": value >= minimum}


def print_report(name: str, figures: Mapping[str, Any], goals: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the goals for people and everything for programs."""
    for label, each in goals.items():
        print(f"{'met   ' if each['met'] else 'MISSED'} {label}: {each['value']} ({each['goal']})")
    print(json.dumps({"benchmark": name, **figures, "goals": dict(goals)}, default=str))

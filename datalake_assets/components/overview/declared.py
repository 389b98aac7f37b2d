"""All declared pipelines of all accounts with what starts them, for whoever looks at the whole."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datalake_assets.components.declarations import AnyDeclaration, read_all
from datalake_assets.components.overview.expectations import Expectations, Timed
from datalake_assets.components.triggering import build_trigger, parent_of
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.errors import ConfigurationError
from datalake_assets.project import LOCATIONS_FOLDER
from datalake_assets.triggers.model import Parent, PipelineTrigger
from datalake_assets.triggers.schedules import TimeOfDay


@dataclass(frozen=True)
class Declared:
    """All declared pipelines and what starts them, read once."""

    pipelines: Mapping[str, AnyDeclaration]
    triggers: Mapping[str, PipelineTrigger]
    expectations: Expectations

    @classmethod
    def read(cls, folder: Path = LOCATIONS_FOLDER) -> "Declared":
        """Read all declarations.

        Raises:
            ConfigurationError: the YAML has mistakes, or a pipeline waits for one that does not exist.
        """
        pipelines = {each.name: each for each in sorted(read_all(folder), key=lambda each: each.name)}
        parents = {name: parent_of(each.location, each.spec) for name, each in pipelines.items()}

        def find(name: str) -> Parent:
            if name not in parents:
                raise ConfigurationError(
                    f"a pipeline waits for {name}, and there is no such pipeline", todo="`datalake validate` says where"
                )
            return parents[name]

        built = {name: build_trigger(each.location, each.spec, find) for name, each in pipelines.items()}
        triggers = {name: trigger for name, trigger in built.items() if trigger is not None}
        timed = {
            name: Timed(parents[name].calendar, triggers.get(name), _opens(each)) for name, each in pipelines.items()
        }
        return cls(pipelines, triggers, Expectations(timed))

    def pipeline(self, name: str) -> AnyDeclaration:
        """The pipeline `location/name`.

        Raises:
            ConfigurationError: there is none; the nearest name is suggested.
        """
        if name in self.pipelines:
            return self.pipelines[name]
        raise _unknown(f"there is no pipeline {name!r}", name, list(self.pipelines))

    def find(self, names: Sequence[str]) -> list[str]:
        """The pipelines of these accounts (location or twelve-digit id) and of these names; all if none is given.

        Raises:
            ConfigurationError: nothing is called so; the nearest name is suggested.
        """
        from datalake_assets.accounts.registry import registry

        if not names:
            return list(self.pipelines)
        locations = {called: account.name for account in registry() for called in (account.name, account.id)}
        found: dict[str, None] = {}
        for name in names:
            if name in self.pipelines:
                found[name] = None
            elif name in locations:
                own = [each for each, declared in self.pipelines.items() if declared.location == locations[name]]
                found.update(dict.fromkeys(own))
            else:
                raise _unknown(f"there is no account or pipeline {name!r}", name, [*sorted(locations), *self.pipelines])
        return list(found)


def _opens(declared: AnyDeclaration) -> TimeOfDay | None:
    """The time of the day at which arrivals are looked at, if the pipeline has one."""
    spec = declared.spec
    if not isinstance(spec, PipelineSpec) or spec.trigger is None or spec.trigger.arrivals.at is None:
        return None
    return spec.trigger.arrivals.at.time_of_day(spec.time_zone)


def _unknown(found: str, wrong: str, known: Sequence[str]) -> ConfigurationError:
    """An error that names what was probably meant, also where the account was left away."""
    by_part = {part: name for name in reversed(known) for part in (name, name.rpartition("/")[2])}
    if near := difflib.get_close_matches(wrong, list(by_part), n=1):
        return ConfigurationError(found, todo=f"Did you mean {by_part[near[0]]}?")
    return ConfigurationError(found, expected=f"one of {', '.join(known)}" if len(known) <= 30 else None)

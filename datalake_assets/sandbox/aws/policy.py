"""What a policy document on a resource says about one request: the part of AWS's evaluation that accounts need.

Supported are Allow and Deny, principals by account or role, actions and resources with wildcards, and conditions on
texts. A statement with a condition that is not known here allows nothing and, if it denies, denies.
"""

import json
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any


def allows(
    document: str | bytes | None,
    *,
    account: str,
    role: str | None,
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
) -> bool:
    """Whether a resource's policy lets somebody in.

    Args:
        document: the policy as JSON; None or empty lets nobody in.
        account: twelve-digit id of who asks.
        role: ARN of the role that asks, None for an account itself.
        action: `s3:GetObject`.
        resource: ARN of what is asked for; "" for a policy without resources, such as a role's trust.
        context: condition keys of the request, `s3:prefix`, and their values.
    """
    if not document:
        return False
    principals = {"*", account, f"arn:aws:iam::{account}:root", *([role] if role else [])}
    allowed = False
    for statement in _list(json.loads(document).get("Statement", [])):
        if not _names(statement.get("Principal", {}), principals):
            continue
        if not _matches(_list(statement.get("Action", [])), action, fold=True):
            continue
        if resource and not _matches(_list(statement.get("Resource", [])), resource):
            continue
        is_denial = statement.get("Effect") == "Deny"
        if not _holds(statement.get("Condition", {}), context or {}, unknown=is_denial):
            continue
        if is_denial:
            return False
        allowed = True
    return allowed


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _names(principal: Any, principals: Collection[str]) -> bool:
    named = principal.get("AWS", []) if isinstance(principal, dict) else principal
    return any(each in principals for each in _list(named))


def _matches(patterns: list[str], text: str, *, fold: bool = False) -> bool:
    if fold:
        patterns, text = [each.lower() for each in patterns], text.lower()
    # AWS knows `*` and `?` only; a bracket is itself.
    return any(fnmatchcase(text, each.replace("[", "[[]")) for each in patterns)


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str], *, unknown: bool) -> bool:
    for operator, keys in conditions.items():
        for key, values in keys.items():
            if operator not in ("StringEquals", "StringLike"):
                return unknown
            wanted = [str(each) for each in _list(values)]
            found = context.get(key)
            is_met = found is not None and (found in wanted if operator == "StringEquals" else _matches(wanted, found))
            if not is_met:
                return False
    return True

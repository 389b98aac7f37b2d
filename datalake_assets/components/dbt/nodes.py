"""The nodes of a dbt manifest: their asset keys, and the SQL of a model without running dbt.

It imports neither dbt nor Dagster's library for it, so that a command that only reads the manifest stays fast.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from datalake_assets.errors import Unsupported
from datalake_assets.names import identifier

BUILT_RESOURCES = ("model", "seed", "snapshot")
# Whose folder declares the models; a test holds it together with the definitions.
DBT_LOCATION = "analytics"
_MACRO = re.compile(r"\s*\{%-?\s*macro\b")


def node_key(location: str, node: Mapping[str, Any]) -> list[str]:
    """The asset key of a model, `[location, schema, model]`, or that of the asset that a source stands for."""
    declared: list[str] | None = dagster_meta(node).get("asset_key")
    return declared or [identifier(location, what="location"), node["schema"], relation_name(node)]


def dagster_meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the project says about a node for Dagster."""
    meta = {**node.get("meta", {}), **node.get("config", {}).get("meta", {})}
    found: Mapping[str, Any] = meta.get("dagster", {})
    return found


def relation_name(node: Mapping[str, Any]) -> str:
    """The name of the node's table or view within its schema."""
    return str(node.get("alias") or node.get("identifier") or node["name"])


def built_nodes(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The nodes that become tables or views."""
    return (node for node in manifest["nodes"].values() if node["resource_type"] in BUILT_RESOURCES)


def parent_nodes(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The models and sources that a node reads."""
    found = (manifest["sources"].get(each) or manifest["nodes"].get(each) for each in node["depends_on"]["nodes"])
    return [each for each in found if each is not None]


def rendered(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """The SQL of a model as it would run, with `schema.table` for what it reads.

    `ref`, `source`, `var` with a default, `config`, `this` and the project's own macros are known; a model is rendered
    as if it were built from nothing.

    Raises:
        Unsupported: it takes more of dbt than that.
    """
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    # Macros first: they are then names of the template.
    prelude = [
        macro["macro_sql"]
        for macro in manifest.get("macros", {}).values()
        if macro["package_name"] == node["package_name"] and _MACRO.match(macro["macro_sql"])
    ]
    template = SandboxedEnvironment(undefined=StrictUndefined, extensions=["jinja2.ext.do"])
    try:
        return template.from_string("".join([*prelude, node["raw_code"]])).render(_names(node, manifest)).strip()
    except (TemplateError, LookupError, TypeError) as error:
        raise Unsupported(f"the SQL needs dbt itself: {error}", where=node["original_file_path"]) from error


def _names(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    parents = parent_nodes(node, manifest)

    def named(of: str | None, name: str) -> str:
        for each in parents:
            if (each.get("source_name"), each["name"]) == (of, name):
                return _relation(each)
        raise LookupError(f"the manifest knows no parent {name}")

    def ref(*names: str, **_version: Any) -> str:
        return named(None, names[-1])

    def var(name: str, default: Any = None) -> Any:
        if default is None:
            raise LookupError(f"the variable {name} has no default")
        return default

    return {
        "ref": ref,
        "source": named,
        "var": var,
        "config": lambda **_settings: "",
        "this": _relation(node),
        "is_incremental": lambda: False,
        "execute": False,
        "target": {"schema": node["schema"], "type": "redshift"},
    }


def _relation(node: Mapping[str, Any]) -> str:
    return f'"{node["schema"]}"."{relation_name(node)}"'

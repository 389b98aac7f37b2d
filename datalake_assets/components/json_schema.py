"""The JSON schema of `defs.yaml`, so that an editor completes the words and underlines mistakes while they are typed.

It knows words, types and choices. What hangs on several words, on other files or on other accounts is told by
`datalake validate`.
"""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaWarningKind, models_json_schema

from datalake_assets.components.declarations import ENVELOPE, types

TITLE = "A pipeline of the data platform (defs.yaml)"


class _Generator(GenerateJsonSchema):
    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Say nothing: values that the platform computes have no text that YAML could hold, and need none."""


def json_schema() -> dict[str, Any]:
    """The schema of all types of files, by JSON Schema 2020-12."""
    models = types()
    mode: JsonSchemaMode = "validation"
    places, shared = models_json_schema(
        [(model, mode) for model in models.values()], by_alias=True, schema_generator=_Generator
    )
    branches = [
        {
            "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
            "then": {"properties": {"attributes": places[model, mode]}},
        }
        for kind, model in models.items()
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        "type": "object",
        "properties": {"type": {"enum": list(models)}, **{key: {} for key in ENVELOPE if key != "type"}},
        "required": ["type", "attributes"],
        "additionalProperties": False,
        "allOf": branches,
        **shared,
    }

"""What a mapping may declare, and how a mistake in it reads."""

from typing import Any

import pytest
from pydantic import ValidationError

from datalake_assets.column_types import TargetType
from datalake_assets.errors import ConfigurationError
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.mapping.spec import BadRows, MappingSpec
from tests.mapping.builders import build_spec


@pytest.mark.parametrize(
    ("text", "canonical", "duckdb", "glue", "redshift"),
    [
        ("smallint", "smallint", "SMALLINT", "smallint", "smallint"),
        ("Integer", "int", "INTEGER", "int", "integer"),
        ("bigint", "bigint", "BIGINT", "bigint", "bigint"),
        ("real", "real", "FLOAT", "float", "real"),
        ("double", "double", "DOUBLE", "double", "double precision"),
        ("decimal( 12 , 2 )", "decimal(12,2)", "DECIMAL(12,2)", "decimal(12,2)", "decimal(12,2)"),
        ("boolean", "boolean", "BOOLEAN", "boolean", "boolean"),
        ("string", "varchar", "VARCHAR", "string", "varchar(65535)"),
        ("varchar(20)", "varchar(20)", "VARCHAR", "varchar(20)", "varchar(20)"),
        ("date", "date", "DATE", "date", "date"),
        (" timestamp ", "timestamp", "TIMESTAMP", "timestamp", "timestamp"),
    ],
)
def test_a_type_has_a_name_in_every_engine(text: str, canonical: str, duckdb: str, glue: str, redshift: str) -> None:
    parsed = TargetType.parse(text)
    assert (str(parsed), parsed.duckdb, parsed.glue, parsed.redshift) == (canonical, duckdb, glue, redshift)
    assert TargetType.parse(canonical) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "decmal(12,2)",
            r"'decmal\(12,2\)' is unknown.*smallint, int.*struct<.*>\. Did you mean decimal\?",
        ),
        ("text", "is unknown; expected one of"),
        ("", "is unknown"),
        ("int; DROP", "is unknown"),
        ("decimal", "lacks its precision"),
        ("decimal(39,0)", "out of range"),
        ("decimal(3,4)", "out of range"),
        ("decimal(38,38)", "out of range"),
        ("varchar(0)", "out of range"),
        ("varchar(65536)", "out of range"),
        ("varchar(1,2)", "out of range"),
        ("int(4)", "takes no numbers"),
    ],
)
def test_an_unknown_type_is_told_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TargetType.parse(text)


def _errors(raw: dict[str, Any]) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        MappingSpec.model_validate(raw)
    return [(error["loc"], error["msg"]) for error in caught.value.errors()]


def _column(**changes: Any) -> dict[str, Any]:
    return {"from": "a", "to": "a", "type": "int"} | changes


@pytest.mark.parametrize(
    ("column", "field", "message"),
    [
        (_column(type="itn"), ("type",), "Did you mean int?"),
        (_column(type=7), ("type",), "a type is a text"),
        (_column(to="Bad-Name"), ("to",), "not a valid identifier"),
        (_column(to="_source_row"), ("to",), "written by the platform"),
        (_column(to="dt"), ("to",), "written by the platform"),
        (_column(to="v"), ("to",), "written by the platform"),
        (_column(format="%Y"), (), "format is for date and timestamp"),
        (_column(type="date", format="%Q%Y"), ("format",), "holds %Q; allowed are %Y"),
        (_column(type="date", format="%d.%m."), ("format",), "reads no year"),
        (_column(type="date", format="%Y%"), ("format",), "holds %"),
        (_column(requierd=True), ("requierd",), "Extra inputs"),
        (_column(**{"from": " a"}), ("from",), "without them"),
        (_column(**{"from": ""}), ("from",), "at least 1 character"),
    ],
)
def test_a_mistake_in_a_column_is_located(column: dict[str, Any], field: tuple[str, ...], message: str) -> None:
    ((location, text),) = _errors({"columns": [_column(to="first"), column]})
    assert location == ("columns", 1, *field)
    assert message in text


@pytest.mark.parametrize(
    ("raw", "location", "message"),
    [
        ({"columns": []}, ("columns",), "at least one column"),
        ({"columns": [_column(), _column()]}, ("columns", 1, "to"), "'a' is mapped twice, again as number 2"),
        ({"columns": [_column()], "bad_rows": {"fail_above": 5}}, ("bad_rows", "fail_above"), "a text such as '1%'"),
        ({"columns": [_column()], "source": {"delimiter": "\n"}}, ("source", "delimiter"), "do not end a line"),
        ({"columns": [_column()], "source": {"delimiter": '"'}}, ("source",), "cannot also be the quote"),
        ({"columns": [_column()], "source": {"encoding": "utf-9"}}, ("source", "encoding"), "unknown"),
        ({"columns": [_column()], "source": {"encoding": "rot13"}}, ("source", "encoding"), "unknown"),
        ({"columns": [_column()], "source": {"format": "xml"}}, ("source",), "needs row_tag"),
    ],
)
def test_a_mistake_in_a_mapping_is_located(raw: dict[str, Any], location: tuple[str, ...], message: str) -> None:
    ((found, text),) = _errors(raw)
    assert found == location
    assert message in text


@pytest.mark.parametrize(("written", "share"), [("1%", 0.01), ("0.5 %", 0.005), (0.02, 0.02), (0, 0), ("100%", 1)])
def test_a_share_is_a_percentage_or_a_fraction(written: Any, share: float) -> None:
    assert BadRows(fail_above=written).fail_above == pytest.approx(share)


@pytest.mark.parametrize("written", ["101%", "1", -0.1, 1.5, True, None, float("nan")])
def test_anything_else_is_no_share(written: Any) -> None:
    with pytest.raises(ValidationError, match="a share is"):
        BadRows(fail_above=written)


def test_the_output_columns_are_the_mapped_ones_and_where_a_row_comes_from() -> None:
    spec = build_spec({"from": "Price", "to": "price_eur", "type": "decimal(12,2)", "description": "per night"})
    assert [(c.name, str(c.type), c.source) for c in spec.output_columns()] == [
        ("price_eur", "decimal(12,2)", "Price"),
        ("_rescued_data", "varchar", None),
        ("_source_file", "varchar", None),
        ("_source_row", "bigint", None),
    ]
    assert spec.output_columns()[0].description == "per night"


def test_a_spec_survives_being_written_and_read() -> None:
    spec = build_spec("a:decimal(3,1)!", delimiter=";", null_values=["", "NA"])
    assert MappingSpec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec
    assert MappingSpec.model_json_schema(by_alias=True)["properties"]["columns"]


def test_encodings_have_one_spelling() -> None:
    assert SourceFormat(encoding="UTF8").encoding == "utf-8"

"""What the words of a mapping may say, and how a mistake in them reads."""

from typing import Any

import pytest
from pydantic import ValidationError

from datalake_assets.mapping.spec import MappingSpec

COLUMNS: list[dict[str, Any]] = [
    {"from": "post_id", "to": "post_id", "type": "bigint"},
    {"from": "price", "to": "price_eur", "type": "decimal(12,2)", "decimal": ",", "thousands": "."},
    {"from": "user.name", "to": "author", "type": "varchar"},
    {"from": "tags", "to": "tags", "type": "array<varchar>"},
    {"nest": {"lat": "geo_lat"}, "to": "place", "type": "struct<lat:double>"},
    {"constant": "EU", "to": "region", "type": "varchar"},
    {"expression": "price_eur * 1.19", "to": "gross", "type": "decimal(12,2)"},
    {"from_key": "country", "to": "country", "type": "varchar"},
    {"from": "note", "drop": True},
    {"from": "email", "to": "email_hash", "type": "varchar", "mask": "hash", "salt_secret": "pepper"},
    {"from": "amount", "to": "amount", "type": "int", "on_conflict": "split"},
    {"from": "made", "to": "made_at", "type": "timestamp", "format": ["epoch_s", "iso"], "time_zone": "Europe/Berlin"},
]
CHILD: dict[str, Any] = {
    "table": "comments",
    "from": "comments",
    "key": ["post_id"],
    "columns": [{"from": "text", "to": "text", "type": "varchar"}],
    "children": [{"table": "votes", "from": "votes", "columns": [{"from": "_value", "to": "vote", "type": "int"}]}],
}


def whole(**words: Any) -> dict[str, Any]:
    return {
        "columns": COLUMNS,
        "children": [CHILD],
        "deduplicate": {"by": ["post_id"], "order": ["made_at desc"]},
    } | words


def mistakes(raw: dict[str, Any]) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        MappingSpec.model_validate(raw)
    return [(error["loc"], error["msg"]) for error in caught.value.errors()]


def column(**changes: Any) -> dict[str, Any]:
    """Twelve columns, and one more or other."""
    return {"columns": [*COLUMNS, {"from": "a", "to": "a", "type": "int"} | changes]}


def test_all_words_are_read_and_written_alike() -> None:
    spec = MappingSpec.model_validate(whole())
    assert MappingSpec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec
    assert MappingSpec.model_json_schema(by_alias=True)["properties"]["children"]
    assert [(name, str(type)) for name, type in spec.mapped[9].output] == [
        ("amount", "int"),
        ("amount_text", "varchar"),
    ]


def test_a_table_knows_the_raw_columns_that_its_columns_hang_on() -> None:
    sources = {column.name: column.sources for column in MappingSpec.model_validate(whole()).output_columns()}
    assert sources["gross"] == ("price",)
    assert sources["place"] == ("geo_lat",)
    assert sources["amount_text"] == ("amount",)
    assert sources["region"] == ()


def test_a_child_repeats_the_keys_and_the_positions_of_its_ancestors() -> None:
    spec = MappingSpec.model_validate(whole())
    found = {level.child.table: [column.name for column in spec.child_columns(level)] for level in spec.levels}
    platform = ["_source_file", "_source_row"]
    assert found["comments"] == ["post_id", "_position", "text", *platform]
    assert found["votes"] == ["post_id", "comments_position", "_position", "vote", *platform]


@pytest.mark.parametrize(
    ("entry", "place", "message"),
    [
        ({"constant": 1}, (), "one origin, found from and constant"),
        ({"to": "amount_text"}, ("to",), "'amount_text' is mapped twice"),
        ({"thousands": "x"}, ("thousands",), "no letter, digit or sign"),
        ({"decimal": ",", "thousands": ","}, (), "are both ','"),
        ({"type": "date", "decimal": ","}, (), "are for numbers"),
        ({"format": "epoch_s"}, (), "format is for date and timestamp"),
        ({"type": "date", "format": "epochs"}, ("format",), "did you mean 'epoch_s'?"),
        ({"type": "date", "format": []}, ("format",), "at least one"),
        ({"type": "date", "time_zone": "Europe/Berlin"}, (), "time_zone is for timestamp"),
        ({"type": "timestamp", "time_zone": "Europe/Berln"}, ("time_zone",), "did you mean 'Europe/Berlin'?"),
        ({"type": "timestamp", "time_zone": "UTC", "format": "epoch_ms"}, (), "has no effect"),
        ({"mask": "hash"}, (), "a masked value is a text"),
        ({"type": "varchar", "salt_secret": "s"}, (), "salt_secret is for"),
        ({"type": "varchar", "mask": "redact", "on_conflict": "text"}, (), "no conflicts to resolve"),
        ({"required": True, "on_conflict": "null"}, (), "contradict"),
        ({"on_conflict": "splt"}, ("on_conflict",), "'quarantine', 'split', 'text' or 'null'"),
        ({"from": "note"}, (), ""),
    ],
)
def test_a_mistake_in_a_raw_column_is_located(entry: dict[str, Any], place: tuple[str, ...], message: str) -> None:
    (found, text), *_ = mistakes(column(**entry))
    if entry == {"from": "note"}:
        assert (found, "mapped by another entry" in text) == (("columns", 8, "drop"), True)
        return
    assert found == ("columns", 12, *place)
    assert message in text


@pytest.mark.parametrize(
    ("entry", "place", "message"),
    [
        ({"expression": "prce_eur * 2"}, ("expression",), "did you mean 'price_eur'?"),
        ({"expression": "sum(price_eur)"}, ("expression",), "not at an aggregate"),
        ({"expression": "(SELECT 1)"}, ("expression",), "not at a query"),
        ({"expression": "random()"}, ("expression",), "the function random has no place"),
        ({"expression": "now()"}, ("expression",), "the function now has no place"),
        ({"expression": "current_timestamp"}, ("expression",), "current_timestamp has no place"),
        ({"expression": "read_text('x')"}, ("expression",), "read_text has no place"),
        ({"expression": "place.lat"}, ("expression",), "write place['lat']"),
        ({"expression": "1; DROP TABLE x"}, ("expression",), "without a semicolon"),
        ({"expression": "1 +"}, ("expression",), "this is not SQL"),
        ({"expression": "y"}, ("expression",), "is no target column before it"),
        ({"constant": "x"}, (), "the constant 'x' is no int"),
        ({"constant": 2**31}, (), "is no int"),
        ({"nest": {"a": "b"}}, (), "nest makes a struct"),
        ({"nest": {"a": "b"}, "type": "struct<b:int>"}, (), "'a' is no field"),
        ({"nest": {"a": "b"}, "type": "struct<a:int,b:int>"}, (), "where the field 'b' comes from"),
        ({"from_key": "a/b"}, ("from_key",), "cannot stand before"),
    ],
)
def test_a_mistake_in_another_column_is_located(entry: dict[str, Any], place: tuple[str, ...], message: str) -> None:
    ((found, text),) = mistakes({"columns": [*COLUMNS, {"to": "x", "type": "int"} | entry]})
    assert found == ("columns", 12, *place)
    assert message in text


def test_an_expression_reads_the_columns_before_it_only() -> None:
    swapped = [COLUMNS[6], COLUMNS[1]]
    ((found, text),) = mistakes({"columns": swapped})
    assert found == ("columns", 0, "expression")
    assert "stands behind it in the list" in text


@pytest.mark.parametrize(
    ("words", "place", "message"),
    [
        ({"explode": {"from": "items", "as": "item"}, "children": []}, ("explode", "as"), "no column reads 'item'"),
        ({"explode": {"from": "tags", "as": "user"}}, ("children",), "either exploded or has children"),
        ({"children": [CHILD | {"key": ["post"]}]}, ("children", 0, "key", 0), "did you mean 'post_id'?"),
        ({"children": [CHILD | {"key": ["tags"]}]}, ("children", 0, "key", 0), "a key is a plain value"),
        ({"children": [CHILD, CHILD]}, ("children", 1, "table"), "is there twice"),
        ({"children": [CHILD | {"from": "a..b"}]}, ("children", 0, "from"), "is no path"),
        (
            {"children": [CHILD | {"columns": [{"from": "a", "to": "post_id", "type": "int"}]}]},
            ("children", 0, "columns", 0, "to"),
            "has a column 'post_id' already",
        ),
        ({"deduplicate": {"by": ["pst_id"]}}, ("deduplicate", "by", 0), "did you mean 'post_id'?"),
        ({"deduplicate": {"by": ["tags"]}}, ("deduplicate", "by", 0), "compared by plain values"),
        ({"deduplicate": {"by": ["post_id"], "order": ["made_at down"]}}, ("deduplicate", "order"), "is no order"),
        ({"on_schema_change": "ignore"}, ("on_schema_change",), "'evolve', 'freeze'"),
    ],
)
def test_a_mistake_in_the_rows_is_located(words: dict[str, Any], place: tuple[int | str, ...], message: str) -> None:
    (found, text), *_ = mistakes(whole(**words))
    assert found == place
    assert message in text

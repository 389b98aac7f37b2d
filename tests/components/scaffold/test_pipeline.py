"""A discovered table becomes a folder whose defs.yaml is valid, complete, and says what was uncertain."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.column_types import TargetType
from datalake_assets.components.declarations import read_declarations
from datalake_assets.components.scaffold.pipeline import scaffold, scaffold_text, upload_hint
from datalake_assets.components.yaml_text import comment, flow
from datalake_assets.discovery.classifiers.classification import Classification
from datalake_assets.discovery.report import (
    Conflict,
    DiscoveredColumn,
    DiscoveredTable,
    FoundPartition,
    PartitionKey,
)
from datalake_assets.errors import ConfigurationError, Unsupported
from datalake_assets.formats.source_format import SourceFormat


def column(name: str, kind: str = "varchar", raw: str | None = None, **said: Any) -> DiscoveredColumn:
    defaults: dict[str, Any] = {"nulls": 0, "count": 1000}
    return DiscoveredColumn(name, raw if raw is not None else name, TargetType.parse(kind), **defaults | said)


def table(*columns: DiscoveredColumn, **said: Any) -> DiscoveredTable:
    source = said.pop("source", SourceFormat(format="csv", delimiter=";", null_values=("", "NA")))
    defaults: dict[str, Any] = {
        "uri": "s3://datalake-flights-raw/orders/",
        "layout_pattern": "orders/*.csv",
        "classification": Classification("csv", 0.93, "each line has 3 fields", source, details={"dialect": 0.97}),
        "files": 3,
        "bytes": 1_000,
        "sampled_files": 2,
        "sampled_rows": 1_000,
    }
    return DiscoveredTable("orders", source=source, columns=columns, **defaults | said)


def written(tmp_path: Path, found: DiscoveredTable) -> tuple[str, Any]:
    """The text of the scaffolded file, and its attributes as `datalake validate` reads them."""
    (path,) = scaffold(found, tmp_path / "flights" / "orders")
    (declaration,) = read_declarations(tmp_path)
    return path.read_text(), declaration.spec


def test_every_column_is_declared_with_what_was_found(tmp_path: Path) -> None:
    text, spec = written(
        tmp_path,
        table(
            column("order_id", "bigint", "Order ID"),
            column("price", "decimal(12,2)", "Preis (€)", decimal=",", thousands=".", null_values=("-",)),
            column("ordered_at", "timestamp", format="%d.%m.%Y %H:%M", other_formats=("%Y-%m-%d",)),
        ),
    )
    assert [(each.from_, each.to, str(each.type)) for each in spec.columns] == [
        ("Order ID", "order_id", "bigint"),
        ("Preis (€)", "price", "decimal(12,2)"),
        ("ordered_at", "ordered_at", "timestamp"),
    ]
    assert (spec.columns[1].decimal, spec.columns[1].thousands, spec.columns[1].null_values) == (",", ".", ("-",))
    assert spec.columns[2].format == ("%d.%m.%Y %H:%M", "%Y-%m-%d")
    assert (spec.source.delimiter, spec.source.null_values) == (";", ("", "NA"))
    assert "    - {from: Order ID, to: order_id, type: bigint}\n" in text


def test_doubts_stand_as_comments_above_their_column(tmp_path: Path) -> None:
    conflict = Conflict("varchar", 3, ("n. a.", "- {x: y}\n# z"), "s3://raw/orders/a.csv")
    text, spec = written(
        tmp_path,
        table(
            column("amount", "int", conflicts=(conflict,), on_conflict="split"),
            column("code", certainty=0.5, nulls=0, examples=("007", "\u2028")),
        ),
    )
    assert "    # amount: 3 of 1,000 sampled values look like varchar: 'n. a.'" in text
    assert "    # code: uncertain (0.50): '007', '\\u2028'" in text
    assert spec.columns[0].on_conflict == "split"


def test_a_header_with_repeated_and_empty_names_is_skipped_and_columns_go_by_place(tmp_path: Path) -> None:
    columns = [
        column("id", "int", "id", position=0),
        column("id_2", "int", "ID", position=1),
        column("id_3", "int", "id", position=2),
        column("column_4", "varchar", "", position=3),
    ]
    _, spec = written(tmp_path, table(*columns))
    assert (spec.source.header, spec.source.skip_rows) == (0, 1)
    assert spec.source.names == ("id", "ID", "id_3", "column_4")
    assert [(each.from_, each.to) for each in spec.columns] == [
        ("id", "id"),
        ("ID", "id_2"),
        ("id_3", "id_3"),
        ("column_4", "column_4"),
    ]


def test_a_field_that_no_mapping_can_name_is_left_to_the_rescued_data(tmp_path: Path) -> None:
    found = table(
        column("id", "int"),
        column("column_2", "int", ""),
        column("a", "int", " a"),
        source=SourceFormat(format="json"),
        layout_pattern="orders/*.json",
    )
    text, spec = written(tmp_path, found)
    assert [each.to for each in spec.columns] == ["id"]
    assert "it stays in _rescued_data: '', ' a'" in text


def test_a_date_in_the_keys_becomes_the_partition_and_other_keys_become_columns(tmp_path: Path) -> None:
    text, spec = written(
        tmp_path,
        table(
            column("id", "bigint"),
            column("dt"),
            layout_pattern="orders/country=*/dt={partition}/*.csv",
            partition_keys=(
                PartitionKey("country", TargetType("varchar"), 1, raw_name="country"),
                PartitionKey("dt", TargetType("date"), 2, "%Y-%m-%d", "dt", in_pattern=True),
            ),
            partitions=(
                FoundPartition(("de", "2026-03-01"), "s3://…", 1, 1),
                FoundPartition(("at", "2026-02-01"), "s3://…", 1, 1),
            ),
        ),
    )
    assert spec.partitions.daily.isoformat() == "2026-02-01"
    assert [each.to for each in spec.columns] == ["id", "dt_2", "country"]
    assert spec.columns[2].from_key == "country"
    assert "warehouse: {table: lake.orders, mode: copy}" in text


def test_structs_are_flattened_and_arrays_of_structs_become_children(tmp_path: Path) -> None:
    text_part = column("text", raw="comments[].text")
    stars = column("star_count", "int", raw="comments[].starCount")
    deep = column("by", raw="comments[].likes[].by")
    likes = column(
        "likes",
        "array<struct<by:varchar>>",
        raw="comments[].likes",
        parts=(column("element", "struct<by:varchar>", raw="comments[].likes[]", parts=(deep,)),),
    )
    inner = "struct<text:varchar,star_count:int,likes:array<struct<by:varchar>>>"
    _, spec = written(
        tmp_path,
        table(
            column("post_id", "bigint"),
            column("user", "struct<name:varchar>", parts=(column("name", raw="user.name"),)),
            column("tags", "array<varchar>", parts=(column("element", raw="tags[]"),)),
            column(
                "comments",
                f"array<{inner}>",
                parts=(column("element", inner, raw="comments[]", parts=(text_part, stars, likes)),),
            ),
            source=SourceFormat(format="json"),
            layout_pattern="orders/*.json",
        ),
    )
    assert [(each.from_, each.to) for each in spec.columns] == [
        ("post_id", "post_id"),
        ("user.name", "user_name"),
        ("tags", "tags"),
    ]
    (child,) = spec.children
    assert (child.table, child.from_, child.key) == ("orders_comments", "comments", ("post_id",))
    assert [(each.from_, each.to) for each in child.columns] == [("text", "text"), ("starCount", "star_count")]
    assert (child.children[0].from_, child.children[0].columns[0].from_) == ("likes", "by")


def test_broken_records_of_the_sample_raise_the_limit_of_bad_rows(tmp_path: Path) -> None:
    assert "  bad_rows: {fail_above: 1%}" in scaffold_text(table(column("id", "int")), "orders")
    text, spec = written(tmp_path, table(column("id", "int"), broken_rows=5))
    assert spec.bad_rows.fail_above == 0.03
    assert "# 5 of 1,005 sampled records would be set aside" in text


@pytest.mark.parametrize("pattern", ["orders/*.csv", "orders/dt={partition}/*.csv"])
def test_what_is_suggested_in_comments_is_valid_too(tmp_path: Path, pattern: str) -> None:
    found = table(column("order_id", "bigint"), column("city"), layout_pattern=pattern)
    text = scaffold_text(found, "orders")
    suggested = re.sub(r"^  # (checks|warehouse): ", r"  \1: ", text, flags=re.MULTILINE)
    assert suggested.count("\n  checks: ") == suggested.count("\n  warehouse: ") == 1
    path = tmp_path / "flights" / "orders" / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(suggested, encoding="utf-8")
    (declaration,) = read_declarations(tmp_path)
    assert declaration.spec.warehouse
    assert declaration.spec.checks


def test_without_a_key_an_array_of_structs_stays_one_and_children_are_offered(tmp_path: Path) -> None:
    part = column("text", raw="comments[].text")
    element = column("element", "struct<text:varchar>", raw="comments[]", parts=(part,))
    text, spec = written(
        tmp_path,
        table(
            column("comments", "array<struct<text:varchar>>", parts=(element,)),
            source=SourceFormat(format="json"),
            layout_pattern="orders/*.json",
        ),
    )
    assert str(spec.columns[0].type) == "array<struct<text:varchar>>"
    assert "# children: " in text


def test_local_files_get_a_prefix_of_their_own_and_a_hint_how_to_upload_them(tmp_path: Path) -> None:
    found = table(column("id", "int"), uri="exports/orders/", layout_pattern="*.csv")
    text, spec = written(tmp_path, found)
    assert spec.source.s3 == ("orders/*.csv",)
    assert "s3://datalake-flights-raw/orders/*.csv" in text
    hint = upload_hint(found, tmp_path / "flights" / "orders")
    assert hint == "Upload the files: aws s3 cp --recursive exports/orders/ s3://datalake-flights-raw/orders/"
    assert upload_hint(table(column("id", "int")), tmp_path / "flights" / "orders") is None


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "flights" / "orders"
    (path,) = scaffold(table(column("id", "int")), folder)
    before = path.read_text()
    with pytest.raises(ConfigurationError, match="exists already"):
        scaffold(table(column("other", "int")), folder)
    assert path.read_text() == before


@pytest.mark.parametrize("name", ["Orders", "2026", "a-b", "o" * 60])
def test_a_folder_that_cannot_name_tables_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError):
        scaffold(table(column("id", "int")), tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_table_of_a_database_is_refused(tmp_path: Path) -> None:
    found = DiscoveredTable("orders", "postgresql://h/d", None, None, (column("id"),), kind="postgresql")
    with pytest.raises(Unsupported, match="pipelines read files"):
        scaffold(found, tmp_path / "orders")


def test_the_same_table_gives_the_same_file() -> None:
    found = table(column("id", "int"), column("x", certainty=0.3))
    assert scaffold_text(found, "orders") == scaffold_text(found, "orders")


@given(st.text(min_size=0, max_size=30))
def test_any_text_comes_back_from_the_yaml_as_it_was(value: str) -> None:
    text = "a: " + flow({"from": value, "list": [value, 1, True]})
    if any(0xD800 <= ord(each) < 0xE000 for each in value):
        return
    assert yaml.safe_load(text) == {"a": {"from": value, "list": [value, 1, True]}}


@given(st.text(max_size=300))
def test_any_text_stays_within_a_comment(value: str) -> None:
    assert yaml.safe_load("\n".join(["a: 1", *comment(value, indent=2), "b: 2"])) == {"a": 1, "b": 2}

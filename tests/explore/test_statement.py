"""What kind of statement a text is, and the types of the catalog in Arrow's words."""

import pyarrow as pa
import pytest

from datalake_assets.errors import InvalidQuery, Unsupported
from datalake_assets.explore.arrow_types import arrow_type
from datalake_assets.explore.statement import first_word, marked, require_reading, word_after_comments


@pytest.mark.parametrize(
    ("sql", "body"),
    [
        ("SELECT 1;", "SELECT 1"),
        ("-- why\nSELECT ';' ; -- done\n ;", "-- why\nSELECT ';' "),
        ("/* DROP; */ (SELECT 1)", "/* DROP; */ (SELECT 1)"),
        ('WITH "a;b" AS (SELECT 1) SELECT 2', 'WITH "a;b" AS (SELECT 1) SELECT 2'),
        ("SELECT 'it''s; fine'", "SELECT 'it''s; fine'"),
        ("show tables", "show tables"),
    ],
)
def test_one_statement_that_reads_is_returned_without_its_end(sql: str, body: str) -> None:
    assert require_reading(sql) == body


@pytest.mark.parametrize(
    "sql",
    ["", " ; ", "-- SELECT 1", "/* SELECT 1", "DROP TABLE x", "(DELETE FROM x)", "SELECT 1; SELECT 2", "'SELECT'", "1"],
)
def test_anything_else_is_refused(sql: str) -> None:
    with pytest.raises(InvalidQuery):
        require_reading(sql)


def test_a_second_statement_is_marked_where_it_begins() -> None:
    with pytest.raises(InvalidQuery) as caught:
        require_reading("SELECT ';';\n  DROP TABLE x")
    assert "LINE 2:   DROP TABLE x\n          ^" in str(caught.value)
    assert marked("SELECT 1;\n  DROP", 12) == "LINE 2:   DROP\n          ^"


def test_words_are_found_behind_comments_and_brackets() -> None:
    assert first_word("/* x */ -- y\n ((Select 1))") == "select"
    assert first_word("--") == ""
    assert word_after_comments("-- a\nEXPLAIN SELECT 1", "explain") == 12
    assert word_after_comments("SELECT 1", "explain") is None


@pytest.mark.parametrize(
    ("glue", "arrow"),
    [
        ("string", pa.string()),
        ("varchar(20)", pa.string()),
        ("Decimal(12, 2)", pa.decimal128(12, 2)),
        ("float", pa.float32()),
        ("timestamp", pa.timestamp("us")),
        ("array<array<int>>", pa.list_(pa.list_(pa.int32()))),
        ("map<string,decimal(3,1)>", pa.map_(pa.string(), pa.decimal128(3, 1))),
        (
            "struct<a:int,b:array<struct<c:string,d:map<string,double>>>>",
            pa.struct(
                [
                    ("a", pa.int32()),
                    ("b", pa.list_(pa.struct([("c", pa.string()), ("d", pa.map_(pa.string(), pa.float64()))]))),
                ]
            ),
        ),
    ],
)
def test_types_of_the_catalog_have_a_type_of_arrow(glue: str, arrow: pa.DataType) -> None:
    assert arrow_type(glue) == arrow


@pytest.mark.parametrize("glue", ["", "geometry", "array<int", "array<int,int>", "map<string>", "interval"])
def test_a_type_that_nobody_knows_is_named(glue: str) -> None:
    with pytest.raises(Unsupported):
        arrow_type(glue)

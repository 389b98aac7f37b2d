"""What type the values of nested records have."""

import json

from datalake_assets.discovery.columns.node import MAX_FIELDS, Node, parse_record
from tests.discovery.records import nested


def test_structs_arrays_and_their_raw_names() -> None:
    found = nested(
        {"id": 1, "user": {"Name": "a", "joinedAt": "2026-01-02T10:00:00Z"}, "tags": ["x"], "comments": [{"stars": 5}]},
        {"id": 2, "user": {"Name": "b"}, "tags": [], "comments": None},
    )
    assert {path: str(each.type) for path, each in found.items()} == {
        "id": "int",
        "user": "struct<name:varchar,joined_at:timestamp>",
        "tags": "array<varchar>",
        "comments": "array<struct<stars:int>>",
    }
    joined = found["user"].parts[1]
    assert (joined.raw_path, joined.nulls, joined.count) == ("user.joinedAt", 1, 2)
    assert found["comments"].parts[0].parts[0].raw_path == "comments[].stars"
    assert (found["comments"].nulls, found["tags"].nulls) == (1, 0)


def test_a_field_that_later_records_lack_counts_as_null_there() -> None:
    found = nested({"a": 1, "b": 1}, {"a": 2}, {"a": 3})
    assert (found["b"].nulls, found["b"].count, found["a"].nulls) == (2, 3, 0)


def test_strings_of_digits_stay_texts_and_dates_become_dates() -> None:
    found = nested({"zip": "12345", "day": "2026-11-20"}, {"zip": "54321", "day": "2026-11-21"})
    assert (str(found["zip"].type), str(found["day"].type)) == ("varchar", "date")
    assert found["zip"].notes == ("all texts look like int",)


def test_numbers_written_as_texts_beside_numbers_are_numbers() -> None:
    found = nested({"stars": 5}, {"stars": "4"}, {"stars": 3})["stars"]
    assert (str(found.type), found.conflicts) == ("int", ())
    assert "1 of 3 values are written as texts" in found.notes


def test_a_field_that_changes_its_type_is_text_with_its_conflict() -> None:
    found = nested({"v": 1}, {"v": "many"}, {"v": 3}, {"v": "few"})["v"]
    assert (str(found.type), found.on_conflict) == ("varchar", "text")
    assert sum(each.count for each in found.conflicts) == 4


def test_a_field_that_changes_its_structure_is_its_json_text() -> None:
    found = nested({"v": {"a": 1}}, {"v": [1]}, {"v": "x"})["v"]
    assert str(found.type) == "varchar"
    assert {each.type for each in found.conflicts} == {"struct", "array", "varchar"}


def test_keys_that_are_ids_make_a_map() -> None:
    found = nested({"m": {"1001": 1, "1002": 2}}, {"m": {"1003": 3}})["m"]
    assert str(found.type) == "map<varchar,int>"
    assert found.parts[1].raw_path == "m{}"


def test_many_keys_of_which_each_is_rare_make_a_map() -> None:
    words = [f"{chr(97 + n % 26)}{chr(97 + n // 26)}word" for n in range(60)]
    found = nested(*({"counts": {word: 1}} for word in words))["counts"]
    assert str(found.type) == "map<varchar,int>"


def test_names_with_numbers_in_every_record_are_no_map() -> None:
    found = nested({"p": {"x1": 1, "x2": 2}}, {"p": {"x1": 3, "x2": 4}})["p"]
    assert str(found.type) == "struct<x1:int,x2:int>"


def test_a_struct_with_too_many_fields_costs_no_more_memory() -> None:
    node = Node()
    for number in range(3 * MAX_FIELDS):
        node.add(parse_record(f'{{"key{number}": {number}}}'))
    assert len(node.fields) <= MAX_FIELDS
    assert node.values is not None


def test_empty_arrays_and_objects_are_uncertain() -> None:
    found = nested({"a": [], "o": {}}, {"a": [], "o": {}})
    assert {path: str(each.type) for path, each in found.items()} == {"a": "array<varchar>", "o": "varchar"}
    assert all(each.is_uncertain for each in found.values())


def test_a_deep_value_is_kept_as_its_text_and_a_bottomless_record_is_broken() -> None:
    deep: object = 1
    for _ in range(20):
        deep = {"d": deep}
    found = nested({"id": 1, "deep": deep}, '{"a":' * 50_000 + "1" + "}" * 50_000)
    assert found["id"].count == 1
    assert "struct" in str(found["deep"].type)


def test_big_numbers_keep_all_their_digits() -> None:
    found = nested('{"n": 12345678901234567890, "d": 0.10, "e": 1e3}')
    assert {path: str(each.type) for path, each in found.items()} == {
        "n": "decimal(38,0)",
        "d": "decimal(9,2)",
        "e": "double",
    }


def test_paths_quote_keys_with_dots() -> None:
    assert list(nested({"a.b": {"c d": 1}})) == ['"a.b"']


def test_what_was_counted_goes_to_json_and_back() -> None:
    node = Node()
    for record in ('{"a": 1, "b": ["2026-01-01", null]}', '{"a": "x", "b": [], "c": {"1": 2.5}}'):
        node.add(parse_record(record))
    node.flush("file.json")
    assert Node.from_json(json.loads(json.dumps(node.as_json()))).as_json() == node.as_json()

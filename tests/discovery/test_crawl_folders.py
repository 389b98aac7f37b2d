"""Crawls of local folders: which tables, partitions and patterns they make of files."""

import bz2
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.discovery.crawl import CrawlOptions, crawl
from datalake_assets.discovery.report import CrawlReport, DiscoveredTable
from datalake_assets.errors import ConfigurationError

FLIGHTS = "id,carrier,delay,day\n" + "".join(f"{n},AA,{n / 4:.2f},2026-11-{n:02}\n" for n in range(1, 21))


def put(root: Path, files: dict[str, str | bytes]) -> None:
    """Write files by their paths below a folder."""
    for key, content in files.items():
        write(root / key, content)


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def only(report: CrawlReport) -> DiscoveredTable:
    (table,) = report.tables
    return table


def types(table: DiscoveredTable) -> dict[str, str]:
    return {column.name: str(column.type) for column in table.columns}


def test_a_folder_of_csv_files_is_one_table(tmp_path: Path) -> None:
    for day in range(1, 11):
        write(tmp_path / f"flights/dt=2026-11-{day:02}/part-0.csv.gz", gzip.compress(FLIGHTS.encode()))
    table = only(crawl([str(tmp_path / "flights")]))
    assert types(table) == {"id": "int", "carrier": "varchar", "delay": "decimal(9,2)", "day": "date"}
    assert (table.name, table.files, table.sampled_files) == ("flights", 10, 4)
    assert table.layout_pattern == "flights/dt={partition}/*.csv.gz"
    (key,) = table.partition_keys
    assert (key.name, str(key.type), key.format, key.position, key.in_pattern) == ("dt", "date", "%Y-%m-%d", 1, True)
    assert [each.values for each in table.partitions][::9] == [("2026-11-01",), ("2026-11-10",)]


LAYOUTS = {
    "t/dt=2026-11-20/x.csv": ("t/dt={partition}/*.csv", "2026-11-20"),
    "t/dt=20261120/x.csv": ("t/dt={%Y%m%d}/*.csv", "2026-11-20"),
    "t/dt=2026-11-20/country=DE/x.csv": ("t/dt={partition}/country=*/*.csv", "2026-11-20"),
    "t/country=DE/dt=2026-11-20/x.csv": ("t/country=*/dt={partition}/*.csv", "2026-11-20"),
    "t/country=DE/x.csv": ("t/country={partition}/*.csv", "DE"),
    "t/2026/11/20/x.csv": ("t/{%Y}/{%m}/{%d}/*.csv", "2026-11-20"),
    "t/2026/11/20/13/x.csv": ("t/{%Y}/{%m}/{%d}/{%H}/*.csv", "2026-11-20"),
    "t/20261120/x.csv": ("t/{%Y%m%d}/*.csv", "2026-11-20"),
    "t/2026-11-20/x.csv": ("t/{partition}/*.csv", "2026-11-20"),
    "t/year=2026/month=11/day=20/x.csv": ("t/year={%Y}/month={%m}/day={%d}/*.csv", "2026-11-20"),
    "t/x_2026-11-20.csv": ("t/x_{%Y-%m-%d}.csv", "2026-11-20"),
    "t/20261120.csv": ("t/{%Y%m%d}.csv", "2026-11-20"),
    "t/2026/11/x.csv": ("t/*/*/*.csv", ""),
    "t/x.csv": ("t/*.csv", ""),
}


@pytest.mark.parametrize("key", LAYOUTS)
def test_the_pattern_is_one_that_a_pipeline_understands(tmp_path: Path, key: str) -> None:
    write(tmp_path / key, FLIGHTS)
    pattern, partition = LAYOUTS[key]
    table = only(crawl([str(tmp_path / "t")]))
    assert table.layout_pattern == pattern
    assert KeyPattern.parse(pattern).match(key) == partition


def test_the_parts_of_a_hive_date_are_integers(tmp_path: Path) -> None:
    write(tmp_path / "t/year=2026/month=01/day=05/x.csv", FLIGHTS)
    table = only(crawl([str(tmp_path / "t")]))
    assert [(key.name, str(key.type)) for key in table.partition_keys] == [(k, "int") for k in ("year", "month", "day")]


def test_codes_with_leading_zeros_stay_texts_as_partitions(tmp_path: Path) -> None:
    put(tmp_path, {"t/shop=007/x.csv": FLIGHTS, "t/shop=123/x.csv": FLIGHTS})
    (key,) = only(crawl([str(tmp_path / "t")])).partition_keys
    assert (str(key.type), key.examples) == ("varchar", ("007", "123"))


def test_folders_of_compatible_schemas_are_one_table_and_others_are_not(tmp_path: Path) -> None:
    put(tmp_path, {"eu/a.csv": FLIGHTS, "us/a.csv": FLIGHTS, "shops/a.csv": "name,city\nX,Berlin\nY,Rome\n"})
    report = crawl([str(tmp_path)])
    assert [table.files for table in report.tables] == [1, 2]
    flights = next(table for table in report.tables if table.files == 2)
    assert [(key.name, key.examples) for key in flights.partition_keys] == [("partition_0", ("eu", "us"))]


def test_the_table_level_keeps_folders_apart_or_puts_them_together(tmp_path: Path) -> None:
    put(tmp_path, {"eu/a.csv": FLIGHTS, "us/a.csv": FLIGHTS, "shops/a.csv": "name,city\nX,Berlin\nY,Rome\n"})
    assert [t.name for t in crawl([str(tmp_path)], CrawlOptions(table_level=1)).tables] == ["eu", "shops", "us"]
    assert only(crawl([str(tmp_path)], CrawlOptions(table_level=0))).files == 3


def test_files_of_several_schemas_in_one_folder_are_tables_of_their_own(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "ref/airlines.csv": "code,name\nAA,American\nUA,United\n",
            "ref/airports.csv": "faa,lat,lon\nJFK,40.63,-73.77\nLGA,40.77,-73.87\n",
            "ref/planes.json": '{"tail": "N1", "year": 2001}\n{"tail": "N2", "year": 2002}\n',
        },
    )
    report = crawl([str(tmp_path / "ref")])
    assert {table.name: table.layout_pattern for table in report.tables} == {
        "airlines": "ref/airlines.csv",
        "airports": "ref/airports.csv",
        "planes": "ref/planes.json",
    }


def test_columns_that_came_later_are_in_the_table(tmp_path: Path) -> None:
    put(tmp_path, {"t/dt=2026-11-01/x.csv": "id,v\n1,2\n", "t/dt=2026-11-02/x.csv": "id,v,w\n1,2.5,x\n"})
    assert types(only(crawl([str(tmp_path / "t")]))) == {"id": "int", "v": "decimal(9,1)", "w": "varchar"}


def test_markers_are_left_out_and_said(tmp_path: Path) -> None:
    put(tmp_path, {"t/x.csv": FLIGHTS, "t/_SUCCESS": "", "t/.x.crc": "1", "t/manifest.json": "{}", "t/_hidden/y": "1"})
    report = crawl([str(tmp_path / "t")])
    assert only(report).files == 1
    assert dict(report.ignored) == {"marker": 2, "manifest": 1, "hidden folder": 1}


def test_what_is_excluded_is_not_read(tmp_path: Path) -> None:
    put(tmp_path, {"t/x.csv": FLIGHTS, "t/old/y.json": '{"a": 1}'})
    report = crawl([str(tmp_path / "t")], CrawlOptions(exclude=("old/*",)))
    assert (only(report).name, report.listed_files) == ("t", 1)


def test_a_file_named_by_itself_is_a_table(tmp_path: Path) -> None:
    put(tmp_path, {"a.csv": FLIGHTS, "b.json": '{"x": 1}'})
    table = only(crawl([str(tmp_path / "a.csv")]))
    assert (table.name, table.uri, table.layout_pattern) == ("a", str(tmp_path / "a.csv"), "a.csv")


def test_one_bad_object_does_not_spoil_its_neighbours(tmp_path: Path) -> None:
    put(tmp_path, {"t/a.csv": FLIGHTS, "t/empty.csv": "", "t/noise.dat": bytes(range(256)) * 64})
    write(tmp_path / "t/cut.csv.gz", gzip.compress(FLIGHTS.encode())[:40])
    write(tmp_path / "t/locked.csv", FLIGHTS)
    (tmp_path / "t/dangling.csv").symlink_to(tmp_path / "nowhere")
    report = crawl([str(tmp_path / "t")])
    assert sum(table.files for table in report.tables) == 2
    skipped = {Path(each.uri).name: (each.kind, bool(each.reason)) for each in report.skipped}
    assert skipped == {
        "empty.csv": ("EmptyObject", True),
        "noise.dat": ("UNKNOWN", True),
        "cut.csv.gz": ("UNKNOWN", True),
        "dangling.csv": ("ConfigurationError", True),
    }
    assert report.skipped_files == 4


def test_a_folder_that_is_not_there_is_an_error_and_a_warning_beside_others(tmp_path: Path) -> None:
    put(tmp_path, {"t/a.csv": FLIGHTS})
    with pytest.raises(ConfigurationError, match="does not exist"):
        crawl([str(tmp_path / "nope")])
    report = crawl([str(tmp_path / "t"), str(tmp_path / "nope")])
    assert only(report).files == 1
    assert [each.kind for each in report.skipped] == ["ConfigurationError"]


def test_parquet_tells_types_rows_and_nulls_without_its_data(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            ("a", pa.int32()),
            ("Name", pa.string()),
            ("l", pa.list_(pa.int64())),
            ("s", pa.struct([("X", pa.float32())])),
            ("m", pa.map_(pa.string(), pa.int16())),
        ]
    )
    rows = [{"a": 1, "Name": "x", "l": [1], "s": {"X": 1}, "m": {"k": 1}}, {"Name": "y", "l": []}]
    table = pa.Table.from_pylist(rows, schema=schema)
    (tmp_path / "t").mkdir()
    pq.write_table(table, tmp_path / "t/x.parquet")
    found = only(crawl([str(tmp_path / "t")]))
    assert types(found) == {
        "a": "int",
        "name": "varchar",
        "l": "array<bigint>",
        "s": "struct<x:real>",
        "m": "map<varchar,smallint>",
    }
    assert found.rows == 2
    assert (found.columns[0].nulls, found.columns[0].count) == (1, 2)
    assert not found.columns[3].is_required


def test_a_large_file_is_read_at_its_beginning_only(tmp_path: Path) -> None:
    line = json.dumps({"id": 1, "text": "x" * 80}) + "\n"
    put(tmp_path, {"t/big.json": line * 50_000})
    write(tmp_path / "u/big.csv.bz2", bz2.compress(("id,text\n" + f"1,{'x' * 80}\n" * 50_000).encode()))
    report = crawl([str(tmp_path / "t"), str(tmp_path / "u")], CrawlOptions(sample_bytes=100_000))
    assert [types(table) for table in report.tables] == [{"id": "int", "text": "varchar"}] * 2
    assert report.read_bytes <= 200_000
    assert not [note for table in report.tables for note in table.notes]


def test_mixed_compression_and_extra_files_beside_a_table(tmp_path: Path) -> None:
    write(tmp_path / "t/a.csv", FLIGHTS)
    write(tmp_path / "t/b.csv.gz", gzip.compress(FLIGHTS.encode()))
    table = only(crawl([str(tmp_path / "t")]))
    assert (table.files, table.layout_pattern) == (2, "t/*")


def test_ten_thousand_objects_are_listed_and_few_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    for day in range(100):
        path = folder / f"dt=2026-{1 + day // 28:02}-{1 + day % 28:02}"
        path.mkdir(parents=True)
        for number in range(20):
            (path / f"part-{number:05}.csv").write_text("id,v\n1,2\n")
    report = crawl([str(folder)])
    table = only(report)
    assert (report.listed_files, table.files, len(table.partitions)) == (2_000, 2_000, 100)
    assert report.read_files == 4


def test_folders_named_by_ids_are_one_table(tmp_path: Path) -> None:
    words = [f"{a}{b}er" for a in "abcdefghijklmno" for b in "abcdefghijklmnop"]
    for word in words:
        write(tmp_path / f"users/{word}/profile.json", '{"name": "x"}')
    table = only(crawl([str(tmp_path / "users")]))
    assert (table.files, len(table.partitions), table.layout_pattern) == (240, 240, "users/*/*.json")


def test_two_crawls_of_the_same_files_say_the_same(tmp_path: Path) -> None:
    put(tmp_path, {"t/eu/a.csv": FLIGHTS, "t/us/a.csv": FLIGHTS, "t/x/y.json": '{"a": {"1": 1, "2": 2, "3": 1}}'})
    one, two = (json.dumps(crawl([str(tmp_path / "t")]).as_json()) for _ in range(2))
    assert one == two


def test_a_report_goes_to_json_and_back(tmp_path: Path) -> None:
    put(tmp_path, {"t/dt=2026-11-01/x.json": '{"a": 1, "b": [{"c": "2026-01-01"}]}'})
    table = only(crawl([str(tmp_path / "t")]))
    data = json.loads(json.dumps(table.as_json()))
    assert DiscoveredTable.from_json(data).as_json() | {"partitions": data["partitions"]} == data


def test_folders_before_a_date_become_a_key_beside_it(tmp_path: Path) -> None:
    put(tmp_path, {"t/eu/2026/11/20/x.csv": FLIGHTS, "t/us/2026/11/21/x.csv": FLIGHTS})
    table = only(crawl([str(tmp_path / "t")]))
    assert table.layout_pattern == "t/*/{%Y}/{%m}/{%d}/*.csv"
    assert [(key.name, key.position) for key in table.partition_keys] == [("partition_0", 1), ("dt", 2)]
    assert [each.values for each in table.partitions] == [("eu", "2026-11-20"), ("us", "2026-11-21")]


def test_folders_behind_a_date_name_their_tables(tmp_path: Path) -> None:
    put(tmp_path, {"t/dt=2026-11-20/flights/x.csv": FLIGHTS, "t/dt=2026-11-20/shops/x.csv": "name,city\nX,Rome\n"})
    report = crawl([str(tmp_path / "t")])
    assert {table.name: table.layout_pattern for table in report.tables} == {
        "flights": "t/dt={partition}/flights/*.csv",
        "shops": "t/dt={partition}/shops/*.csv",
    }


def test_bombs_and_bottomless_files_are_refused_and_cost_little(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "t/good.csv": FLIGHTS,
            "t/bomb.csv.gz": gzip.compress(b"0" * 50_000_000),
            "t/deep.json": '{"a":' * 10_000 + "1" + "}" * 10_000,
            "t/cut.parquet": b"PAR1" + b"x" * 1_000,
            "t/line.txt": "a" * 5_000_000,
        },
    )
    report = crawl([str(tmp_path / "t")])
    assert only(report).files == 1
    assert len(report.skipped) == 4
    assert report.read_bytes < 1_200_000  # the megabyte of the endless line

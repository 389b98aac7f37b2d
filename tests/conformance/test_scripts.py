"""Printed programs, run as programs, give what the platform's own engine gives."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datalake_assets.components.pipelines import find_pipeline
from datalake_assets.errors import Unsupported
from datalake_assets.mapping.duckdb_engine import map_files
from datalake_assets.mapping.raw_files import StagedFile
from datalake_assets.mapping.scripts import script_duckdb
from datalake_assets.mapping.scripts.script import ENGINES, ScriptEngine, build_mapping, print_script
from datalake_assets.mapping.scripts.script_files import pattern_regex
from datalake_assets.mapping.scripts.script_spark import map_to_parquet as map_on_spark
from datalake_assets.mapping.spec import MappingSpec
from tests.conformance.conftest import needs_java
from tests.mapping import golden

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BERLIN = {"time_zone": "Europe/Berlin"}
MESSY = MappingSpec.model_validate(
    {
        "columns": [
            {"from": "id", "to": "id", "type": "bigint", "required": True},
            {"from": "price", "to": "price_eur", "type": "decimal(12,2)", "decimal": ",", "thousands": "."},
            {"from": "at", "to": "seen_at", "type": "timestamp", "format": ["%d.%m.%Y %H:%M", "iso"], **BERLIN},
            {"from": "ok", "to": "is_ok", "type": "boolean"},
            {"from": "ratio", "to": "ratio", "type": "double", "on_conflict": "split"},
            {"from": "mail", "to": "mail_hash", "type": "varchar", "mask": "hash"},
            {"from": "city", "to": "city", "type": "varchar(5)"},
            {"nest": {"lat": "lat", "lon": "lon"}, "to": "place", "type": "struct<lat:double,lon:real>"},
            {"constant": "EU", "to": "region", "type": "varchar"},
            {"from_key": "dt", "to": "day", "type": "date"},
            {"expression": "price_eur * 1.19", "to": "gross", "type": "decimal(12,2)"},
            {"expression": "coalesce(city, 'none') || '/' || region", "to": "label", "type": "varchar"},
            {"from": "note", "drop": True},
        ],
        "deduplicate": {"by": ["id"], "order": ["seen_at desc"]},
        "source": {"delimiter": ";", "null_values": ["", "NA"]},
        "bad_rows": {"fail_above": 1.0},
    }
)  # fmt: skip
MESSY_FILES = {
    "dt=2024-01-05/a.csv": (
        "id;price;at;ok;ratio;mail;city;lat;lon;note;more\n"
        '1;1.234,565;27.10.2024 02:30;yes;1e3;a@b.c;Ulm;1.5;2;secret;"x ""y"""\n'
        "2;1.23,4;31.03.2024 02:30;maybe;heavy;;Lübeck;north;2;secret;\n"
        '\n3;;2024-01-05T10:00:00+02:00;NA;;NA;"a\nb";;;secret;\x01\n'
        "4;1;2;3\n"
        '5;"1"x;;;;;;;;;\n'
        ";9999999999,995;2024-13-01;0;1e400;z;;;;;\n"
        "7;-,5;1;1;1;1;1;1;1;1;1\r\n"
        "1;2;28.10.2024 02:30;no;-0.5;d;'\\;;;;\n"
    ),
    "dt=2024-01-06/b.csv": "city;id;price\nUlm;1;7\nBonn;12;99999999999,99\nx;13;9223372036854775808\n",
}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.parquet"))
    rows = pa.concat_tables([pq.read_table(path) for path in files]).to_pylist() if files else []
    return sorted(rows, key=lambda row: (row["_source_file"], row["_source_row"]))


def schema_of(folder: Path) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in pq.read_schema(sorted(folder.glob("*.parquet"))[0])]


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    return write(tmp_path / "raw", MESSY_FILES)


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    from datalake_assets.sandbox.samples import samples

    day = date(2013, 1, 2)
    return write(tmp_path / "raw", {s.key: s.body for s in samples([day]) if s.key.startswith("flights/dt=2013-01-02")})


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def expected(spec: MappingSpec, raw: Path, folder: Path) -> Path:
    """The engine's own result for all files below a folder."""
    paths = sorted(path for path in raw.rglob("*") if path.is_file())
    folder.mkdir()
    map_files(spec, [StagedFile(path, str(path)) for path in paths], folder, threads=2, fail_on_bad_rows=False)
    return folder


def require_same(ours: Path, theirs: Path) -> None:
    assert rows_of(ours / "good") == rows_of(theirs / "good")
    assert rows_of(ours / "quarantine") == rows_of(theirs / "quarantine")
    assert schema_of(ours / "good") == schema_of(theirs / "good")


def run_program(
    text: str, folder: Path, *arguments: str, path: Sequence[Path] = (), exit_code: int = 0
) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(text)
    environment = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "JAVA_HOME", "TMPDIR", "LANG")
    }
    environment |= {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": "--master local[1] --conf spark.ui.enabled=false --conf spark.driver.memory=1g "
        "--conf spark.driver.host=127.0.0.1 --conf spark.sql.shuffle.partitions=1 "
        "--conf spark.sql.codegen.wholeStage=false pyspark-shell",
        "PYTHONPATH": os.pathsep.join(map(str, path)),
    }
    # Away from this project's folder, so that nothing of it can be imported by its place.
    done = subprocess.run(
        [sys.executable, str(program), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == exit_code, done.stderr[-3000:]
    return done


def test_a_program_for_duckdb_maps_the_flights(flights: Path, tmp_path: Path) -> None:
    declared = find_pipeline("flights/flights")
    spec = declared.spec.mapping()
    text = print_script(declared.name, spec, ["flights/dt={partition}/*.csv.gz"], "duckdb")
    out = tmp_path / "out"
    done = run_program(text, tmp_path, "--input", str(flights), "--output", str(out), "--partition", "2013-01-02")
    require_same(out, expected(spec, flights, tmp_path / "expected"))
    assert done.stdout == "flights/flights: 2 files, 949 good rows, 6 set aside\n"
    again = run_program(text, tmp_path, "--input", str(flights), "--output", str(out), exit_code=1)
    assert "the output is not empty" in again.stderr


def test_a_program_for_duckdb_maps_messy_files(messy: Path, tmp_path: Path) -> None:
    text = print_script("tests/messy", MESSY, ["dt={partition}/*.csv"], "duckdb")
    done = run_program(text, tmp_path, "--input", str(messy), "--output", str(tmp_path / "out"))
    require_same(tmp_path / "out", expected(MESSY, messy, tmp_path / "expected"))
    assert "2 files" in done.stdout
    assert "2 repeated rows left out" in done.stdout


def test_a_program_reads_one_partition_and_tells_that_too_many_rows_are_bad(messy: Path, tmp_path: Path) -> None:
    strict = MESSY.model_copy(update={"bad_rows": MESSY.bad_rows.model_copy(update={"fail_above": 0.1})})
    text = print_script("tests/messy", strict, ["dt={partition}/*.csv"], "duckdb")
    options = ["--input", str(messy), "--output", str(tmp_path / "out"), "--partition", "2024-01-06"]
    done = run_program(text, tmp_path, *options, exit_code=1)
    assert {row["_source_file"] for row in rows_of(tmp_path / "out" / "good")} == {f"{messy}/dt=2024-01-06/b.csv"}
    assert "more than 0.1 of the rows are bad" in done.stdout


@pytest.mark.timeout(300)
def test_messy_files_are_the_same_on_spark(spark: "SparkSession", messy: Path, tmp_path: Path) -> None:
    mapping = build_mapping("tests/messy", MESSY, ["dt={partition}/*.csv"], "spark")
    files = [str(messy / name) for name in MESSY_FILES]
    counts = map_on_spark(spark, mapping, files, str(tmp_path / "out"))
    require_same(tmp_path / "out", expected(MESSY, messy, tmp_path / "expected"))
    assert counts[2] == 2


@needs_java
@pytest.mark.timeout(300)
def test_a_program_for_glue_maps_the_flights_and_commits_its_job(flights: Path, tmp_path: Path) -> None:
    declared = find_pipeline("flights/flights")
    spec = declared.spec.mapping()
    text = print_script(declared.name, spec, ["flights/dt={partition}/*.csv.gz"], "glue")
    out = tmp_path / "out"
    options = ["--JOB_NAME", "flights", "--input", str(flights), "--output", str(out), "--partition", "2013-01-02"]
    done = run_program(text, tmp_path, *options, path=[stand_in_for_glue(tmp_path / "glue")])
    require_same(out, expected(spec, flights, tmp_path / "expected"))
    assert done.stdout.splitlines()[0] == "init flights"
    assert done.stdout.splitlines()[-1] == "commit"


def require_movie_posts(engine: ScriptEngine, tmp_path: Path) -> None:
    """Four tables out of nested posts: print the program as the command does, run it, and compare with the engine."""
    from datalake_assets.sandbox.movie_posts import first_days, movie_posts

    raw = write(tmp_path / "raw", {sample.key: sample.body for sample in movie_posts(first_days(3))})
    declared = find_pipeline("content/movie_posts")
    spec = declared.pipeline.mapping
    text = print_script(declared.name, spec, [str(pattern) for pattern in declared.spec.source.s3], engine)
    done = run_program(text, tmp_path, "--input", str(raw), "--output", str(tmp_path / "out"))
    wanted = expected(spec, raw, tmp_path / "expected")
    require_same(tmp_path / "out", wanted)
    assert len(spec.levels) == 3
    for level in spec.levels:
        folders = [folder / "children" / level.child.table for folder in (tmp_path / "out", wanted)]
        ours, theirs = (sorted(rows_of(folder), key=str) for folder in folders)
        assert len(theirs) > 300
        assert ours == theirs
        declared_names = [column.name for column in spec.child_columns(level)]
        assert [name for name, _ in schema_of(folders[0])] == declared_names
        positions = {name: type_ for name, type_ in schema_of(folders[0]) if name.endswith("_position")}
        assert set(positions.values()) == {pa.int32()}
        others = [pair for pair in schema_of(folders[0]) if pair[0] not in positions]
        assert others == [pair for pair in schema_of(folders[1]) if pair[0] not in positions]
    assert "repeated rows left out" in done.stdout


def test_a_program_for_duckdb_makes_four_tables_of_nested_posts(tmp_path: Path) -> None:
    require_movie_posts("duckdb", tmp_path)


@needs_java
@pytest.mark.timeout(300)
def test_a_program_for_spark_makes_four_tables_of_nested_posts(tmp_path: Path) -> None:
    require_movie_posts("spark", tmp_path)


def stand_in_for_glue(folder: Path) -> Path:
    """A package `awsglue` that knows as much of a Glue job as a program uses."""
    return write(
        folder,
        {
            "awsglue/__init__.py": "",
            "awsglue/context.py": (
                "from pyspark.sql import SparkSession\n\n\nclass GlueContext:\n"
                "    def __init__(self, context):\n        self.spark_session = SparkSession(context)\n"
            ),
            "awsglue/job.py": (
                "class Job:\n    def __init__(self, context):\n        pass\n\n"
                "    def init(self, name, options):\n        print('init', name)\n\n"
                "    def commit(self):\n        print('commit')\n"
            ),
            "awsglue/utils.py": (
                "def getResolvedOptions(argv, names):\n"
                "    return {name: argv[argv.index('--' + name) + 1] for name in names}\n"
            ),
        },
    ).resolve()


def test_a_program_imports_nothing_of_the_platform() -> None:
    for engine in ENGINES:
        text = print_script("tests/messy", MESSY, ["*.csv"], engine)
        assert "datalake_assets" not in text
        modules = {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        }
        wanted = {"duckdb": {"duckdb"}, "spark": {"pyspark"}, "glue": {"pyspark", "awsglue"}}[engine]
        assert modules - sys.stdlib_module_names == wanted | {"boto3", "pyarrow"}


# Golden cases that Spark cannot do, and what its refusal names.
REFUSED = {"expressions": "CAST", "masks": "salt_secret", "nested": "array<varchar> of loud"}


def on_spark(case: golden.Case) -> golden.Case:
    """The case without those columns that Spark refuses."""
    if case.name != "nested":
        return case
    refused = ("tag_count", "loud")
    columns = tuple(column for column in case.spec.mapped if column.to not in refused)
    good = [{name: value for name, value in row.items() if name not in refused} for row in case.good]
    return replace(case, spec=case.spec.model_copy(update={"columns": columns}), good=good)


DONE = [on_spark(case) for case in golden.cases() if case.name not in ("expressions", "masks")]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["spark", "sail"])
def test_golden_cases_are_the_same_on_spark(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    session = request.getfixturevalue(engine)
    assert len(DONE) >= 12
    # The embedded one keeps no table and computes it wherever it is named: with elements that takes minutes.
    left_out = ("moments", "numbers")  # whose values are compared elsewhere
    some = [case for case in DONE if case.name not in left_out]
    for case in some if engine == "spark" else [case for case in some if case.name in ("conflicts", "nested")]:
        folder = tmp_path / case.name
        mapping = build_mapping(case.name, case.spec, ["*"], "spark")
        raw = write(folder / "raw", case.files)
        counts = map_on_spark(session, mapping, [str(raw / name) for name in case.files], str(folder / "out"))
        require_golden(case, folder / "out", counts)


def test_golden_cases_are_the_same_in_programs_for_duckdb(tmp_path: Path) -> None:
    for case in golden.cases():
        if case.salts:
            continue
        mapping = build_mapping(case.name, case.spec, ["*"], "duckdb")
        folder = tmp_path / case.name
        raw = write(folder / "raw", case.files)
        files = [str(raw / name) for name in case.files]
        counts = script_duckdb.map_to_parquet(mapping, files, folder / "out", folder)
        require_golden(case, folder / "out", counts)


def require_golden(case: golden.Case, out: Path, counts: tuple[int, int, int]) -> None:
    good, bad = ([golden.row(row) for row in rows_of(out / name)] for name in ("good", "quarantine"))
    assert in_order(good) == in_order(case.good), case.name
    wanted = in_order(case.quarantine)
    found = [
        {key: value for key, value in row.items() if key in some}
        for row, some in zip(in_order(bad), wanted, strict=True)
    ]
    assert found == wanted, case.name
    assert counts == (len(case.good), len(case.quarantine), case.duplicates), case.name
    for table, rows in case.children.items():
        children = [golden.row(row) for row in rows_of(out / "children" / table)]
        assert in_order(children) == in_order(rows), f"{case.name} {table}"


@pytest.mark.parametrize("name", REFUSED)
def test_what_spark_cannot_do_is_refused_by_its_word(name: str) -> None:
    (case,) = (each for each in golden.cases() if each.name == name)
    with pytest.raises(Unsupported) as refusal:
        print_script(name, case.spec, ["*"], "spark")
    assert REFUSED[name] in str(refusal.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"source": {"format": "avro"}}, "does not read the format avro"),
        ({"on_schema_change": "freeze"}, "on_schema_change: freeze"),
    ],
)
def test_what_no_program_can_do_is_refused(words: dict[str, Any], told: str) -> None:
    spec = MappingSpec.model_validate({"columns": [{"from": "a", "to": "a", "type": "int"}], **words})
    for engine in ENGINES:
        with pytest.raises(Unsupported, match=told):
            print_script("tests/refused", spec, ["*"], engine)


ABC = [{"from": name, "to": name, "type": "varchar", "required": name == "a"} for name in "abc"]
HIDDEN = [{**ABC[0], "mask": "redact"}, *ABC[1:]]
JSON_COLUMNS = [
    {"from": "a", "to": "a", "type": "decimal(9,2)"},
    {"from": "b.c", "to": "c", "type": "varchar"},
    {"from": '"d.e"', "to": "d", "type": "array<int>", "on_conflict": "null"},
]
MASKED = [
    {**JSON_COLUMNS[1], "mask": "hash"},
    {"from": "b", "to": "b", "type": "struct<c:varchar>", "on_conflict": "null"},
]
SHORT_AND_LONG = 'a,b,c\n1\n2,"x\ny",3,4,NA,"5 ""q"""\n,\n"7"x,8,9\n\n1,2,3,\n'
WRITTEN_BADLY = (
    '{"a": 1.10, "b": {"c": 1e3, "x": "\\u00e4\\u001f"}, "d.e": [1, 2], "n": null}\n'
    '{"a": 2, "b": {"c": {"y": -0, "z": 1.50}}, "d.e": "[3]", "f": 12345678901234567890.10}\n'
    '\n{"a": "x", "b": 5}\n{"a": 1, "a": 2}\n{"a": 1\n[1]\n{"a": NaN}\n{"a": 3, "b": null} x\n{"a": 4, "g": [null]}\n'
)


@pytest.mark.parametrize(
    ("columns", "source", "text"),
    [
        (ABC, {"header": 0, "names": ["a", "b", "c"]}, "1,2,3\n4,5\n6,7,8\n"),
        (ABC, {"skip_rows": 2}, 'made by "x\n\na,b,c\n1,2,3\n'),
        (ABC, {"short_rows": "pad", "long_rows": "rescue", "null_values": ["", "NA"]}, SHORT_AND_LONG),
        (HIDDEN, {"short_rows": "pad", "long_rows": "rescue", "null_values": ["", "NA"]}, SHORT_AND_LONG),
        (ABC, {"skip_footer": 1, "delimiter": "||"}, "a||b||c\n1||2||3\n4||5\ntotal||5\n\n"),
        ([{**each, "from": f"{each['from']} x"} for each in ABC], {"header": 2}, "a,b,c\nx,x,x\n1,2,3\n"),
        (JSON_COLUMNS, {"format": "json", "layout": "lines"}, WRITTEN_BADLY),
        (MASKED, {"format": "json", "layout": "lines"}, WRITTEN_BADLY.replace("g", "b")),
        (JSON_COLUMNS, {"format": "json"}, '[{"a": 1.0}, {"a": "y", "z": 1}, 5, {"b": {"c": "d"}}]'),
        (JSON_COLUMNS, {"format": "json"}, '{\n"a": 1}\n{"a": 2,\n "b": {}} {"d.e": [1, "x"]}'),
        (
            JSON_COLUMNS,
            {"format": "json", "records": "data.items"},
            '{"data": {"items": [{"a": 1}, {"a": 2}], "n": 1}}',
        ),
    ],
)
def test_programs_read_what_the_platform_reads(
    columns: list[dict[str, Any]], source: dict[str, Any], text: str, tmp_path: Path
) -> None:
    words = {"columns": columns, "source": source, "bad_rows": {"fail_above": 1.0}}
    spec = MappingSpec.model_validate(words)
    raw = write(tmp_path / "raw", {"a.txt": text})
    mapping = build_mapping("tests/words", spec, ["*"], "duckdb")
    script_duckdb.map_to_parquet(mapping, [str(raw / "a.txt")], tmp_path / "out", tmp_path)
    wanted = expected(spec, raw, tmp_path / "expected")
    assert len(rows_of(wanted / "good")) > 0
    require_same(tmp_path / "out", wanted)


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda each: (str(each["_row"]), str(sorted(each.items(), key=str))))


def test_patterns_find_the_keys_of_a_partition() -> None:
    regex = re.compile(pattern_regex("a/{%Y}/{%m}/**/dt={partition}/*.csv", "2024-01-05"))
    assert regex.fullmatch("a/2024/01/x/y/dt=2024-01-05/b.csv")
    assert not regex.fullmatch("a/2024/01/x/y/dt=2024-01-05/b/c.csv")
    assert not regex.fullmatch("a/2024/02/x/dt=2024-01-05/b.csv")

"""For a pipeline's own tests: what its declaration makes of some files, without AWS, Dagster or a database.

    mapped = map_files(Path(__file__).parent, "sample.csv")
    assert not mapped.set_aside
    assert mapped.rows[0]["city"] == "Berlin"

It is the code that runs map with, so what a test shows is what a run will do.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datalake_assets import names
from datalake_assets.errors import ConfigurationError

PLATFORM_COLUMNS = (names.SOURCE_FILE_COLUMN, names.SOURCE_ROW_COLUMN, names.RESCUED_COLUMN)


@dataclass(frozen=True)
class Mapped:
    """What became of some raw files.

    Args:
        rows: of the table in the order of the files, each column by its name; what the platform adds is left out.
        set_aside: for each reason why rows were put into quarantine a sentence with an example.
        failed_checks: the declared checks that these rows would fail, each as a sentence.
        children: the rows of each child table.
        rescued: the JSON texts of values that no column takes.
        notes: what else people are told.
    """

    rows: list[dict[str, Any]]
    set_aside: list[str]
    failed_checks: list[str]
    children: dict[str, list[dict[str, Any]]]
    rescued: list[str]
    notes: list[str]


def map_files(folder: Path, *files: str | Path, partition: str | None = None) -> Mapped:
    """Map raw files as the LakePipeline in a folder does.

    Args:
        folder: of the pipeline; it has the defs.yaml.
        files: paths, relative ones below the folder; they are mapped as one partition.
        partition: the day that the checks take them for; by default the first one.

    Raises:
        ConfigurationError: the declaration has mistakes, or is none of a LakePipeline.
        BadInput: a file cannot be read at all, or lacks a required column.
    """
    from datalake_assets.mapping import duckdb_engine
    from datalake_assets.mapping.checks import run_checks
    from datalake_assets.mapping.masks import salt_secrets
    from datalake_assets.mapping.raw_files import StagedFile

    spec = _lake_spec(folder)
    mapping = spec.mapping()
    paths = [folder / each for each in files]
    staged = [StagedFile(path, _uri(path, spec)) for path in paths]
    day = partition or (spec.partitions.daily.isoformat() if spec.partitions else "")
    with tempfile.TemporaryDirectory(prefix="datalake-testing-") as work:
        result = duckdb_engine.map_files(
            mapping,
            staged,
            Path(work) / "out",
            fail_on_bad_rows=False,
            # Nobody's secret: a test shall not need one, and compares no hashes of the real one.
            salts=dict.fromkeys(salt_secrets(mapping), "salt of tests"),
        )
        checks = run_checks(spec.checks, result.good_files, partition=day)
        rows = _read(result.good_files)
        children = {each.table: _plain(_read(each.files)) for each in result.children}
    return Mapped(
        rows=_plain(rows),
        set_aside=[str(each) for each in result.reasons],
        failed_checks=[str(each) for each in checks if not each.passed],
        children=children,
        rescued=[text for row in rows if (text := row.get(names.RESCUED_COLUMN)) is not None],
        notes=list(result.notes),
    )


def _lake_spec(folder: Path) -> Any:
    from datalake_assets.components.declarations import read_declarations

    declared = read_declarations(folder / "defs.yaml")
    if not declared:
        raise ConfigurationError("there is no LakePipeline", where=str(folder / "defs.yaml"))
    return declared[0].spec


def _uri(path: Path, spec: Any) -> str:
    """What messages call the file: a key that ends like its name, as compression goes by that."""
    return f"s3://raw/{spec.name}/{path.name}"


def _read(files: Sequence[Path]) -> list[dict[str, Any]]:
    import duckdb

    with duckdb.connect(":memory:") as connection:
        listed = ", ".join("'" + str(each).replace("'", "''") + "'" for each in files)
        found = connection.execute(f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)")
        columns = [each[0] for each in found.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def _plain(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in PLATFORM_COLUMNS} for row in rows]

"""Every word of a mapping does on DuckDB what the golden data say."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.mapping import golden
from tests.mapping.builders import run_mapping

CASES = golden.cases()


def rows_of(files: Iterable[Path]) -> list[dict[str, Any]]:
    tables = [pq.read_table(path) for path in files]
    return [golden.row(each) for each in pa.concat_tables(tables).to_pylist()] if tables else []


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda each: (str(each["_row"]), str(sorted(each.items(), key=str))))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_mapping_gives_the_golden_rows(case: golden.Case, tmp_path: Path) -> None:
    result = run_mapping(case.spec, case.files, tmp_path, salts=case.salts).result

    assert in_order(rows_of(result.good_files)) == in_order(case.good)
    found = {child.table: in_order(rows_of(child.files)) for child in result.children}
    assert found == {table: in_order(rows) for table, rows in case.children.items()}
    bad = [
        {key: value for key, value in each.items() if key in wanted}
        for each, wanted in zip(in_order(rows_of(result.quarantine_files)), in_order(case.quarantine), strict=True)
    ]
    assert bad == in_order(case.quarantine)
    assert result.rows_duplicate == case.duplicates
    assert result.rows_good == len(case.good)
    assert result.rows_bad == len(case.quarantine)
    assert [child.rows for child in result.children] == [len(found[child.table]) for child in result.children]

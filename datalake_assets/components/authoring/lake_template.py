"""The files of a new LakePipeline over raw files that nobody has yet: an example that runs, with what may be said."""

from datalake_assets.components.authoring.words import NewName, filled

SAMPLE = """\
id,customer,amount,ordered
1,Ada,19.90,31.12.2025 23:58
2,Grace,5.00,01.01.2026 00:03
3,,0.50,01.01.2026 08:30
"""

_DECLARATION = """\
# Raw files become a table of the lake, and of the warehouse. This one reads sample.csv; change the words to fit yours.
# All words: docs/pipelines.md. `datalake validate` finds mistakes before anything loads.
type: datalake_assets.components.LakePipeline
attributes:
  name: <name>  # of this folder, of the table and of the job
  description: One row per order, as the shop exports them.  # shown in the UI
  owner: <owner>  # whom alerts name: team:NAME or an e-mail address
  source:
    # Keys in the bucket <raw bucket>. {partition} is where the day stands, * is anything within a folder.
    s3: "<name>/dt={partition}/*.csv"
    format: csv  # or json, xml, parquet, avro, orc, log; compressed files are told by their ending
    null_values: ["", "NA"]
  # One partition a day from then on. Without this line, the newest file replaces the whole table.
  partitions: {daily: "<day>"}
  trigger:
    # A day runs when its files have not changed for so long. Other ways, such as a schedule or after other pipelines:
    # docs/triggers.md
    arrivals: {settle: 10s}
  columns:
    # from: as the files call it, to: as the table does. A row with a value that is not of its type goes to
    # <name>_quarantine, with the reason; the others are published. More: docs/mapping.md
    - {from: id, to: id, type: bigint, required: true, description: Number of the order}
    - {from: customer, to: customer, type: varchar}
    - {from: amount, to: amount_eur, type: "decimal(12,2)"}
    - {from: ordered, to: ordered_at, type: timestamp, format: "%d.%m.%Y %H:%M"}
  bad_rows: {fail_above: 1%}  # with more bad rows than that, a partition stays as it was
  checks:  # what must hold before readers see the rows; `severity: warn` only tells people
    - {unique: [id]}
    - {expression: "amount_eur >= 0", name: amount_is_not_negative, severity: warn}
  warehouse: {table: <warehouse>, mode: copy, sort: [dt]}  # without it, the data ends in the lake
"""

_TEST = '''\
"""What the pipeline makes of its files; pytest runs this without AWS."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

from datalake_assets.testing import map_files

FOLDER = Path(__file__).parent


def test_each_row_of_the_sample_is_published() -> None:
    mapped = map_files(FOLDER, "sample.csv")
    assert mapped.set_aside == []
    assert mapped.failed_checks == []
    assert len(mapped.rows) == 3
    assert mapped.rows[0] == {
        "id": 1,
        "customer": "Ada",
        "amount_eur": Decimal("19.90"),
        "ordered_at": datetime(2025, 12, 31, 23, 58),
    }


def test_an_empty_text_is_a_null() -> None:
    assert map_files(FOLDER, "sample.csv").rows[2]["customer"] is None


def test_a_row_without_a_number_is_set_aside(tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("id,customer,amount,ordered\\nx,Ada,1.00,01.01.2026 00:00\\n", encoding="utf-8")
    mapped = map_files(FOLDER, broken)
    assert mapped.rows == []
    assert len(mapped.set_aside) == 1
    assert "id 'x'" in mapped.set_aside[0]
'''


def lake_files(new: NewName, *, raw_bucket: str, warehouse: str) -> dict[str, str]:
    """The files of the pipeline by their names."""
    words = {"raw bucket": raw_bucket, "warehouse": warehouse}
    return {
        "defs.yaml": filled(_DECLARATION, new, **words),
        "sample.csv": SAMPLE,
        new.test_name: filled(_TEST, new, **words),
    }

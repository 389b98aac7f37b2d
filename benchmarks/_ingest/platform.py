"""The platform: the pipeline that a defs.yaml would declare, through `ingest`, as the step of a run does it.

Dagster itself is not imported: a run has done so before its step begins. With `"warm": true` in the order neither is
the database driver counted, which a run has loaded for its event log.
"""

import datetime as dt
import json
import sys

from benchmarks._ingest.data import COLUMNS, FIRST_DAY


def main() -> None:
    """Ingest the days of the order and count what was published."""
    order = json.loads(sys.argv[1])
    if order.get("warm"):
        import sqlalchemy.dialects.postgresql.psycopg2  # noqa: F401
    from datalake_assets.arrivals.partitions import Daily
    from datalake_assets.arrivals.pattern import KeyPattern
    from datalake_assets.ingest.outcomes import Failed, Published
    from datalake_assets.ingest.pipeline import Pipeline
    from datalake_assets.ingest.run import ingest
    from datalake_assets.mapping.check_spec import Check
    from datalake_assets.mapping.spec import MappingSpec

    columns = [{"from": name, "to": name, "type": kind} for name, kind in COLUMNS.items()]
    pipeline = Pipeline(
        location="flights",
        name="orders",
        owner="team:benchmarks",
        patterns=(KeyPattern.parse("orders/dt={partition}/*.csv", Daily(dt.date.fromisoformat(FIRST_DAY))),),
        mapping=MappingSpec.model_validate({"columns": columns, "bad_rows": {"fail_above": "1%"}}),
        checks=(Check(unique=("order_id",)), Check(not_null=("city",))),
    )
    rows = bad = 0
    for outcome in ingest(pipeline, order["days"], run_id="benchmark"):
        if isinstance(outcome, Failed):
            raise outcome.error
        assert isinstance(outcome, Published)
        rows += outcome.counts.rows_published
        bad += outcome.counts.rows_quarantined
    print(json.dumps({"rows": rows, "bad": bad}))


if __name__ == "__main__":
    main()

"""The platform: the pipeline that a defs.yaml would declare, through `ingest`, as a run does it."""

import json
import sys

from benchmarks._ingest.data import COLUMNS

SPEC = {
    "name": "orders",
    "owner": "team:benchmarks",
    "source": {"s3": "orders/dt={partition}/*.csv"},
    "partitions": {"daily": "2026-01-01"},
    "columns": [{"from": name, "to": name, "type": kind} for name, kind in COLUMNS.items()],
    "bad_rows": {"fail_above": "1%"},
    "checks": [{"unique": ["order_id"]}, {"not_null": ["city"]}],
}


def main() -> None:
    """Ingest the days of the order and count what was published."""
    order = json.loads(sys.argv[1])
    import dagster_postgres  # noqa: F401 - a run has loaded its storage before its step begins

    from datalake_assets.components.lake_pipeline import build_pipeline
    from datalake_assets.components.pipeline_spec import PipelineSpec
    from datalake_assets.ingest.outcomes import Failed, Published
    from datalake_assets.ingest.run import ingest

    pipeline = build_pipeline("flights", PipelineSpec.model_validate(SPEC))
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

"""Parts of `benchmarks.triggers`: the 700 pipelines, Dagster's processes around them, and what is measured."""

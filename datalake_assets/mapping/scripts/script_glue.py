"""The program for AWS Glue 5: the one for Spark, started as a Glue job and told to Glue when it is done."""

import sys
from collections.abc import Sequence
from typing import Any

from datalake_assets.mapping.scripts.script_files import Mapping, find_files, report
from datalake_assets.mapping.scripts.script_reader import BadFile
from datalake_assets.mapping.scripts.script_spark import main as main_on_spark
from datalake_assets.mapping.scripts.script_spark import map_to_parquet


def main(mapping: Mapping, arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv if arguments is None else ["", *arguments]
    try:
        from awsglue.context import GlueContext  # type: ignore[import-not-found]
        from awsglue.job import Job  # type: ignore[import-not-found]
        from awsglue.utils import getResolvedOptions  # type: ignore[import-not-found]
    except ImportError:
        # Outside of Glue it is a plain Spark program.
        return main_on_spark(mapping, arguments[1:])
    from pyspark import SparkContext

    optional = [name for name in ("partition",) if f"--{name}" in arguments]
    options: dict[str, Any] = getResolvedOptions(arguments, ["JOB_NAME", "input", "output", *optional])
    context = GlueContext(SparkContext.getOrCreate())
    job = Job(context)
    job.init(options["JOB_NAME"], options)
    try:
        files = find_files(options["input"], mapping.patterns, options.get("partition"))
        counts = map_to_parquet(context.spark_session, mapping, files, options["output"])
    except BadFile as error:
        # What is raised fails the job; what is printed does not.
        raise SystemExit(f"error: {error}") from error
    if report(mapping, len(files), *counts):
        raise SystemExit(1)
    job.commit()
    return 0

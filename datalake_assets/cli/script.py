"""`datalake script`: a pipeline's mapping as a program of its own."""

from pathlib import Path

import click


@click.command()
@click.argument("pipeline")
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark", "glue"]),
    default="duckdb",
    show_default=True,
    help="What runs it.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file instead of printing it."
)
def script(pipeline: str, engine: str, output: Path | None) -> None:
    """Print a program that maps the raw files of a PIPELINE (location/pipeline) to Parquet, without this platform.

    Its good rows and its quarantine are those of the pipeline's own runs. What such a program cannot do is an error.
    """
    from datalake_assets.components.pipelines import find_pipeline
    from datalake_assets.mapping.scripts.script import ENGINES, print_script

    declared = find_pipeline(pipeline, raw=True)
    (chosen,) = (each for each in ENGINES if each == engine)
    patterns = [str(pattern) for pattern in declared.raw_spec.source.s3]
    text = print_script(declared.name, declared.pipeline.mapping, patterns, chosen)
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text)
    click.echo(f"Wrote {output}.", err=True)

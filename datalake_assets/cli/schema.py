"""`datalake schema`: what may stand in a defs.yaml, for editors."""

from pathlib import Path

import click


@click.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file.")
def schema(output: Path | None) -> None:
    """Print the JSON schema of defs.yaml.

    An editor with the YAML language server takes it from the first line of a file:
    `# yaml-language-server: $schema=../../../../defs.schema.json`
    """
    import json

    from datalake_assets.components.json_schema import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    click.echo(f"{output} holds the schema.")

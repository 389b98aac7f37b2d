"""`datalake policy`: what an account's role may do and what it lets others do, as JSON that AWS takes."""

import json

import click

KINDS = {
    "trust": "trust",
    "role": "role",
    "lake-bucket": "lake bucket",
    "catalog": "catalog",
    "queue": "queue",
}


@click.command()
@click.argument("account")
@click.option(
    "--only", type=click.Choice(list(KINDS)), help="One policy by itself, ready for the service that takes it."
)
def policy(account: str, only: str | None) -> None:
    """Print the policies of ACCOUNT (a location's name or its twelve-digit id), made of the registry and its grants.

    `platform` in place of an account prints what the platform's own role needs.
    """
    from datalake_assets.accounts.policies import platform_policy, policies_of
    from datalake_assets.accounts.registry import registry

    accounts = registry()
    if account in ("platform", accounts.platform.id):
        if only:
            raise click.UsageError("the platform has a role policy only; leave --only away")
        click.echo(json.dumps(platform_policy(accounts), indent=2))
        return
    found = policies_of(accounts.account(account), accounts)
    if only is None:
        click.echo(json.dumps(found, indent=2))
        return
    if KINDS[only] not in found:
        raise click.ClickException(
            f"{account} has granted nothing to other accounts, so it has no {KINDS[only]} policy"
        )
    click.echo(json.dumps(found[KINDS[only]], indent=2))

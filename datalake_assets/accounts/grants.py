"""Who may read whose lake tables: what the registry grants, asked before anything is read.

On AWS the policies that `policies` makes of the same grants decide. This check comes first everywhere, so that a
grant that is missing is found when a pipeline is validated, and a run says which line to add instead of what S3 says.
"""

from datalake_assets.accounts.registry import Registry, registry
from datalake_assets.errors import AccessDenied
from datalake_assets.names import asset_key


def is_granted(reader: str, owner: str, table: str, *, accounts: Registry | None = None) -> bool:
    """Whether the account `reader` may read the lake table `table` of the account `owner`; both by location or id.

    Raises:
        ConfigurationError: the registry does not know one of them.
    """
    if reader == owner:
        return True
    known = accounts or registry()
    found = known.account(owner)
    name = known.account(reader).name
    return name == found.name or name in found.grants.get(table, ())


def require_grant(reader: str, owner: str, table: str, *, accounts: Registry | None = None) -> None:
    """Refuse to go on unless the account `reader` may read the lake table `table` of the account `owner`.

    An account's own tables need no grant.

    Args:
        reader: location name or twelve-digit id of the account that wants to read.
        owner: location name or twelve-digit id of the account that the table belongs to.
        table: name of the lake table; its quarantine is a table of its own, with a grant of its own.
        accounts: another registry than that of this process.

    Raises:
        AccessDenied: no such grant; the message names the asset, the reader and the line to add.
        ConfigurationError: the registry does not know one of the accounts.
    """
    if is_granted(reader, owner, table, accounts=accounts):
        return
    known = accounts or registry()
    found, name = known.account(owner), known.account(reader).name
    readers = ", ".join((*found.grants.get(table, ()), name))
    asset = "/".join(asset_key(found.name, "lake", table))
    raise AccessDenied(
        f"the account {name} may not read {asset}: {found.name} has not granted it",
        where=f"registry.yaml: accounts.{found.name}.grants",
        expected=f"`{table}: [{readers}]`",
        todo=f"Ask the owner of {found.name} to put this line under `grants:` of that account",
    )


def granted_to(reader: str, *, accounts: Registry | None = None) -> list[tuple[str, str]]:
    """The tables of other accounts that an account may read, as (owner's location, table), sorted.

    Raises:
        ConfigurationError: the registry does not know the account.
    """
    known = accounts or registry()
    name = known.account(reader).name
    return sorted((owner.name, table) for owner in known for table, readers in owner.grants.items() if name in readers)

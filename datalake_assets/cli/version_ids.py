"""Version ids as people read and type them: `20260131T140509` for `20260131T140509123456Z-0a1b2c3d4e5f`."""

from collections.abc import Sequence

from datalake_assets.errors import ConfigurationError

SHORT = len("20260131T140509")
MAX_NAMED = 5


def short(version: str | None) -> str:
    """The beginning of an id, to the second; a dash for none."""
    return version[:SHORT] if version else "–"


def shortened(versions: Sequence[str]) -> dict[str, str]:
    """For each id the shortest beginning, from the second on, that no other one of them has."""
    found: dict[str, str] = {}
    for version in versions:
        length = SHORT
        while length < len(version) and sum(each.startswith(version[:length]) for each in versions) > 1:
            length += 1
        found[version] = version[:length]
    return found


def resolve(text: str, versions: Sequence[str], *, of: str) -> str:
    """The one id that is `text` or begins with it.

    Raises:
        ConfigurationError: none does, or more than one.
    """
    found = [text] if text in versions else [each for each in versions if text and each.startswith(text)]
    if len(found) == 1:
        return found[0]
    names = list(shortened(found or versions).values())
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    listed = ", ".join(names[:MAX_NAMED]) + more
    if found:
        raise ConfigurationError(
            f"{of} has {len(found)} versions that begin with {text!r}", expected=f"one of {listed}"
        )
    raise ConfigurationError(f"{of} has no version {text!r}", expected=f"one of {listed}" if listed else None)

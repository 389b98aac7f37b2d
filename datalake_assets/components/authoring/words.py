"""What every new pipeline is called by, and how its names come into the text of its files."""

import re
from dataclasses import dataclass

from datalake_assets.components.yaml_text import flow

_PLACE = re.compile(r"<([a-z ]+)>")


@dataclass(frozen=True)
class NewName:
    """A pipeline that is about to be written.

    Args:
        location: of the account; with `name` a part of every name in it.
        owner: `team:NAME` or an e-mail address.
        day: the first of its partitions.
    """

    location: str
    name: str
    owner: str
    day: str

    @property
    def test_name(self) -> str:
        """The file of its tests. pytest wants each to be called otherwise; two accounts may have a `listings` each."""
        return f"test_{self.location}_{self.name}.py"


def filled(text: str, new: NewName, **words: str) -> str:
    """A text with each `<word>` replaced; one that has no value is a mistake of the template."""
    values = {
        "location": new.location,
        "name": new.name,
        "owner": flow(new.owner),
        "day": new.day,
        **words,
    }
    return _PLACE.sub(lambda match: values[match[1]], text)

"""Who a declaration belongs to: whom alerts name and the UI shows."""

import re
from typing import Annotated

from pydantic import AfterValidator

_OWNER = re.compile(r"team:[\w .+-]+|[^@\s]+@[^@\s]+\.[^@\s]+")


def _names_somebody(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise ValueError("not an owner; expected team:NAME or an e-mail address")
    return value


Owner = Annotated[str, AfterValidator(_names_somebody)]

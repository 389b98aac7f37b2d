"""What a program calls the failures of the platform's readers."""


class EmptyObject(Exception):
    """A raw file without content."""

    def __init__(self, found: str, *, where: str = "", expected: str = "", todo: str = "") -> None:
        told = f"{where}: {found}" if where else found
        super().__init__(told + (f"; expected {expected}" if expected else ""))


class UnreadableObject(EmptyObject):
    """A raw file that is not what was declared."""

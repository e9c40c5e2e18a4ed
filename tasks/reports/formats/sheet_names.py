"""Name the sheets of a workbook: as near to what was asked for as spreadsheets allow."""

import re

_MOST_CHARACTERS = 31
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f\ufffe\uffff]+")
#: Spreadsheets keep it for themselves.
_RESERVED = "history"
_NAMELESS = "Sheet"


class SheetNames:
    """Gives names that differ from each other, also where capitals do not count."""

    def __init__(self, *taken: str) -> None:
        self._taken = {_RESERVED, *map(str.lower, taken)}

    def new(self, wanted: str) -> str:
        """Return a name that no sheet has yet: ``name``, ``name (2)``, ``name (3)``."""
        plain = _FORBIDDEN.sub(" ", wanted).strip().strip("'") or _NAMELESS
        name, times = _cut(plain, _MOST_CHARACTERS), 1
        while name.lower() in self._taken:
            times += 1
            mark = f" ({times})"
            name = _cut(plain, _MOST_CHARACTERS - len(mark)) + mark
        self._taken.add(name.lower())
        return name


def _cut(name: str, characters: int) -> str:
    """Cut a name to so many UTF-16 units, which is what spreadsheets count."""
    return name.encode("utf-16-le")[: 2 * characters].decode("utf-16-le", "ignore").rstrip("' ")

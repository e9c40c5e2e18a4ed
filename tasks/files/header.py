"""Settle which columns the fields of a file are for."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tasks.files.errors import BadFile


def header_columns(
    names: Sequence[str | None], instead: Sequence[str] | None, rename: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the columns that a header means; raises :class:`BadFile` if that is not clear.

    ``instead`` replaces the header's names, ``rename`` some of them.
    """
    if instead is not None and len(instead) != len(names):
        raise BadFile(f"the header has {len(names)} names, but columns has {len(instead)}")
    given = _all_named(instead or names)
    unknown = sorted(rename.keys() - set(given))
    if unknown:
        raise BadFile(f"rename speaks of {unknown[0]!r}, but the header has {_listed(given)}")
    columns = tuple(rename.get(name, name) for name in given)
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise BadFile(
            f"the header names {twice[0]!r} {columns.count(twice[0])} times: "
            "correct it, or give all names in columns"
        )
    return columns


def _all_named(names: Sequence[str] | Sequence[str | None]) -> tuple[str, ...]:
    for place, name in enumerate(names, 1):
        if not name:
            raise BadFile(
                f"name {place} of the {len(names)} in the header is empty: "
                "correct it, or give all names in columns"
            )
    return tuple(name for name in names if name)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))

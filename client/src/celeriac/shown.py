"""Show a value of the caller's in an error, short whatever it is."""

import reprlib

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80


def shown(value: object) -> str:
    """Return a value as Python writes it, cut where it is long."""
    try:
        return _repr.repr(value)
    except Exception:  # noqa: BLE001 - a foreign __repr__, or an integer too long to write
        return f"a {type(value).__qualname__} too long to show"

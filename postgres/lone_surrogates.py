r"""Carry halves of a character pair through readers that refuse them, to the row they are in.

JSON may hold ``\ud800`` without its other half: Python's writer makes it of a
broken text. No UTF-8 can hold it, and the fast reader takes no message with it.
It travels as a NUL with its number behind it, which PostgreSQL refuses as
well, so that one row ends in quarantine and its job goes on.
"""

import re

#: Escapes as they follow each other: a whole pair, half of one, any other.
_ESCAPE = re.compile(
    r"\\(?:u(?P<pair>d[89ab]..\\ud[c-f]..)|u(?P<lone>d[89a-f][0-9a-f]{2})|.)",
    re.IGNORECASE | re.DOTALL,
)
#: The escape of a NUL, which no other backslash escapes, and the number of a half.
_MASKED = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000u(d[89a-f][0-9a-f]{2})", re.IGNORECASE)

#: The same as Python shows it.
_MASKED_SHOWN = re.compile(r"(?<!\\)((?:\\\\)*)\\x00u(d[89a-f][0-9a-f]{2})", re.IGNORECASE)


def mask(text: str) -> str:
    """Return JSON text with lone surrogates masked, in keys too."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(
        lambda found: f"\\u0000u{found['lone']}" if found["lone"] else found[0], text
    )


def unmask(text: str) -> str:
    """Return JSON text with lone surrogates as they came: JSON still, but no jsonb."""
    return _MASKED.sub(r"\1\\u\2", text) if "\\u0000u" in text else text


def unmask_shown(text: str) -> str:
    """Return what ``repr`` shows of a value with lone surrogates as they came."""
    return _MASKED_SHOWN.sub(r"\1\\u\2", text)

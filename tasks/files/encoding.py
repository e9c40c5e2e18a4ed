"""Turn what a file holds into UTF-8."""

import codecs
from collections.abc import Iterator

from tasks.files.errors import BadFile

_UTF8 = "utf-8"
#: Encodings in name only: they stand for no text files, and some are slow by design.
_NO_TEXT = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})


def codec_name(encoding: str) -> str:
    """Return Python's name of an encoding; raises :class:`BadFile` if it is none of text."""
    try:
        found = codecs.lookup(encoding)
        is_text = "x".encode(found.name).decode(found.name) == "x"
    except (LookupError, ValueError, TypeError):
        is_text = False
    if not is_text or found.name in _NO_TEXT or found.incrementaldecoder is None:
        raise BadFile(f"encoding {encoding!r} is not known: name one such as utf-8 or latin-1")
    # A mark in front is taken off in any case.
    return _UTF8 if found.name == "utf-8-sig" else found.name


def transcoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the same text in UTF-8; what is UTF-8 already passes untouched and unchecked."""
    if encoding == _UTF8:
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in blocks:
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as error:
        # What precedes it goes first, so that the line can be named.
        yield error.object[: error.start].decode(error.encoding, "replace").encode()
        bad = error.object[error.start : error.end].hex(" ")
        raise BadFile(f"bytes {bad} are not {encoding}: {error.reason}") from error

"""How a file is to be read: the options of a file job, checked."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import msgspec

from tasks.files.encoding import codec_name
from tasks.files.errors import BadFile

MIB = 1 << 20


class Format(Enum):
    """What a file is written in."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


class Compression(Enum):
    """How a file is packed; AUTO goes by its name, ``.gz``, ``.zst`` or neither."""

    AUTO = "auto"
    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class BadEncoding(Enum):
    """What a record that is no UTF-8 does: end the file, or be one bad record."""

    REFUSE = "refuse"
    QUARANTINE = "quarantine"


_ENDINGS = {
    "csv": Format.CSV,
    "jsonl": Format.JSON_LINES,
    "ndjson": Format.JSON_LINES,
    "parquet": Format.PARQUET,
}
_PACKED = (".gz", ".gzip", ".zst", ".zstd")


class FileOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a file job may say about its file; the defaults fit a CSV file."""

    format: Format = Format.CSV
    compression: Compression = Compression.AUTO
    encoding: str = "utf-8"
    bad_encoding: BadEncoding = BadEncoding.REFUSE
    delimiter: str = ","
    quote: str = '"'
    #: None: the quote itself, doubled.
    escape: str | None = None
    null: str = ""
    header: bool = True
    #: Names for the columns, in order: in place of the header, or where there is none.
    columns: tuple[str, ...] | None = None
    #: From the header's names to the target's.
    rename: Mapping[str, str] = {}
    chunk_bytes: int = 4 * MIB
    chunk_rows: int = 100_000
    max_record_bytes: int = 8 * MIB
    #: Of the decompressed file; the worker's own limit holds too. None: that one.
    max_bytes: int | None = None
    #: The whole file in one transaction; of no concern to the reading.
    atomic: bool = False


def read_options(url: str, format_: str | None, options: Mapping[str, Any]) -> FileOptions:
    """Return the options of a job; raises :class:`BadFile` naming the wrong one.

    Without a format, the end of the file's name tells it.
    """
    if "format" in options:
        raise BadFile("format is an argument of its own, not one of the options")
    try:
        found = msgspec.convert(
            {**options, "format": format_ or _format_of(url)}, FileOptions, strict=True
        )
    except msgspec.ValidationError as error:
        raise BadFile(f"options of {url!r}: {error}") from error
    for mistake in (*_marks(found), *_limits(found)):
        raise BadFile(f"options of {url!r}: {mistake}")
    codec_name(found.encoding)
    return found


def _format_of(url: str) -> str:
    name = url.partition("?")[0].lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    ending = name.rpartition(".")[2]
    if ending not in _ENDINGS:
        raise BadFile(
            f"{url!r}: its name does not tell its format: pass one of "
            + ", ".join(one.value for one in Format)
        )
    return _ENDINGS[ending].value


def _marks(options: FileOptions) -> Iterator[str]:
    """Yield what COPY would refuse of the dialect."""
    escape = options.escape or options.quote
    for name, mark in (
        ("delimiter", options.delimiter),
        ("quote", options.quote),
        ("escape", escape),
    ):
        if len(mark) != 1 or not mark.isascii() or mark in "\r\n\0":
            yield f"{name} must be one ASCII character, no line end, got {mark!r}"
    if options.delimiter in {options.quote, escape}:
        yield f"delimiter and quote are both {options.delimiter!r}: they must differ"
    if any(mark in options.null for mark in (options.delimiter, options.quote, *"\r\n\0")):
        yield f"null must hold no delimiter, quote or line end, got {options.null!r}"


def _limits(options: FileOptions) -> Iterator[str]:
    bounds = {
        "chunk_bytes": (1, 256 * MIB),
        "chunk_rows": (1, 10_000_000),
        "max_record_bytes": (1, 256 * MIB),
        "max_bytes": (1, 1 << 50),
    }
    for name, (least, most) in bounds.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            yield f"{name} must be {least} to {most}, got {value}"
    if options.columns is not None and not options.columns:
        yield "columns must name at least one column, or be left out"

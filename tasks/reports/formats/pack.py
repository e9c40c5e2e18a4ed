"""Compress a file while it is written, as the name of its format says."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase

from backports import zstd

from tasks.reports.declared.header import Format

_GZIP = frozenset({Format.CSV_GZIP, Format.JSON_LINES_GZIP})
_ZSTD = frozenset({Format.CSV_ZSTD, Format.JSON_LINES_ZSTD})
#: A third of the time of gzip's own default, for a twelfth more bytes.
_GZIP_LEVEL = 4
_ZSTD_LEVEL = 3


@contextmanager
def packed(format_: Format, file: BufferedIOBase) -> Iterator[BufferedIOBase]:
    """Yield where to write; what the file gets is compressed, or the same.

    Equal content makes equal files: no name and no time is in them.
    """
    if format_ in _GZIP:
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as gzipped:
            yield gzipped
    elif format_ in _ZSTD:
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: _ZSTD_LEVEL,
            zstd.CompressionParameter.checksum_flag: 1,
        }
        with zstd.ZstdFile(file, "wb", options=options) as zipped:
            yield zipped
    else:
        yield file

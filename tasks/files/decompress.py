"""Unpack a file as it is read: never more at a time than a block, never more than the limit."""

import zlib
from collections.abc import Generator, Iterator

from backports import zstd

from tasks.files.errors import BadFile
from tasks.files.options import Compression
from tasks.files.source import Source

BLOCK_BYTES = 1 << 20
_PACKED_BLOCK_BYTES = 1 << 17

#: What zstd itself takes as the most for its window, spelled out: it is memory.
_ZSTD_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 27}
_GZIP = 16 + zlib.MAX_WBITS

_NAMES = {
    ".gz": Compression.GZIP,
    ".gzip": Compression.GZIP,
    ".zst": Compression.ZSTD,
    ".zstd": Compression.ZSTD,
}
_NEXT_MEMBER = {Compression.GZIP: b"\x1f\x8b", Compression.ZSTD: b""}


def compression_of(url: str, asked: Compression) -> Compression:
    """Return how a file is packed: as asked, or by the end of its name."""
    if asked is not Compression.AUTO:
        return asked
    path = url.partition("?")[0].lower()
    return next((c for end, c in _NAMES.items() if path.endswith(end)), Compression.NONE)


def unpacked(source: Source, compression: Compression) -> Iterator[bytes]:
    """Yield the unpacked file in blocks.

    Raises :class:`BadFile` naming the byte where the file is cut short or broken,
    or, with numbers, where it outgrows its limit.
    """
    blocks = _plain(source) if compression is Compression.NONE else _packed(source, compression)
    total = 0
    for block in blocks:
        total += len(block)
        if total > source.max_bytes:
            raise BadFile(
                f"the file is larger than the limit of {source.max_bytes} bytes: its first "
                f"{source.read_bytes} bytes make {total}; if that is meant, raise the limit "
                "(CELERIAC_FILE_MAX_BYTES, max_bytes), or send it in parts"
            )
        yield block


def _plain(source: Source) -> Iterator[bytes]:
    while block := source.read(BLOCK_BYTES):
        yield block


def _packed(source: Source, compression: Compression) -> Iterator[bytes]:
    """Unpack one member or frame after the other; both formats may be a row of them."""
    data = source.read(_PACKED_BLOCK_BYTES)
    while data:
        data = yield from _one_stream(data, source, compression)
        data = _begin_of_next(data, source, compression)


def _one_stream(
    data: bytes, source: Source, compression: Compression
) -> Generator[bytes, None, bytes]:
    """Unpack one stream; returns what was read beyond its end."""
    stream = _GzipMember() if compression is Compression.GZIP else _zstd_frame()
    while not stream.eof:
        if not data and stream.needs_input:
            data = source.read(_PACKED_BLOCK_BYTES)
            _refuse_end(data, source, compression)
        try:
            block = stream.decompress(data, BLOCK_BYTES)
        except (zlib.error, zstd.ZstdError) as error:
            raise BadFile(
                f"what is to be {compression.value} breaks at or before byte "
                f"{source.read_bytes}: {error}"
            ) from error
        data = b""
        if block:
            yield block
    return stream.unused_data


def _refuse_end(data: bytes, source: Source, compression: Compression) -> None:
    if not data:
        raise BadFile(
            f"the {compression.value} stream is cut short: the file ends after "
            f"{source.read_bytes} bytes, in the middle of it; send it whole"
        )


def _begin_of_next(data: bytes, source: Source, compression: Compression) -> bytes:
    """Return the beginning of a further member; zeros may fill the space up to it."""
    magic = _NEXT_MEMBER[compression]
    while True:
        data = data.lstrip(b"\0") if magic else data
        more = b"" if len(data) >= max(len(magic), 1) else source.read(_PACKED_BLOCK_BYTES)
        data += more
        if not more:
            break
    if data and not data.startswith(magic):
        raise BadFile(
            f"what follows the {compression.value} stream, before byte {source.read_bytes}, "
            "is no such stream: the file is damaged, or two files in one"
        )
    return data


class _GzipMember:
    """zlib's stream with the manners of the others."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        block = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        # A full block may have company inside zlib, though it has taken all its input.
        self.needs_input = not self._stream.unconsumed_tail and len(block) < max_length
        return block


def _zstd_frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)

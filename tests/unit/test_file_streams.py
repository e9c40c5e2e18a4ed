"""Packed files are unpacked as they are read, within bounds, and a broken one is named."""

import gzip
from pathlib import Path

import pytest
from backports import zstd

from tasks.files import BadFile, open_source, read_options
from tests.files import read, write

_TEXT = b"a,b\n" + b"".join(b"%d,some text\n" % number for number in range(30_000))
_PACKERS = {"gz": gzip.compress, "zst": zstd.compress}


@pytest.mark.parametrize("ending", _PACKERS)
def test_a_file_of_several_members_is_read_whole(tmp_path: Path, ending: str) -> None:
    """Members of gzip and frames of zstd that follow each other are one text."""
    parts = (_TEXT[:100_001], b"", _TEXT[100_001:])
    path = write(tmp_path / f"a.csv.{ending}", b"".join(map(_PACKERS[ending], parts)))

    assert _TEXT.removeprefix(b"a,b\n") == read(path).data


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_how_far_a_chunk_reaches_is_told(tmp_path: Path, ending: str) -> None:
    """By its share of the file, though all of a small file is read before its first chunk."""
    data = _PACKERS[ending.removeprefix(".")](_TEXT) if ending else _TEXT
    path = write(tmp_path / f"a.csv{ending}", data)

    done = [chunk.done_bytes for chunk in read(path, chunk_rows=10_000).chunks]

    assert (3, len(data)) == (len(done), done[-1])
    assert pytest.approx([len(data) / 3, len(data) * 2 / 3], rel=0.05) == done[:2]


def test_zeros_behind_gzip_are_let_be(tmp_path: Path) -> None:
    """What tapes and disks fill up with is no further member."""
    path = write(tmp_path / "a.csv.gz", gzip.compress(_TEXT) + b"\0" * 500_000)

    assert 30_000 == sum(chunk.records for chunk in read(path).chunks)


@pytest.mark.parametrize("ending", _PACKERS)
def test_packing_can_be_named(tmp_path: Path, ending: str) -> None:
    """An option tells the packing where the name does not."""
    names = {"gz": "gzip", "zst": "zstd"}
    path = write(tmp_path / "a.csv", _PACKERS[ending](_TEXT))

    assert _TEXT.removeprefix(b"a,b\n") == read(path, compression=names[ending]).data


@pytest.mark.parametrize("ending", _PACKERS)
@pytest.mark.parametrize("share", [0.5, 0.999])
def test_a_stream_cut_short_is_refused(tmp_path: Path, ending: str, share: float) -> None:
    """A truncated file is named with the byte at which it ends and the line reached."""
    packed = _PACKERS[ending](_TEXT)
    packed = packed[: int(len(packed) * share)]
    path = write(tmp_path / f"a.csv.{ending}", packed)

    with pytest.raises(BadFile, match=rf"line \d+: .* cut short: .*after {len(packed)} bytes"):
        read(path)


@pytest.mark.parametrize("ending", _PACKERS)
def test_a_damaged_stream_is_refused(tmp_path: Path, ending: str) -> None:
    """A damaged stream, and rubbish behind one, are named; nothing else is raised."""
    # Frames of zstd have a checksum only if asked for.
    checked = {zstd.CompressionParameter.checksum_flag: 1}
    packed = bytearray(
        gzip.compress(_TEXT) if ending == "gz" else zstd.compress(_TEXT, options=checked)
    )
    behind = write(tmp_path / f"b.csv.{ending}", bytes(packed) + b"rubbish")
    packed[len(packed) // 2] ^= 0xFF
    path = write(tmp_path / f"a.csv.{ending}", bytes(packed))

    for damaged in (path, behind):
        with pytest.raises(BadFile, match=r"line \d+: "):
            read(damaged)


@pytest.mark.parametrize("ending", _PACKERS)
def test_a_bomb_is_refused_with_numbers(tmp_path: Path, ending: str) -> None:
    """A file that grows beyond the limit is given up there, after a few blocks."""
    path = write(tmp_path / f"a.csv.{ending}", _PACKERS[ending](b"a\n" * (16 << 20)))
    limit = 3_000_000

    with pytest.raises(BadFile, match=rf"the limit of {limit} bytes: its first \d+ bytes make"):
        read(path, max_bytes=limit)


def test_the_smaller_limit_holds(tmp_path: Path) -> None:
    """A job may lower the worker's limit, not raise it."""
    path = write(tmp_path / "a.csv", _TEXT)
    asked = read_options("a.csv", None, {"max_bytes": 1000})
    generous = read_options("a.csv", None, {"max_bytes": 1_000_000})

    with open_source("a.csv", asked, inbox=path.parent, max_bytes=5000) as source:
        assert 1000 == source.max_bytes
    with open_source("a.csv", generous, inbox=path.parent, max_bytes=5000) as source:
        assert 5000 == source.max_bytes


def test_a_window_larger_than_memory_is_refused(tmp_path: Path) -> None:
    """A frame of zstd that asks for gibibytes to be unpacked is not given them."""
    wide = {zstd.CompressionParameter.window_log: 28}
    packer = zstd.ZstdCompressor(options=wide)
    packed = packer.compress(b"a,b\n1,2\n") + packer.flush()
    path = write(tmp_path / "a.csv.zst", packed)

    with pytest.raises(BadFile, match="zstd breaks at or before"):
        read(path)

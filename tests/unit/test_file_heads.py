"""The head of a file tells its columns, its line ends and its encoding, or is refused."""

from pathlib import Path

import pytest

from tasks.files import BadFile, read_options
from tests.files import read, write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings_give_the_same_rows(tmp_path: Path, encoding: str) -> None:
    """What a file is written in does not show in its rows; a mark in front is taken off."""
    text = "näme,b\n" + 'Zoë,"a\nb"\n' * 10_000
    path = write(tmp_path / "a.csv", text.encode(encoding))

    found = read(path, encoding=encoding)

    assert ("näme", "b") == found.columns
    assert [{"näme": "Zoë", "b": "a\nb"}] * 10_000 == found.rows
    assert found.chunks[-1].end.offset >= len(text.encode())


def test_a_mark_is_taken_off_unasked(tmp_path: Path) -> None:
    """The mark that Excel writes in front of UTF-8 is no part of the first column's name."""
    path = write(tmp_path / "a.csv", b"\xef\xbb\xbfid\n1\n")

    assert [{"id": "1"}] == read(path).rows


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the header is missing"),
        (b'"a,b\n1,2\n', "header is missing"),
        (b"a,b,a\n1,2,3\n", "names 'a' 2 times"),
        (b"a,,b\n1,2,3\n", "name 2 of the 3 in the header is empty"),
        (b"a,b\xff\n1,2\n", "line 1: the header is not UTF-8"),
        (b"\x1f\x8b\x08\x00", 'compression = "gzip"'),
        (b"\x28\xb5\x2f\xfd\x00", 'compression = "zstd"'),
        (b"PAR1\x15", "Parquet"),
        (b"PK\x03\x04", "ZIP archive"),
        ("a,b\n".encode("utf-16"), 'encoding = "utf-16"'),
    ],
)
def test_what_cannot_be_a_head_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    """A head that names no columns, or another kind of file, is refused with the remedy."""
    path = write(tmp_path / "a.csv", data)

    with pytest.raises(BadFile, match=r"a\.csv: ") as refused:
        read(path)

    assert words in str(refused.value)


def test_names_can_be_given_and_changed(tmp_path: Path) -> None:
    """Columns are named in place of a header, where none is, or are renamed."""
    path = write(tmp_path / "a.csv", "x,x\n1,2\n")

    assert ("a", "b") == read(path, columns=["a", "b"]).columns
    assert 2 == len(read(path, columns=["a", "b"], header=False).records)
    assert None is read(path, header=False).columns
    assert ("id", "y") == read(write(path, "x,y\n1,2\n"), rename={"x": "id"}).columns


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rename": {"z": "a"}}, "rename speaks of 'z', but the header has 'x', 'y'"),
        ({"rename": {"x": "y"}}, "names 'y' 2 times"),
        ({"columns": ["a"]}, "the header has 2 names, but columns has 1"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    """Names that the header contradicts are refused."""
    path = write(tmp_path / "a.csv", "x,y\n1,2\n")

    with pytest.raises(BadFile, match=words):
        read(path, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delimiter": ";;"}, "delimiter must be one ASCII character"),
        ({"delimiter": "é"}, "delimiter must be one ASCII character"),
        ({"quote": "\n"}, "quote must be one"),
        ({"quote": ","}, "delimiter and quote are both ','"),
        ({"null": "a,b"}, "null must hold no delimiter"),
        ({"encoding": "klingon"}, "encoding 'klingon' is not known"),
        ({"encoding": "zlib"}, "encoding 'zlib' is not known"),
        ({"encoding": "idna"}, "encoding 'idna' is not known"),
        ({"chunk_rows": 0}, "chunk_rows must be 1 to 10000000, got 0"),
        ({"chunk_rows": "many"}, "chunk_rows"),
        ({"max_record_bytes": 1 << 40}, "max_record_bytes must be"),
        ({"compression": "rar"}, "rar"),
        ({"columns": []}, "columns must name at least one"),
        ({"seperator": ";"}, "seperator"),
        ({"format": "csv"}, "format is an argument"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], words: str) -> None:
    """An option that is unknown, or no one could read by, is named with its value."""
    with pytest.raises(BadFile, match=words):
        read_options("a.csv", None, options)


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.csv", "csv"),
        ("a/b.CSV.GZ", "csv"),
        ("https://a.example/b.jsonl.zst?token=1.csv", "jsonl"),
        ("b.ndjson", "jsonl"),
        ("b.parquet", "parquet"),
    ],
)
def test_a_name_tells_its_format(name: str, format_: str) -> None:
    """Without a format, the end of the name tells it, packed or not."""
    assert format_ == read_options(name, None, {}).format.value


def test_a_name_that_tells_nothing_is_refused() -> None:
    """A name without a known ending needs a format."""
    with pytest.raises(BadFile, match="pass one of csv, jsonl, parquet"):
        read_options("orders.dat", None, {})

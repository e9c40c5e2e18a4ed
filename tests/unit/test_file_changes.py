"""A file that is another one on resume, or becomes one while it is read, is refused."""

import os
from pathlib import Path

import pytest

from tasks.files import BadFile, FileChanged, Fingerprint, open_reader, open_source, read_options
from tests.files import read, write

_TEXT = "a,b\n" + ("1," + "some text " * 99 + "some text\n") * 1200


def test_other_content_is_noticed_on_resume(tmp_path: Path) -> None:
    """A byte changed before the position is noticed, though size and time are as before."""
    path = write(tmp_path / "a.csv", _TEXT)
    after = read(path, chunk_bytes=300_000).chunks[1].end
    changed = bytearray(_TEXT.encode())
    changed[20] ^= 1
    write(path, bytes(changed))

    with pytest.raises(FileChanged, match=r"its first 1048576 bytes, of which .* records are in"):
        read(path, after)


def test_content_behind_the_position_may_be_new(tmp_path: Path) -> None:
    """What was not read yet was not looked at: it is no change."""
    path = write(tmp_path / "a.csv", _TEXT)
    after = read(path, chunk_bytes=300_000).chunks[1].end

    write(path, _TEXT[:-1002] + "2,else text\n")

    assert {"a": "2", "b": "else text"} == read(path, after).rows[-1]


def test_a_shorter_file_is_noticed_on_resume(tmp_path: Path) -> None:
    """A file that ends before the position is another one."""
    path = write(tmp_path / "a.csv", _TEXT)
    after = read(path).chunks[-1].end
    write(path, _TEXT[:100])

    with pytest.raises(FileChanged):
        read(path, after)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """At the end of the file its size and time are compared with those at the beginning."""
    path = write(tmp_path / "a.csv", _TEXT)
    options = read_options("a.csv", None, {"chunk_bytes": 100_000})

    with open_source("a.csv", options, inbox=tmp_path) as source:
        chunks = open_reader(source, options).chunks()
        next(chunks)
        with path.open("ab") as file:
            file.write(b"3,more\n")
        with pytest.raises(
            FileChanged, match=f"its size was {len(_TEXT)} bytes, now {len(_TEXT) + 7}"
        ):
            list(chunks)


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_fingerprint_tells_a_change(tmp_path: Path, change: str) -> None:
    """Size and time are part of what a file was, and come back from JSON."""
    path = write(tmp_path / "a.csv", "a\n1\n")
    options = read_options("a.csv", None, {})
    with open_source("a.csv", options, inbox=tmp_path) as source:
        kept = source.fingerprint.to_json()
    if change == "size":
        write(path, "a\n1\n2\n")
    os.utime(path, ns=(1, 1))

    with open_source("a.csv", options, inbox=tmp_path) as source:
        with pytest.raises(FileChanged, match=f"{change}.* was .*, now"):
            source.fingerprint.refuse_change(Fingerprint.from_json(kept), "a.csv")


def test_a_change_is_a_bad_file() -> None:
    """Whoever buries bad files buries changed ones."""
    assert issubclass(FileChanged, BadFile)

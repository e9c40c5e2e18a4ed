"""A chunk that is taken apart gives each record with its place, or with what is wrong."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tasks.files import BadFile, Position
from tests.files import read, write


def test_ragged_lines_are_errors_of_their_own(tmp_path: Path) -> None:
    """Too few and too many fields are told in PostgreSQL's words, with line and text."""
    path = write(tmp_path / "a.csv", 'a,b\n1,2\n3\n\n4,5,6\n"7\n",8,\n9,10\n')

    found = read(path)

    missing, extra = 'missing data for column "b"', "extra data after last expected column"
    errors = [(one.line, one.text, one.error) for one in found.records if one.error]
    assert [(3, "3", missing), (4, "", missing), (5, "4,5,6", extra), (6, '"7\n",8,', extra)] == (
        errors
    )
    assert {"22P04", None} == {one.sqlstate for one in found.records}
    assert [{"a": "1", "b": "2"}, {"a": "9", "b": "10"}] == [row for row in found.rows if row]
    assert [1, 2, 3, 4, 5, 6] == [one.number for one in found.records]


def test_the_null_marker_counts_only_unquoted(tmp_path: Path) -> None:
    """An empty field is NULL and a quoted one is not; another marker takes its place."""
    path = write(tmp_path / "a.csv", 'a,b,c\n,"",\\N\n')

    assert [{"a": None, "b": "", "c": "\\N"}] == read(path).rows
    assert [{"a": "", "b": "", "c": None}] == read(path, null="\\N").rows


def test_quotes_count_wherever_they_stand(tmp_path: Path) -> None:
    """As in COPY, a quote opens and closes in the middle of a field too."""
    path = write(tmp_path / "a.csv", 'a,b\nx"y,\n"z,"""q"""\n')

    assert [{"a": "xy,\nz", "b": '"q"'}] == read(path).rows


def test_characters_that_postgresql_refuses_are_errors(tmp_path: Path) -> None:
    """A NUL, and what is no UTF-8 if asked for, are bad records; their text can be kept."""
    path = write(tmp_path / "a.csv", b"a,b\n1,\0\n2,\xff\n3,ok\n")

    found = read(path, bad_encoding="quarantine")

    words = 'invalid byte sequence for encoding "UTF8": '
    assert [f"{words}0x00", f"{words}0xff", None] == [one.error for one in found.records]
    assert ["1,\\x00", "2,\\xff", "3,ok"] == [one.text for one in found.records]
    assert [False] == [chunk.is_utf8 for chunk in found.chunks]


def test_what_is_no_utf8_ends_the_file(tmp_path: Path) -> None:
    """Without that wish, the first such line is named and nothing of its chunk is given out."""
    path = write(tmp_path / "a.csv", b"a,b\n" + b"1,x\n" * 500 + b'2,"\n\xff"\n')

    with pytest.raises(BadFile, match=r"a\.csv: line 503: the bytes ff are not UTF-8"):
        read(path)


def test_what_is_not_its_encoding_ends_the_file(tmp_path: Path) -> None:
    """Another encoding that a file does not keep to is named with the line, too."""
    path = write(tmp_path / "a.csv", b"a,b\n1,x\n2,\x81\n")

    with pytest.raises(BadFile, match=r"a\.csv: line 3: bytes 81 are not cp1252"):
        read(path, encoding="cp1252")


def test_other_line_ends_outside_quotes_are_errors(tmp_path: Path) -> None:
    """A bare carriage return is refused, as COPY does, but for one that ends the line."""
    path = write(tmp_path / "a.csv", 'a,b\n1,2\r\n3,x\ry\n5,"x\ry"\n')

    found = read(path)

    assert [{"a": "1", "b": "2"}, None, {"a": "5", "b": "x\ry"}] == found.rows
    assert "unquoted carriage return found in data" == found.records[1].error


def test_json_lines_that_are_no_objects_are_errors(tmp_path: Path) -> None:
    """A line that is no object is an error of its own; numbers stay as written in the text."""
    path = write(tmp_path / "a.jsonl", '{"n": 1.10}\n[1]\n\n{"n": NaN}\n{\n{"n": 2}')

    found = read(path)

    assert [1, 2, 4, 5, 6] == [one.line for one in found.records]
    assert [{"n": 1.1}, None, None, None, {"n": 2}] == found.rows
    assert '{"n": 1.10}' == found.records[0].text
    assert {"22P02", None} == {one.sqlstate for one in found.records}


@pytest.mark.parametrize("is_nested", [False, True])
def test_parquet_gives_rows_from_any_place_on(tmp_path: Path, *, is_nested: bool) -> None:
    """Batches of Parquet are chunks; NULL, texts and bytes stay apart, resumed or not."""
    table = pa.table(
        {
            "id": list(range(1000)),
            "label": [None, "", 'a"\n,b', "\\."] * 250,
            "raw": [b"\x00\xff", None] * 500,
        }
    )
    if is_nested:
        table = table.append_column("tags", pa.array([["x"], None] * 500))
    path = tmp_path / "a.parquet"
    parquet.write_table(table, path, row_group_size=300)

    whole = read(path, chunk_rows=70)
    place = whole.chunks[5].end
    rest = read(path, Position.from_json(place.to_json()), chunk_rows=90)

    assert [None, "", 'a"\n,b', "\\."] == [row["label"] for row in whole.rows[:4]]
    assert {"\\x00ff", None} == {row["raw"] for row in whole.rows}
    assert 1000 == sum(chunk.records for chunk in whole.chunks)
    assert whole.records[place.records :] == rest.records
    assert is_nested == (whole.columns is None)


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    """A file that is no Parquet, or a broken one, is refused by name."""
    path = write(tmp_path / "a.parquet", b"PAR1" + b"\0" * 100 + b"PAR1")

    with pytest.raises(BadFile, match=r"a\.parquet: no sound Parquet"):
        read(path)

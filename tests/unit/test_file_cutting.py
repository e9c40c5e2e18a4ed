"""Files are cut into chunks of whole records, wherever the budget falls."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.files import BadFile, Position
from tests.files import read, write

_TEXTS = st.text(st.sampled_from("ab,;\"'\\\n\r. é€"), max_size=8)
_ROWS = st.lists(st.lists(_TEXTS, min_size=3, max_size=3), max_size=40)
_BUDGETS = st.integers(1, 200)
_PACKERS = {"plain.csv": bytes, "a.csv.gz": gzip.compress, "a.csv.zst": zstd.compress}
_FEW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def as_csv(rows: list[list[str]], newline: str = "\n", **dialect: object) -> bytes:
    """Write rows below the header a,b,c, everything quoted that needs it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=newline, **dialect)
    writer.writerows([["a", "b", "c"], *rows])
    return out.getvalue().encode()


def values(found: list[object]) -> list[list[str]]:
    """Return rows as csv.reader would; it knows no NULL."""
    return [["" if one is None else one for one in row.values()] for row in found]


@_FEW
@given(_ROWS, _BUDGETS, st.integers(1, 9), st.sampled_from(["\n", "\r\n"]))
def test_any_budget_gives_the_same_records(
    tmp_path: Path, rows: list[list[str]], budget: int, limit: int, newline: str
) -> None:
    """Whatever the bounds of a chunk, its records are those of csv.reader over the whole."""
    # A bare carriage return is written without quotes, which PostgreSQL would refuse.
    rows = [[value.replace("\r", "") for value in row] for row in rows]
    data = as_csv(rows, newline)
    path = write(tmp_path / "a.csv", data)

    found = read(path, chunk_bytes=budget, chunk_rows=limit)

    whole = list(csv.reader(io.StringIO(data.decode(), newline="")))[1:]
    assert whole == values(found.rows)
    assert data.partition(newline.encode())[2] == found.data
    assert [record.number for record in found.records] == list(range(1, len(rows) + 1))
    assert all(1 <= chunk.records <= limit for chunk in found.chunks)
    assert len(rows) == sum(chunk.records for chunk in found.chunks)


@_FEW
@given(_ROWS, _BUDGETS, st.sampled_from(sorted(_PACKERS)), st.data())
def test_reading_goes_on_after_any_chunk(
    tmp_path: Path, rows: list[list[str]], budget: int, name: str, data: st.DataObject
) -> None:
    """From the end of any chunk, kept as JSON, the rest is the same, packed or not."""
    path = write(tmp_path / name, _PACKERS[name](as_csv(rows)))
    whole = read(path, chunk_bytes=budget, chunk_rows=7)
    if not whole.chunks:
        return
    place = data.draw(st.integers(0, len(whole.chunks) - 1))
    kept = json.dumps(whole.chunks[place].end.to_json())

    rest = read(path, Position.from_json(json.loads(kept)), chunk_bytes=3 * budget)

    assert b"".join(chunk.data for chunk in whole.chunks[place + 1 :]) == rest.data
    assert whole.records[whole.chunks[place].end.records :] == rest.records
    assert [whole.chunks[-1].end][: len(rest.chunks)] == [one.end for one in rest.chunks[-1:]]


@_FEW
@given(_ROWS, _BUDGETS)
def test_an_escape_of_its_own_is_understood(
    tmp_path: Path, rows: list[list[str]], budget: int
) -> None:
    """Quotes after a backslash neither open nor close, if that is the dialect."""
    dialect = {"quoting": csv.QUOTE_ALL, "doublequote": False, "escapechar": "\\"}
    path = write(tmp_path / "a.csv", as_csv(rows, **dialect))

    found = read(path, chunk_bytes=budget, chunk_rows=5, escape="\\", null="\\N")

    assert rows == values(found.rows)
    assert len(rows) == sum(chunk.records for chunk in found.chunks)


def test_an_escape_outside_quotes_is_a_character(tmp_path: Path) -> None:
    """A backslash means nothing outside quotes, so that the quote after it opens."""
    path = write(tmp_path / "a.csv", 'a,b\n1\\"x\ny",2\n"p\\"\n",3\n')

    found = read(path, escape="\\")

    assert [{"a": "1\\x\ny", "b": "2"}, {"a": 'p"\n', "b": "3"}] == found.rows
    assert 2 == found.chunks[0].records


@_FEW
@given(st.lists(st.dictionaries(_TEXTS, _TEXTS | st.integers(), max_size=3)), _BUDGETS)
def test_json_lines_are_cut_at_their_ends(
    tmp_path: Path, rows: list[dict[str, object]], budget: int
) -> None:
    """Any budget gives the same rows of JSON lines; empty lines are none."""
    lines = "".join(json.dumps(row) + ("\n" if row else "\n\r\n") for row in rows)
    path = write(tmp_path / "a.jsonl", "\n" + lines.removesuffix("\n"))

    found = read(path, chunk_bytes=budget, chunk_rows=4)

    assert rows == found.rows
    assert len(rows) == sum(chunk.records for chunk in found.chunks)
    assert all(chunk.records <= 4 for chunk in found.chunks)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_line_end_will_do(tmp_path: Path, newline: str) -> None:
    """Records and lines are counted with each of the three line ends; the last may lack it."""
    text = newline.join(["a,b", "1,x", '2,"y', 'z"', "3,"])
    path = write(tmp_path / "a.csv", text)

    found = read(path, chunk_bytes=4)

    rows = [{"a": "1", "b": "x"}, {"a": "2", "b": f"y{newline}z"}, {"a": "3", "b": None}]
    assert rows == found.rows
    assert [2, 3, 5] == [record.line for record in found.records]


@pytest.mark.parametrize("kilobytes", [1, 64, 200])
def test_a_long_record_is_refused_at_its_limit(tmp_path: Path, kilobytes: int) -> None:
    """A record up to the limit goes through; beyond, the line and the limit are named."""
    limit = kilobytes * 1024
    row = "1," + "x" * (limit - 3) + "\n"
    fits = write(tmp_path / "fits.csv", "a,b\n" + row * 3)
    path = write(tmp_path / "long.csv", "a,b\n1,x\n" + row.replace("\n", "x\n") + row)

    assert 3 == len(read(fits, max_record_bytes=limit, chunk_bytes=1000).records)
    with pytest.raises(BadFile, match=rf"line 3: .*longer than the limit of {limit} bytes"):
        read(path, max_record_bytes=limit)


def test_a_file_on_a_single_line_is_refused(tmp_path: Path) -> None:
    """A file without line ends is given up at the limit, not read into memory."""
    path = write(tmp_path / "a.csv", b"a,b," * (3 << 20))

    with pytest.raises(BadFile, match="line 1: the first line is longer than the limit of 8388608"):
        read(path)


def test_a_field_of_ten_megabytes_is_let_in_if_asked(tmp_path: Path) -> None:
    """The limit of a record is an option."""
    path = write(tmp_path / "a.csv", b'a,b\n1,"' + b"x\n" * (5 << 20) + b'"\n2,y\n')

    with pytest.raises(BadFile, match=r"line 2: .*max_record_bytes"):
        read(path)
    assert 2 == len(read(path, max_record_bytes=11 << 20).records)


def test_an_unclosed_quote_is_refused(tmp_path: Path) -> None:
    """A quote that is never closed is named by its record's line; what is before it is read."""
    path = write(tmp_path / "a.csv", 'a,b\n1,x\n2,"y\n3,z\n')

    with pytest.raises(BadFile, match=r"a\.csv: line 3: a quote .* is not closed"):
        read(path)


@pytest.mark.parametrize("text", ["a,b\n\\.\n1,2\n", "a,b\n1,2\n\\.", 'a,b\n1,"x\n\\.\n"\n'])
def test_an_end_marker_is_seen(tmp_path: Path, text: str) -> None:
    """A line that older servers take for the end of a COPY marks its chunk."""
    path = write(tmp_path / "a.csv", text)

    assert [True] == [chunk.has_end_marker for chunk in read(path).chunks]


@pytest.mark.parametrize("text", ["a,b\n1,\\.\n", "a,b\n\\.,1\n", "a,b\n1,2\n\\..\n"])
def test_other_backslashes_are_no_end_marker(tmp_path: Path, text: str) -> None:
    """A chunk is not taken apart without need."""
    path = write(tmp_path / "a.csv", text)

    assert [False] == [chunk.has_end_marker for chunk in read(path).chunks]

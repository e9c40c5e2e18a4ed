"""How the commands choose, lay out and exchange what was set aside."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from celeriac.contract import MAX_BODY_BYTES
from postgres.quarantined import EntryState, QuarantineEntry
from tests.workers import ROOT
from worker.commands.choosing import read_moment
from worker.commands.exchange import BadFile, EditedRow, export_to, read_edited
from worker.commands.layout import counted, pretty_row, printable, table
from worker.relay.retention import SWEEP_PAUSE_SECONDS, pause_seconds
from worker.replay import MOST_ROWS, ReplayRow, gather, why_not

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MESSY = '{"id": 12345678901234567890, "note": "a;\\"b\\"\\n,", "price": 0.10}'


def entry(row: str = MESSY) -> QuarantineEntry:
    """Make an entry as the database has it."""
    return QuarantineEntry(
        *(7, "job", 3, "item", row, "price", "22P02", 'bad "x"', NOW),
        *(EntryState.QUARANTINED, None, None, None, (), None),
    )


@pytest.mark.parametrize("format_", ["jsonl", "csv"])
def test_export_is_read_back_as_it_was(tmp_path: Path, format_: str) -> None:
    """What is exported and handed back unedited is the row, character by character."""
    file = io.StringIO()
    export_to(file, format_).write(entry())
    path = tmp_path / "file"
    path.write_text(file.getvalue(), newline="")

    (read,) = read_edited(path, format_)

    assert (7, MESSY) == (read.entry_id, read.row)


@pytest.mark.parametrize(
    ("format_", "text", "words"),
    [
        ("jsonl", '{"id": 1, "row": {}}\n{"id": 2}\n', "line 2"),
        ("jsonl", '{"id": "x", "row": {}}\n', "line 1"),
        ("csv", "number,row\n1,{}\n", "no id"),
        ("csv", 'id,row\n1,"{}"\n2,"{"\n', "line 3"),
        ("csv", "id,row\nx,{}\n", "line 2"),
    ],
)
def test_bad_file_is_named_with_its_line(
    tmp_path: Path, format_: str, text: str, words: str
) -> None:
    """A file that cannot be read says where."""
    path = tmp_path / "file"
    path.write_text(text)

    with pytest.raises(BadFile, match=words):
        list(read_edited(path, format_))


def test_spreadsheets_mark_of_utf8_is_no_part_of_the_header(tmp_path: Path) -> None:
    """A CSV file saved by a spreadsheet begins with a byte order mark."""
    path = tmp_path / "file.csv"
    path.write_bytes('\ufeffid,row\r\n5,"{""a"": 1}"\r\n'.encode())

    assert [EditedRow(5, '{"a": 1}', 2)] == list(read_edited(path, "csv"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-28", datetime(2026, 2, 28, tzinfo=UTC)),
        ("2026-02-28T10:30+02:00", datetime(2026, 2, 28, 8, 30, tzinfo=UTC)),
        ("30m", NOW - timedelta(minutes=30)),
        ("7d", NOW - timedelta(days=7)),
    ],
)
def test_times_are_read(text: str, expected: datetime) -> None:
    """A time without a zone is UTC; a span is before now."""
    assert expected == read_moment(text, NOW)


def test_table_is_aligned_and_numbers_stand_to_the_right() -> None:
    """Columns are as wide as their widest cell."""
    lines = list(table(("ID", "NAME", "WHY"), [(1, "a", "x"), (20, None, "y")]))

    assert ["ID  NAME  WHY", " 1  a     x", "20        y"] == lines


def test_foreign_text_cannot_steer_a_terminal() -> None:
    """Escapes, line ends and what reverses the writing are shown, not done."""
    assert "\\u001b[31m\\n\\u202e" == printable("\x1b[31m\n\u202e")


def test_guilty_column_is_marked() -> None:
    """A row is shown column by column, as it came."""
    lines = list(pretty_row('{"id": 1.50, "price": "dear"}', "price"))

    assert ["    id     1.50", '  > price  "dear"'] == lines


def test_counts_have_their_nouns() -> None:
    """One is one, many are many."""
    assert ("1 row", "1,234 rows") == (counted(1, "row"), counted(1234, "row"))


def test_rows_are_gathered_by_target_within_the_bounds() -> None:
    """Rows of a target keep their order; a job is full at its number of rows or bytes."""
    names = iter("abcdefgh")
    large = '{"x": "' + "y" * 700_000 + '"}'
    rows = [ReplayRow(n, "one", "{}") for n in range(MOST_ROWS + 1)]
    rows += [ReplayRow(9, "two", large), ReplayRow(10, "two", large)]

    jobs = gather(rows, lambda: next(names))

    assert [("a", MOST_ROWS), ("b", 1), ("c", 1), ("d", 1)] == [
        (job.id, len(job.rows)) for job in jobs
    ]
    assert [0, 1] == [row.entry_id for row in jobs[0].rows[:2]]


def test_row_that_no_job_can_carry_is_told() -> None:
    """A row that is no object, or larger than a message, is refused before it is sent."""
    assert None is why_not('{"a": 1}', "item")
    assert "no object" in str(why_not('"a line"', "item"))
    assert str(MAX_BODY_BYTES) in str(why_not('{"a": "' + "x" * MAX_BODY_BYTES + '"}', "item"))


def test_states_of_entries_are_those_of_the_schema() -> None:
    """The CHECK of the quarantine names each state of an entry, and docs draw them."""
    migration = ROOT / "postgres" / "migrations" / "0005_keep_what_was_set_aside.sql"
    listed = ", ".join(f"'{state}'" for state in EntryState)
    page = (ROOT / "docs" / "quarantine.md").read_text()

    assert f"state IN ({listed})" in migration.read_text()
    assert [] == [state for state in EntryState if f"`{state}`" not in page]


def test_forgetting_takes_a_fifth_of_the_time() -> None:
    """Slices rest longer than they take; a sweep is followed by a long pause."""
    assert (SWEEP_PAUSE_SECONDS, 4.0) == (pause_seconds(True, 1.0), pause_seconds(False, 1.0))

"""Put into lines what the quarantine holds."""

from collections.abc import Iterator, Sequence

from postgres.kept_jobs import LedgerJob
from postgres.quarantined import EntryState, QuarantineEntry, ReasonCount
from worker.commands.layout import moment, pretty_row, printable, table


def listed(entries: Sequence[QuarantineEntry]) -> Iterator[str]:
    """One line an entry."""
    headers = ("ID", "SINCE", "TARGET", "JOB", "ROW", "COLUMN", "STATE", "REASON")
    rows = [
        (
            *(one.id, one.created_at, one.target, one.job_id, one.row_number, one.column),
            *(one.state, f"{one.sqlstate} {one.message}"),
        )
        for one in entries
    ]
    return table(headers, rows)


def summed_up(counts: Sequence[ReasonCount]) -> Iterator[str]:
    """One line for each target, reason and state."""
    headers = ("ENTRIES", "TARGET", "COLUMN", "STATE", "OLDEST", "NEWEST", "REASON, OF THE FIRST")
    rows = [
        (
            *(one.entries, one.target, one.column, one.state, one.oldest, one.newest),
            f"{one.sqlstate} {one.message}",
        )
        for one in counts
    ]
    return table(headers, rows)


def entry_facts(entry: QuarantineEntry, replay: LedgerJob | None) -> list[tuple[str, object]]:
    """Return all but the row, by name; what is not known has no value."""
    replayed = entry.replay_job and f"job {entry.replay_job}"
    if replay is not None:
        replayed = f"{replayed}, {replay.state}{f': {replay.error}' if replay.error else ''}"
    return [
        ("state", entry.state),
        ("target", entry.target),
        ("job", f"{entry.job_id}, row {entry.row_number}"),
        ("set aside", moment(entry.created_at)),
        ("reason", f"{entry.sqlstate} {entry.message}"),
        ("column", entry.column),
        ("redacted", ", ".join(entry.redacted)),
        ("supersedes", entry.replay_of and f"entry {entry.replay_of}, whose replay was refused"),
        ("replay", replayed),
        ("closed", moment(entry.closed_at)),
        ("superseded by", entry.superseded_by and f"entry {entry.superseded_by}"),
    ]


def row_lines(entry: QuarantineEntry, *, whole: bool) -> Iterator[str]:
    """Write the row column by column."""
    yield "  row"
    yield from pretty_row(entry.row or "", entry.column, whole=whole)


def next_step(entry: QuarantineEntry) -> str:
    """Say what can be done."""
    command = "python -m worker quarantine"
    match entry.state:
        case EntryState.QUARANTINED:
            return (
                f"next: `{command} replay {entry.id}`, `{command} export {entry.id}` to edit it "
                f"first, or `{command} discard {entry.id}`"
            )
        case EntryState.REPLAYING:
            return f"next: `python -m worker jobs show {printable(entry.replay_job or '')}`"
        case EntryState.SUPERSEDED:
            return f"next: `{command} show {entry.superseded_by}`"
        case _:
            return "nothing is left to do"

"""Put into lines what PostgreSQL knows of jobs that were set aside."""

from collections.abc import Iterator, Sequence

import click
import msgspec

from celeriac.contract import State
from postgres.kept_jobs import JobCount, KeptJob, LedgerJob
from postgres.quarantined import EntryState, ReasonCount
from worker.commands.layout import clipped, counted, moment, pretty_row, printable, table

_PAYLOAD_CHARACTERS = 4_000


def listed(found: Sequence[KeptJob]) -> Iterator[str]:
    """One line a job."""
    headers = ("ID", "SINCE", "STATE", "TASK", "ABOUT", "ROWS", "TRIES", "REASON")
    rows = [
        (
            *(one.id, one.set_aside_at, one.state, one.task, one.subject),
            *(one.rows, one.attempts, one.error),
        )
        for one in found
    ]
    return table(headers, rows)


def summed_up(counts: Sequence[JobCount]) -> Iterator[str]:
    """One line for each subject and reason."""
    headers = ("JOBS", "STATE", "TASK", "ABOUT", "OLDEST", "NEWEST", "REASON, OF THE FIRST")
    rows = [
        (one.jobs, one.state, one.task, one.subject, one.oldest, one.newest, one.error)
        for one in counts
    ]
    return table(headers, rows)


def job_facts(job: LedgerJob, entries: Sequence[ReasonCount]) -> list[tuple[str, object]]:
    """Return all but the payload, by name; what is not known has no value."""
    accounts = " · ".join(f"{count:,} {name}" for name, count in job.accounts.items() if count)
    waiting = sum(one.entries for one in entries if one.state is EntryState.QUARANTINED)
    total = sum(one.entries for one in entries)
    return [
        ("state", job.state),
        ("task", job.task),
        ("about", job.subject),
        ("rows", f"{job.rows:,}{f': {accounts}' if accounts else ''}"),
        ("reason", job.error),
        ("enqueued", moment(job.enqueued_at)),
        ("committed", moment(job.committed_at)),
        ("set aside", moment(job.set_aside_at)),
        ("in outbox", job.outbox_since and f"since {moment(job.outbox_since)}, on its way again"),
        (
            "quarantine",
            f"{counted(total, 'entry', 'entries')}, {waiting} still waiting" if total else None,
        ),
        ("replays", counted(job.replays, "entry", "entries") if job.replays else None),
        ("result", job.result),
        ("tries", job.attempts),
        ("worker", job.worker),
        ("batch", job.batch),
        ("digest", job.digest),
    ]


def payload_lines(job: LedgerJob, *, whole: bool) -> Iterator[str]:
    """Write the arguments that were kept, cut unless ``whole``."""
    if job.payload is None:
        return
    yield ""
    yield f"  payload, {counted(len(job.payload.encode()), 'byte')}"
    arguments = arguments_of(job)
    if arguments.startswith("{"):
        yield from pretty_row(arguments, None, whole=whole)
        return
    most = len(arguments) if whole else _PAYLOAD_CHARACTERS
    yield f"    {clipped(printable(arguments), most)}"


def arguments_of(job: LedgerJob) -> str:
    """Return a kept message's arguments as JSON; the message itself where it has none by name."""
    if job.payload is None:
        raise click.ClickException(
            f"no payload of job {printable(job.id)} is kept: it is {job.state}"
        )
    try:
        args, kwargs, *_ = msgspec.json.decode(job.payload, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, ValueError):
        return job.payload
    return job.payload if bytes(args) != b"[]" else bytes(kwargs).decode()


def next_step(job: LedgerJob) -> Iterator[str]:
    """Say what can be done, where anything can."""
    command = f"python -m worker jobs {{}} {printable(job.id)}"
    if job.state is State.DEAD and job.payload:
        yield ""
        yield f"next: `{command.format('redrive')}`, or `{command.format('discard')}`"
    elif job.state is State.HELD and job.outbox_since is None:
        yield ""
        yield f"next: `python -m worker targets resume {printable(job.subject)}`"

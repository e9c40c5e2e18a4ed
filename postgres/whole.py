"""Commit jobs that do nothing but write, ledger and rows, in one statement and one round trip.

Such a statement is a transaction of its own: it commits whole when its answer
comes, deferred constraints included, or it leaves nothing. What takes any
looking at in between goes the careful way, see :mod:`postgres.ledger`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celeriac.contract import SUBJECT_SEPARATOR
from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import Composition, statement
from postgres.transaction import Lender, single_statement


@dataclass(frozen=True, slots=True)
class Write:
    """A statement that writes, and how many rows it has to return.

    It is an INSERT, UPDATE, DELETE or MERGE with a RETURNING clause, its
    values bound by name. It must not depend on what other writes of the same
    jobs do: all of them see the database as it was before.
    """

    statement: str | Composition
    parameters: Mapping[str, Any]
    rows: int


@dataclass(frozen=True, slots=True)
class NewJobs:
    """Jobs of one task, column by column: in each, the same place is the same job.

    The ids are distinct. ``digests`` are in hex.
    """

    task: str
    ids: Sequence[str]
    subjects: Sequence[str]
    rows: Sequence[int]
    digests: Sequence[str]
    #: Those of the ids that came by the outbox: they leave it in the same statement.
    relayed: Sequence[str] = ()


def commit_whole(jobs: NewJobs, writes: Sequence[Write], worker: str, pool: Lender) -> None:
    """Commit the jobs, all new to the ledger, with all that they write, or nothing.

    Raises :class:`Refused` of phase ``commit``, whatever it is that PostgreSQL
    refused: a known id, a held target, a bad row. With ``sqlstate`` None
    nobody knows whether the server committed.
    """
    with single_statement(pool) as cursor, refusals(Phase.COMMIT):
        # In the same round trip and transaction: what an earlier batch's triggers left is gone.
        reset = statement("reset_session")
        cursor.execute(f"{reset};\n{_statement(jobs, writes, worker, cursor)}")


def _statement(jobs: NewJobs, writes: Sequence[Write], worker: str, cursor: Cursor) -> str:
    # Plain text work, which a lone job notices: what goes in are numbers, names of ours, and
    # statements whose values the driver has bound. Braces inside of those stay as they are.
    names = [f"written_{number}" for number in range(len(writes))]
    return statement("commit_whole").format(
        claim=_bound(statement("claim_new_jobs"), _columns(jobs, worker), cursor),
        jobs=len(jobs.ids),
        writes="".join(_written(names, writes, cursor)) + _removed(jobs.relayed, cursor),
        checks="".join(_checks(names, writes)),
    )


def _columns(jobs: NewJobs, worker: str) -> dict[str, str]:
    return {
        "task": jobs.task,
        "worker": worker,
        "ids": text_array(jobs.ids),
        "subjects": text_array(jobs.subjects),
        "distinct_subjects": text_array(_targets(set(jobs.subjects))),
        "rows": f"{{{','.join(map(str, jobs.rows))}}}",
        "digests": f"{{{','.join(jobs.digests)}}}",
    }


def _targets(subjects: set[str]) -> set[str]:
    """Return what may be held: subjects, and their parts where a job is about several targets."""
    parts = {
        part
        for one in subjects
        if SUBJECT_SEPARATOR in one
        for part in one.split(SUBJECT_SEPARATOR)
    }
    return subjects | parts


def _written(names: Sequence[str], writes: Sequence[Write], cursor: Cursor) -> Iterable[str]:
    for name, write in zip(names, writes, strict=True):
        text = write.statement
        text = text if isinstance(text, str) else text.text(cursor)
        yield f", {name} AS (\n{_bound(text, write.parameters, cursor)}\n)"


def _removed(ids: Sequence[str], cursor: Cursor) -> str:
    if not ids:
        return ""
    return (
        f", relayed AS (\n{_bound(statement('remove_jobs'), {'ids': text_array(ids)}, cursor)}\n)"
    )


def _checks(names: Sequence[str], writes: Sequence[Write]) -> Iterable[str]:
    for name, write in zip(names, writes, strict=True):
        counted = f"(SELECT count(*) FROM {name}) <> {int(write.rows)}"  # noqa: S608 - our name, a number
        yield f"WHEN {counted} THEN celeriac.refuse('rows were kept out')\n"


def _bound(text: str, parameters: Mapping[str, Any], cursor: Cursor) -> str:
    """Write values into a statement, quoted by the driver."""
    return str(cursor.mogrify(text, parameters), "utf-8")


def text_array(values: Iterable[str]) -> str:
    """Write an array of texts as PostgreSQL reads it; the driver takes longer than the server."""
    values = list(values)
    inside = '","'.join(values)
    if "\\" in inside or inside.count('"') != 2 * (len(values) - 1):
        inside = '","'.join(one.replace("\\", "\\\\").replace('"', '\\"') for one in values)
    return f'{{"{inside}"}}' if values else "{}"

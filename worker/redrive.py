"""Send a buried job again under its old id, as it came or edited."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from celeriac.contract import GROUP, State
from postgres.kept_jobs import LockedJob, discard_job, lock_job, redrive_job
from postgres.outbox import Entry, enqueue, remove
from postgres.replay import close_replays, is_replay
from postgres.transaction import Lender, transaction
from tasks.kind import BadPayload, Kind
from tasks.wire import read_body
from worker.accept import accept
from worker.delivery import Delivery

_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_REASON_CHARACTERS = 2_000


class CannotRedrive(Exception):
    """The job cannot be sent again, or not like this; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who decides, and when: the ledger keeps it with the job."""

    name: str
    at: datetime

    def words(self, what: str, before: str | None) -> str:
        """Return the reason that stands in the ledger from now on."""
        earlier = f"; before: {before}" if before else ""
        return f"{what} by {self.name} at {self.at:%Y-%m-%d %H:%M:%S}Z{earlier}"[
            :_REASON_CHARACTERS
        ]


def redrive(
    job_id: str,
    edited: str | None,
    kinds: Mapping[str, Kind[Any]],
    operator: Operator,
    pool: Lender,
) -> None:
    """Enqueue a dead job again, once: from here on the ledger has it as held, until it runs.

    ``edited`` are other arguments for it, a JSON object. Raises
    :class:`CannotRedrive`; nothing was changed then.
    """
    with transaction(pool) as cursor:
        job = _dead(job_id, lock_job(job_id, cursor))
        body = new_body(job, edited, kinds)
        digest = accept(Delivery(job_id, job.task, body.encode()), kinds).ask.digest
        redrive_job(job_id, body, digest, operator.words("redriven", job.error), cursor)
        # A worker of an older version left it there, pushed already: it would never go again.
        remove([job_id], cursor)
        enqueue([Entry(job_id, job.task, body)], cursor)


def discard(job_id: str, operator: Operator, pool: Lender) -> bool:
    """Drop what was kept of a dead or held job, so that it never runs; False if it is neither.

    The entries of a replay wait in the quarantine again.
    """
    with transaction(pool) as cursor:
        job = lock_job(job_id, cursor)
        if job is None:
            return False
        reason = operator.words("discarded", job.error)
        if not discard_job(job_id, reason, cursor):
            return False
        # It may wait there: a job that was resumed or redriven and has not run yet.
        remove([job_id], cursor)
        close_replays([job_id], cursor)
    return True


def new_body(job: LockedJob, edited: str | None, kinds: Mapping[str, Kind[Any]]) -> str:
    """Return the body to send. Raises :class:`CannotRedrive` if no worker could read it."""
    if job.task not in kinds:
        known = ", ".join(sorted(kinds))
        raise CannotRedrive(
            f"task {job.task!r} is none of {known}: set CELERIAC_KINDS as the workers have it"
        )
    body = job.payload or "" if edited is None else _with_arguments(edited, job.payload or "")
    try:
        read_body(body.encode())
    except BadPayload as error:
        raise CannotRedrive(
            f"{error}; give its arguments with --payload, see `jobs show {job.id}`"
        ) from error
    return body


def _dead(job_id: str, job: LockedJob | None) -> LockedJob:
    if job is None:
        raise CannotRedrive("the ledger does not know it")
    if job.state is State.HELD:
        raise CannotRedrive(
            "it is held, and waits for its target or is on its way already: "
            "see `targets list` and `targets resume`"
        )
    if job.state is not State.DEAD:
        raise CannotRedrive(f"it is {job.state}, only dead jobs can be redriven")
    if is_replay(job_id):
        raise CannotRedrive(
            "it was a replay, and its rows wait in the quarantine again: `quarantine replay` them"
        )
    if not job.payload:
        raise CannotRedrive("its message was not kept: enqueue it anew")
    return job


def _with_arguments(edited: str, payload: str) -> str:
    """Put other arguments into a body; their text stays as it is, and so does the job's group."""
    try:
        arguments = msgspec.json.decode(edited, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise CannotRedrive(f"the payload must be a JSON object of arguments: {error}") from error
    text = ",".join(f"{json.dumps(name)}:{bytes(raw).decode()}" for name, raw in arguments.items())
    return f"[[],{{{text}}},{_embed(payload)}]"


def _embed(payload: str) -> str:
    """Write that nothing follows the job, but what follows its group."""
    try:
        canvas = read_body(payload.encode()).canvas
    except BadPayload:
        canvas = None
    group = bytes(canvas.celeriac_group).decode() if canvas else ""
    empty = json.dumps(_EMBED)
    return f"{empty[:-1]}, {json.dumps(GROUP)}: {group}}}" if group else empty

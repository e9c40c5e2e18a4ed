"""The jobs of a group, gathered until it is known how many they are, and then sent together."""

import json
from collections.abc import Sequence
from typing import Final

from celeriac.bulk import TAKEN_ROWS, Ready, Summary, as_source
from celeriac.contract import MAX_GROUP_JOBS, MAX_ID_CHARACTERS, MAX_THEN_BYTES, THEN_SUFFIX
from celeriac.cut import Cut
from celeriac.errors import BadPayload, BrokerUnavailable, BulkUnfinished, QueueFull
from celeriac.jobs import Job
from celeriac.message import Form, new_id, write_body
from celeriac.options import Options
from celeriac.payload import check_body, check_new_id
from celeriac.queues import Pushed, Room, push
from celeriac.rows import flat
from celeriac.steps import Pause, Plan, Take
from celeriac.urls import Address

_MOST_ID_CHARACTERS: Final = MAX_ID_CHARACTERS - len(THEN_SUFFIX)


class Members:
    """What a group has so far; ``options`` are those of all its jobs, ``id`` is the group's."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.id = options.id or new_id()
        if len(self.id) > _MOST_ID_CHARACTERS:
            raise BadPayload(
                f"id of a group must have 1 to {_MOST_ID_CHARACTERS} characters, got {len(self.id)}"
            )
        self.jobs: dict[str, Job] = {}
        self._said: str | None = None

    @property
    def following(self) -> str:
        """The id of the job that follows."""
        return self.id + THEN_SUFFIX

    @property
    def track(self) -> bool:
        """Whether its jobs write results; what follows them always does."""
        return self.options.track is True

    def add(self, made: Plan[Job], job_id: str | None) -> Plan[str]:
        """Make one more job; return its id: the group's and a number, if it is given none."""
        return self._add((yield from made), job_id)

    def add_many(self, cut: Cut, source: object) -> Plan[list[str]]:
        """Make jobs of the rows of a source, all or none; return their ids."""
        rows, before = as_source(source), dict(self.jobs)
        ids: list[str] = []
        try:
            while items := (yield Take(rows, TAKEN_ROWS)):
                for row in flat(items):
                    ids += [self._add(job, None) for job in cut.add(row)]
                yield Pause(0)
            ids += [self._add(job, None) for job in cut.rest()]
        except BaseException:
            self.jobs = before
            raise
        return ids

    def _add(self, job: Job, job_id: str | None) -> str:
        number = len(self.jobs) + 1
        if number > MAX_GROUP_JOBS:
            raise BadPayload(f"a group must have 1 to {MAX_GROUP_JOBS} jobs, got {number}")
        job_id = check_new_id(f"{self.id}:{number}" if job_id is None else job_id)
        if job_id in self.jobs or job_id == self.following:
            raise BadPayload(f"id must differ from job to job of a group, got {job_id!r} again")
        self.jobs[job_id] = job
        return job_id

    def close(self, then: Job) -> str:
        """Return what every message says of the group, as JSON; the same again, if asked again."""
        if not self.jobs:
            raise BadPayload(
                f"a group must have 1 to {MAX_GROUP_JOBS} jobs, got 0;"
                " enqueue by itself what was to follow"
            )
        if len(then.arguments) > MAX_THEN_BYTES:
            raise BadPayload(
                f"what follows a group must have at most {MAX_THEN_BYTES} bytes of arguments,"
                f" got {len(then.arguments)}; each of its jobs carries them"
            )
        following = f'{{"task": {json.dumps(then.task)}, "kwargs": {then.arguments}}}'
        said = f'{{"id": {json.dumps(self.id)}, "size": {len(self.jobs)}, "then": {following}}}'
        if self._said not in (None, said):
            raise BadPayload(
                f"group {self.id} was sent before, with other jobs or with something else to"
                " follow; begin another one"
            )
        self._said = said
        return said

    def by_task(self) -> dict[str, dict[str, Job]]:
        """Return the jobs of each task, by their ids, in order."""
        found: dict[str, dict[str, Job]] = {}
        for job_id, job in self.jobs.items():
            found.setdefault(job.task, {})[job_id] = job
        return found


class Sending:
    """One try to send a group; all of it may be sent again."""

    def __init__(self, members: Members, said: str) -> None:
        self._said = said
        self._unsent = list(members.jobs)
        self._summary = Summary()

    def push(
        self, jobs: dict[str, Job], form: Form, server: Address, key: str, room: Room | None
    ) -> Plan[None]:
        """Push the jobs of one task, many in a call."""
        ready = Ready()
        for job_id, job in jobs.items():
            body = check_body(write_body(job.arguments, self._said))
            raw = form.write(job_id, body, job.description, ready.at)
            ready.ids.append(job_id)
            ready.raws.append(raw)
            ready.rows.append(job.rows)
            ready.size_bytes += len(raw)
            if ready.is_due():
                yield from self._push(ready, server, key, room)
                ready = Ready()
        if ready.ids:
            yield from self._push(ready, server, key, room)

    def _push(self, ready: Ready, server: Address, key: str, room: Room | None) -> Plan[None]:
        pushed = Pushed()
        try:
            yield from push(server, key, ready.raws, room, pushed)
        except BrokerUnavailable as error:
            self._account(ready, pushed)
            raise self._unfinished(error, ready.ids[pushed.count :]) from error.__cause__
        except QueueFull as error:
            self._account(ready, pushed)
            raise QueueFull(f"{error}; {self._before()}", sent=self._summary) from None
        self._account(ready, pushed)
        yield Pause(0)

    def _account(self, ready: Ready, pushed: Pushed) -> None:
        sent = ready.ids[: pushed.count]
        self._summary.jobs += pushed.count
        self._summary.rows += sum(ready.rows[: pushed.count])
        self._summary.ids += sent
        gone = set(sent)
        self._unsent = [one for one in self._unsent if one not in gone]

    def _unfinished(self, error: BrokerUnavailable, left: Sequence[str]) -> BulkUnfinished:
        unknown = list(left) if error.may_have_arrived else []
        doubtful = set(unknown)
        unsent = [one for one in self._unsent if one not in doubtful]
        words = f"{error}; {self._before()}, the same call again completes the group"
        return BulkUnfinished(words, self._summary, unknown, unsent)

    def _before(self) -> str:
        return f"{self._summary.jobs} jobs of the group were sent"

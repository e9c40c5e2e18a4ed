"""Hand over what was reserved: plain jobs to whoever takes them, all others to Celery.

A lone message that came while the worker waited is handed over at once, under
the number of the slab that it is about to be taken into: the script's answer
would cost it another round trip.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from worker.transport import envelope
from worker.transport.peek import id_of, read_message, read_slab
from worker.transport.reservation import Reservation
from worker.transport.slabs import Place
from worker.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Taken:
    """What the script moved into a slab; the messages from ``first`` on, joined by commas."""

    number: int
    queue: str
    messages: int
    text: bytes
    first: int
    #: By position, how often a suspect killed its process.
    deaths: Mapping[int, int]
    #: Whether somebody cancelled jobs of late: these may be among them.
    has_doubts: bool


class Handover:
    """The way of one channel's messages to the jobs' consumer."""

    def __init__(self, reservation: Reservation, deliver: Callable[[Any, str], None]) -> None:
        self._reservation = reservation
        #: Delivers a message of a queue to Celery.
        self._deliver = deliver
        #: Handed over and not yet in its slab.
        self.early: Waiting | None = None

    def hand_over_early(self, raw: bytes) -> None:
        """Hand a lone message over that is under the lease, if it is plain."""
        reservation = self._reservation
        if reservation.intake is None:
            return
        number = reservation.slabs.next_number()
        job = read_message(raw, number, 0, reservation.plain_tasks)
        if job is None:
            return
        reservation.slabs.open_early(number, len(raw))
        self.early = job
        try:
            reservation.intake([job])
        except BaseException:
            self.disown_early()
            raise

    def disown_early(self) -> None:
        """Forget that the early message is ours; it settles in vain, and comes again."""
        if self.early is not None:
            self.early = None
            self._reservation.slabs.disown_early()

    def hand_over(self, taken: Taken) -> None:
        """Hand over what was taken; the early message is in its slab now."""
        early, self.early = self.early, None
        if early is None:
            self._reservation.slabs.open(taken.number, taken.messages, len(taken.text))
        else:
            self._reservation.slabs.confirm_early(taken.messages, len(taken.text))
            _mark_suspect(early, taken.deaths)
        try:
            others = self._hand_over_plain(taken) if taken.first < taken.messages else {}
        except BaseException:
            # Nobody would ever look at them again; whoever took some of them settles in vain.
            places = range(taken.first, taken.messages)
            self._reservation.give_back(Place(taken.number, at) for at in places)
            raise
        if early is not None:
            # It may be over by now, and nobody could say so before.
            self._reservation.flush()
        self._deliver_all(others, taken)

    def _hand_over_plain(self, taken: Taken) -> Mapping[int, bytes]:
        """Hand plain jobs over; return the messages of all others."""
        reservation = self._reservation
        jobs, others = self._read(taken, reservation.plain_tasks if reservation.intake else ())
        if taken.has_doubts:
            ids = [job.id for job in jobs] + list(map(id_of, others.values()))
            cancelled = reservation.learn_cancelled(list(filter(None, ids)))
            for job in jobs:
                # Celery forgets what was revoked some hours ago; the job may wait for longer.
                job.is_cancelled = job.id in cancelled
        if taken.deaths:
            for job in jobs:
                _mark_suspect(job, taken.deaths)
            # Each has its turn alone before any has it again, however often workers die.
            jobs.sort(key=_crashes)
            for at in others.keys() & taken.deaths.keys():
                reservation.deaths[Place(taken.number, at)] = taken.deaths[at]
        if jobs and reservation.intake:
            reservation.intake(jobs)
        return others

    def _read(self, taken: Taken, tasks: Any) -> tuple[list[Waiting], dict[int, bytes]]:
        number, first = taken.number, taken.first
        try:
            jobs = read_slab(taken.text, taken.messages - first, number, tasks, first)
            odd = [place for place, job in enumerate(jobs) if job is None]
            stored: Mapping[int, bytes] = envelope.raws(taken.text, odd)
        except (ValueError, RecursionError):
            # Some are not of the usual form: one by one.
            is_lone = taken.messages - first == 1
            raws = [taken.text] if is_lone else self._reservation.read_slab(number)[first:]
            jobs = [read_message(raw, number, at, tasks) for at, raw in enumerate(raws, first)]
            stored = {place: raw for place, raw in enumerate(raws) if jobs[place] is None}
        others = {first + place: raw for place, raw in stored.items()}
        return [job for job in jobs if job is not None], others

    def _deliver_all(self, raws: Mapping[int, bytes], taken: Taken) -> None:
        """Deliver messages to Celery, each of them, also after one that could not be delivered."""
        first_error: Exception | None = None
        for place, raw in raws.items():
            message = loads(bytes_to_str(envelope.readable(raw, taken.queue)))
            at = Place(taken.number, place)
            message["properties"]["delivery_tag"] = at.tag
            self._reservation.elsewhere.add(at)
            try:
                self._deliver(message, taken.queue)
            except Exception as error:  # noqa: BLE001 - raised below, when all had their turn
                first_error = first_error or error
        if first_error is not None:
            raise first_error


def _crashes(job: Waiting) -> int:
    return job.crashes


def _mark_suspect(job: Waiting, deaths: Mapping[int, int]) -> None:
    if job.position in deaths:
        job.is_suspect, job.crashes = True, deaths[job.position]

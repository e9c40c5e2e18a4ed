"""What may be asked of one call beside the job itself."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal, TypedDict

from celeriac.errors import BadPayload
from celeriac.payload import check_new_id
from celeriac.shown import shown

WhenFull = Literal["refuse", "wait"]
MOST_PRIORITY = 9


class Given(TypedDict, total=False):
    """The options of every call that enqueues; all may be left out.

    ``id``: the job's id, text of 1 to 200 characters; the same id and payload
    again have their effect once. Left out, it is a new uuid7.
    ``run_at``: not before this datetime (with a zone), or this timedelta from now.
    ``expires``: not started after this datetime or timedelta.
    ``priority``: 0 (first) to 9 (last), as Celery on Redis has it; 0 by default.
    ``track``: whether a result is written, for :meth:`Ticket.wait`.
    ``deadline``: seconds that this call may take, instead of the client's ``timeout``.
    ``max_depth``: at most so many jobs wait in the queue after this call.
    ``when_full``: ``"refuse"`` raises QueueFull at once (default), ``"wait"``
    waits for room until the deadline, and raises it then.
    """

    id: str
    run_at: datetime | timedelta
    expires: datetime | timedelta
    priority: int
    track: bool
    deadline: float
    max_depth: int
    when_full: WhenFull


# Not frozen: Python sets the fields of what is frozen one by one by a function, in each call.
@dataclass(slots=True)
class Options:
    """The same, checked; raises :class:`BadPayload` in words that name the option."""

    id: str | None = None
    run_at: datetime | timedelta | None = None
    expires: datetime | timedelta | None = None
    priority: int = 0
    track: bool | None = None
    deadline: float | None = None
    max_depth: int | None = None
    when_full: WhenFull = "refuse"

    def __post_init__(self) -> None:
        if self.id is not None:
            check_new_id(self.id)
        if type(self.priority) is not int or not 0 <= self.priority <= MOST_PRIORITY:
            raise BadPayload(
                f"priority must be a number from 0 to {MOST_PRIORITY}, got {shown(self.priority)}"
            )
        if self.track is not None and type(self.track) is not bool:
            raise BadPayload(f"track must be True or False, got {shown(self.track)}")
        if self.deadline is not None and not _is_time(self.deadline):
            raise BadPayload(
                f"deadline must be a number of seconds above 0, got {shown(self.deadline)}"
            )
        if self.max_depth is not None and (type(self.max_depth) is not int or self.max_depth < 1):
            raise BadPayload(f"max_depth must be a number from 1, got {shown(self.max_depth)}")
        if self.when_full not in ("refuse", "wait"):
            raise BadPayload(f"when_full must be 'refuse' or 'wait', got {shown(self.when_full)}")


def moment(field: str, value: datetime | timedelta | None) -> str | None:
    """Return a moment as Celery's headers have it: ISO 8601 with an offset."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        try:
            value = datetime.now(timezone.utc) + value
        except OverflowError as error:
            raise BadPayload(f"{field} must lie before the year 10000, got {value!s}") from error
    if not isinstance(value, datetime):
        raise BadPayload(f"{field} must be a datetime or a timedelta, got {shown(value)}")
    if value.utcoffset() is None:
        raise BadPayload(f"{field} must say its zone, as in tzinfo=timezone.utc, got {value!s}")
    return value.isoformat()


def _is_time(seconds: object) -> bool:
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    return is_number and seconds > 0 and math.isfinite(seconds)  # type: ignore[operator,arg-type]  # narrowed above

"""Have a question go on by itself, for all who ask it."""

from celeriac.contract import State
from tasks.kind import Outcome, Waits
from tasks.reports.asked import Asked


def goes_alone(asked: Asked) -> list[Outcome]:
    """Let the first job of a question take long; the others wait for its answer."""
    first, *others = asked.ids
    words = f"job {first!r} asks the same: its answer is for all"
    return [
        Outcome(first, State.WORKING),
        *(Outcome(id_, State.QUEUED, error=words, waits=Waits.BY_ITSELF) for id_ in others),
    ]

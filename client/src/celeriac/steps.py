"""What a plan asks of the outside: a command, a moment's rest, the next rows.

Everything that decides is a plan: a generator that yields steps, is sent their
answers, and returns its result. It neither connects nor waits. Two edges carry
plans out, :mod:`celeriac.blocking` and :mod:`celeriac.awaiting`; they differ
in how they wait and in nothing else.
"""

from collections.abc import Generator
from itertools import islice
from typing import Any, NamedTuple, TypeAlias, TypeVar

from celeriac.urls import Address

Argument: TypeAlias = bytes | str | int
Answer = TypeVar("Answer")


class Ask(NamedTuple):
    """Send one command, answer with what Redis says; raise BrokerUnavailable, naming it."""

    server: Address
    command: tuple[Argument, ...]
    #: What an error says of it.
    tried: str


class Subscribe(NamedTuple):
    """Listen to a channel until the plan ends; when answered, nothing said later is missed."""

    server: Address
    channel: str


class Hear(NamedTuple):
    """Wait until something is said on the channel subscribed to last, or a time is over."""

    seconds: float


class Pause(NamedTuple):
    """Let time pass; 0 lets others run, where they need that."""

    seconds: float


class Take(NamedTuple):
    """Answer with a list of the next items of the source, at most so many; empty at its end."""

    source: Any
    most: int


Step: TypeAlias = Ask | Subscribe | Hear | Pause | Take
Plan: TypeAlias = Generator[Step, Any, Answer]


def take(step: Take) -> list[Any]:
    """Answer a :class:`Take` from an iterator."""
    return list(islice(step.source, step.most))


async def take_async(step: Take) -> list[Any]:
    """Answer it from an iterator of either sort."""
    if not hasattr(step.source, "__anext__"):
        return take(step)
    taken: list[Any] = []
    async for item in step.source:
        taken.append(item)
        if len(taken) >= step.most:
            break
    return taken

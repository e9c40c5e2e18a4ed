"""Who consumes which queue, what waits where nobody does, and how many connections all may open."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from celery import Celery

from config import Settings
from postgres.server import ServerFacts
from worker.commands.layout import counted
from worker.doctor.finding import Finding, ok, problem, warning
from worker.relay.broker import BROKER_ERRORS, Broker
from worker.transport.overview import queue_lengths

_ANSWER_SECONDS = 2.0
#: Where Celery puts tasks that nobody gave a queue.
_DEFAULT_QUEUE = "celery"


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers that answered: the queues of each, and its children."""

    queues: Mapping[str, frozenset[str]]
    children: Mapping[str, int]

    @property
    def consumed(self) -> frozenset[str]:
        """Every queue that somebody consumes."""
        return frozenset().union(*self.queues.values())


def ask_workers(app: Celery) -> Crew:
    """Ask all workers at once, of ours and others; those that do not answer in time are missing."""
    inspect = app.control.inspect(timeout=_ANSWER_SECONDS)
    queues = inspect.active_queues() or {}
    stats = inspect.stats() or {}
    return Crew(
        {name: _names(found) for name, found in queues.items()},
        {name: _children(found) for name, found in stats.items()},
    )


def look_at_queues(
    settings: Settings, ours: Mapping[str, str], crew: Crew, others: Collection[str] = ()
) -> Iterator[Finding]:
    """Tell which queues nobody consumes, and what waits in them, in those of ``others`` too."""
    names = frozenset(ours.values())
    asked = {*names, *others, _DEFAULT_QUEUE}
    broker = Broker(settings.broker_url.get_secret_value(), settings.key_prefix)
    try:
        lengths = queue_lengths(broker.redis(), asked, settings.key_prefix)
    except BROKER_ERRORS:
        return  # The broker's own finding says so.
    finally:
        broker.close()
    for name, jobs in lengths.items():
        if name in crew.consumed:
            yield ok(f"queue {name}", f"{counted(jobs, 'job')} waiting, it is consumed")
        elif jobs:
            yield problem(f"queue {name}", _unconsumed(jobs), _remedy(name, names))
        elif name in names:
            yield warning(f"queue {name}", "no worker consumes it", _remedy(name, names))


def look_at_pools(
    settings: Settings, ours: Mapping[str, str], crew: Crew, facts: ServerFacts | None
) -> Iterator[Finding]:
    """Tell whether PostgreSQL takes all connections that our workers may open."""
    names = frozenset(ours.values())
    workers = [name for name, consumed in crew.queues.items() if names & consumed]
    children = sum(crew.children.get(name, 0) for name in workers)
    if facts is None or not children:
        return
    needed, free = children * settings.pool_size, facts.connections - facts.others
    sentence = (
        f"{counted(children, 'child', 'children')} of {counted(len(workers), 'worker')} may "
        f"open {needed} connections ({settings.pool_size} each), {free} of the server's "
        f"{facts.connections} are not in use by others"
    )
    if needed > free:
        yield problem(
            "connections",
            sentence,
            "lower CELERIAC_CONCURRENCY or CELERIAC_POOL_SIZE, or raise max_connections "
            f"by {needed - free} or more",
        )
    else:
        yield ok("connections", sentence)


def _names(queues: Any) -> frozenset[str]:
    """Read the names of queues from a reply; one that failed to answer tells of none."""
    if not isinstance(queues, list):
        return frozenset()
    return frozenset(str(one.get("name")) for one in queues if isinstance(one, dict))


def _children(stats: Any) -> int:
    pool = stats.get("pool") if isinstance(stats, dict) else None
    count = pool.get("max-concurrency") if isinstance(pool, dict) else None
    return count if isinstance(count, int) else 0


def _unconsumed(jobs: int) -> str:
    return f"{counted(jobs, 'job')} waiting, and no worker consumes it"


def _remedy(name: str, ours: frozenset[str]) -> str:
    if name in ours:
        return f"start a worker: celery -A worker.app worker -Q {name}"
    if name == _DEFAULT_QUEUE:
        return (
            "their producer named no queue: for jobs of ours send them with "
            "queue='celeriac.ingest'; for your own tasks start your worker"
        )
    return f"start the worker that consumes it, or see who sends there: -Q {name}"

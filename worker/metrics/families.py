"""Put figures into the families that Prometheus reads; their names are an interface."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily

from postgres.server import OutboxFacts
from postgres.set_aside import SetAside
from worker.metrics.figures import BrokerFigures

_Values = Iterable[tuple[Sequence[str], float]]

_SET_ASIDE = {
    "quarantined": ("celeriac_quarantined_rows", "Rows in quarantine, by target and SQLSTATE"),
    "dead": ("celeriac_buried_jobs", "Buried jobs, by target or report, and reason"),
    "held": ("celeriac_held_jobs", "Jobs that wait for a held target, by its reason"),
}


def of_servers(up: Iterable[tuple[str, bool]]) -> Iterator[GaugeMetricFamily]:
    """Yield which servers answered."""
    values = [([name], float(answers)) for name, answers in up]
    yield _gauge("celeriac_up", "Whether a server answered the last time", ["server"], values)


def of_broker(seen: BrokerFigures) -> Iterator[GaugeMetricFamily]:
    """Yield what waits in the queues, and what workers have."""
    waiting = [([name], float(jobs)) for name, jobs in seen.waiting.items()]
    yield _gauge("celeriac_queue_jobs", "Jobs that no worker has reserved", ["queue"], waiting)
    ages = [([name], seconds) for name, seconds in seen.oldest_seconds.items()]
    words = "How long the first job of a queue has waited, as far as is known"
    yield _gauge("celeriac_queue_oldest_seconds", words, ["queue"], ages)
    words = "Jobs that workers have reserved and not settled"
    yield _gauge("celeriac_reserved_jobs", words, [], [([], float(seen.reserved))])
    words = "Silent workers whose jobs nobody has given back yet"
    yield _gauge("celeriac_expired_leases", words, [], [([], float(seen.expired))])


def of_outbox(due: OutboxFacts) -> Iterator[GaugeMetricFamily]:
    """Yield what waits for a relay."""
    words = "Jobs that are due and that no relay has pushed"
    yield _gauge("celeriac_outbox_due_jobs", words, [], [([], float(due.due))])
    words = "How long the first of them has been due"
    yield _gauge("celeriac_outbox_oldest_seconds", words, [], [([], max(0.0, due.oldest_seconds))])


def of_set_aside(seen: Sequence[SetAside]) -> Iterator[GaugeMetricFamily]:
    """Yield what waits for somebody to look at it."""
    for what, (name, words) in _SET_ASIDE.items():
        groups = [([one.subject, one.reason], float(one.count)) for one in seen if one.what == what]
        yield _gauge(name, words, ["subject", "reason"], groups)


def _gauge(name: str, words: str, labels: list[str], values: _Values) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=labels)
    for of_labels, value in values:
        family.add_metric(of_labels, value)
    return family

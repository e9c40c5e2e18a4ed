"""Print what was found, with the ratios that matter."""

from collections.abc import Iterator, Mapping
from typing import Any

#: Peers that are compared as "the fastest peer"; stock Celery has a column of its own.
PEERS = ("dramatiq", "taskiq", "procrastinate")


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of all tables."""
    machine = results["machine"]
    yield f"{machine['cores']} cores of {machine['cpu']}, load before {machine['load_average']:.1f}"
    yield f"PostgreSQL {machine['postgres']}, Valkey {machine['valkey']}"
    for key, by_subject in results.items():
        if key.endswith("_per_s"):
            yield from _rates(key, by_subject)
        elif key.endswith((".p50", ".p99", "_mb", "_ratio")):
            yield from _plain(key, by_subject)
    yield from _costs(results["cost_per_1000_jobs"])
    yield from (f"FAILED {name} in {words}" for name, words in results["failed"].items())


def _rates(key: str, by_subject: Mapping[str, Any]) -> Iterator[str]:
    fastest = max((by_subject[one]["median"] for one in PEERS if one in by_subject), default=None)
    floor = _median_of(by_subject, "floor", "copy")
    stock = _median_of(by_subject, "celery_prefork", "send_task", "celery")
    yield ""
    yield f"{key:34}{'median':>9}{'min':>9}{'max':>9}{'/floor':>9}{'/celery':>9}{'/peer':>9}"
    for subject, found in by_subject.items():
        middle = found["median"]
        ratios = "".join(_ratio(middle, other) for other in (floor, stock, fastest))
        yield f"{subject:34}{middle:9,.0f}{found['min']:9,.0f}{found['max']:9,.0f}{ratios}"


def _plain(key: str, by_subject: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"{key:34}{'median':>9}{'min':>9}{'max':>9}"
    for subject, found in by_subject.items():
        yield f"{subject:34}{found['median']:9.2f}{found['min']:9.2f}{found['max']:9.2f}"


def _costs(by_subject: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    if not by_subject:
        return
    yield ""
    yield (
        f"{'cost per 1,000 jobs':26}{'main':>8}{'child':>8}{'pg':>8}{'redis':>8}"
        f"{'WAL kB':>8}{'tx':>7}{'commands':>9}{'reads':>8}{'peak MB':>8}"
    )
    yield f"{'':26}{'ms of processor time':>32}"
    for subject, cost in by_subject.items():
        times = "".join(
            f"{cost[f'{who}_cpu_seconds'] * 1000:8.1f}"
            for who in ("main", "child", "postgres", "redis")
        )
        yield (
            f"{subject:26}{times}{cost['wal_bytes'] / 1000:8.0f}{cost['transactions']:7.1f}"
            f"{cost['redis_commands']:9.1f}{cost['redis_reads']:8.1f}{cost['peak_memory_mb']:8.0f}"
        )


def _median_of(by_subject: Mapping[str, Any], *names: str) -> float | None:
    """Return the median of the first of these that was measured."""
    return next((by_subject[one]["median"] for one in names if one in by_subject), None)


def _ratio(value: float, other: float | None) -> str:
    return f"{value / other:9.2f}" if other else f"{'–':>9}"

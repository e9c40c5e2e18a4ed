"""The visit: what is looked at, in order; a look that fails does not end it."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from config import Settings
from worker.doctor.broker import look_at_broker, look_at_results
from worker.doctor.database import look_at_database, seen_by_workers
from worker.doctor.finding import Finding, ok, problem
from worker.doctor.folders import look_at_folders
from worker.doctor.reports import look_at_reports
from worker.doctor.versions import look_at_versions
from worker.doctor.workers import ask_workers, look_at_pools, look_at_queues
from worker.kinds import BadKind, queues_of
from worker.named import load
from worker.outside import settings_or_mistakes
from worker.relay.broker import BROKER_ERRORS


def visit() -> Iterator[Finding]:
    """Yield what is found, in the order in which it can be looked at."""
    yield from look_at_versions()
    settings = settings_or_mistakes()
    if isinstance(settings, list):
        yield from (problem("settings", mistake, "python -m config") for mistake in settings)
        return
    try:
        queues = queues_of(settings.kinds)
    except BadKind as error:
        yield problem("settings", str(error), "correct CELERIAC_KINDS")
        return
    yield ok("settings", "no mistake in them")
    looks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("PostgreSQL", lambda: look_at_database(settings)),
        ("reports", lambda: look_at_reports(settings)),
        ("Redis", lambda: look_at_broker(settings)),
        ("folders", lambda: look_at_folders(settings)),
        ("workers", lambda: _look_at_workers(settings, queues)),
    ]
    for about, look in looks:
        yield from _guarded(about, look)


def _guarded(about: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Take a look; one that fails by itself is told, and the others go on."""
    try:
        yield from look()
    except Exception as error:  # noqa: BLE001 - the doctor's edge: deployments are ill in new ways
        sentence = f"could not be looked at: {type(error).__name__}: {error}"
        yield problem(about, sentence, "tell the project what it says, with the facts around it")


def _look_at_workers(settings: Settings, queues: Mapping[str, str]) -> Iterator[Finding]:
    # Celery and all kinds are loaded only here: with wrong settings that would not work.
    app = load("worker.app:app")
    yield from look_at_results(app, settings)
    try:
        crew = ask_workers(app)
    except BROKER_ERRORS:
        return  # The broker's own finding says so.
    facts, tasks = seen_by_workers(settings)
    # A relay pushes what no kind is known for to a queue of its task's name.
    yield from look_at_queues(settings, queues, crew, tasks - queues.keys())
    yield from look_at_pools(settings, queues, crew, facts)

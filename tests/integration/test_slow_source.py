"""A run that waits for a slow file lives: it says so, hears what it is told, and is not ended."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from celeriac.contract import INGEST_FILE
from tests.integration import depot
from tests.integration.batches import body_of, child_on, settle
from tests.integration.shop import query
from tests.waiting import wait_for
from worker.child import Child
from worker.delivery import Delivery, Fate, Settlement

SECONDS = 60.0
LINES = [b"id,weight,note\n", b"1,1,first\n", b"2,2,second\n"]


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@dataclass
class SlowServer:
    """Sends so many lines of its file at once, and the rest when it may."""

    lines_at_once: int
    may_go_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @contextmanager
    def serving(self) -> Iterator["SlowServer"]:
        """Serve until the context ends."""
        slow = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(sum(map(len, LINES))))
                self.end_headers()
                self.wfile.write(b"".join(LINES[: slow.lines_at_once]))
                slow.may_go_on.wait(SECONDS)
                self.wfile.write(b"".join(LINES[slow.lines_at_once :]))

            def log_message(self, *_: object) -> None:
                """Keep silent."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}/"
            yield self
            self.may_go_on.set()
            server.shutdown()
            thread.join()


@pytest.fixture(params=[0, 2], ids=["before its header", "between its lines"])
def server(request: pytest.FixtureRequest) -> Iterator[SlowServer]:
    """A server that stops there."""
    with SlowServer(request.param).serving() as server:
        yield server


@pytest.fixture
def child(database: str, server: SlowServer) -> Iterator[Child]:
    """A child that may read from the server."""
    depot.create_tables(database)
    with child_on(
        database, catalog=depot.CATALOG, file_prefixes=[f"internal+{server.url}"]
    ) as child:
        yield child


@contextmanager
def running(child: Child, server: SlowServer, **options: object) -> Iterator["Future[Settlement]"]:
    """Run a job of the server's file in a thread; it is let go on in the end."""
    kwargs = {"target": "parcel", "url": server.url + "a.csv", "options": options}
    job = Delivery("slow", INGEST_FILE, body_of(kwargs))
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(lambda: settle(child, job)["slow"])
        finally:
            server.may_go_on.set()


def last_words(child: Child) -> object:
    """Return when the session that has the job last said something; None if there is none."""
    found = query(
        child.pool.url,
        "SELECT state_change FROM pg_stat_activity JOIN pg_locks USING (pid)"
        " WHERE locktype = 'advisory' AND state LIKE 'idle%' AND datname = current_database()",
    )
    return found[0][0] if found else None


@pytest.mark.parametrize("atomic", [False, True], ids=["by chunk", "atomic"])
def test_waiting_run_says_that_it_lives(child: Child, server: SlowServer, atomic: bool) -> None:
    """Its session speaks again and again, so that it is not taken for one that stands still."""
    with running(child, server, atomic=atomic) as job:
        first = wait_for(lambda: last_words(child), what="the job to be claimed")
        second = wait_for(lambda: (now := last_words(child)) != first and now, what="a word")
        wait_for(lambda: last_words(child) not in (None, first, second), what="another one")
        assert not job.done()

    settled = job.result()
    assert (Fate.COMMITTED, None) == (settled.fate, settled.error)
    assert [(1,), (2,)] == query(child.pool.url, "SELECT id FROM depot.parcel ORDER BY id")


def test_stopping_worker_does_not_wait_for_a_slow_file(child: Child, server: SlowServer) -> None:
    """A run that is told to stop while it waits for a server gives its job back at once."""
    with running(child, server) as job:
        wait_for(lambda: last_words(child), what="the job to be claimed")
        child.signals.stop()

        settled = job.result(timeout=60)

    assert Fate.GIVEN_BACK == settled.fate
    assert [] == query(child.pool.url, "SELECT id FROM depot.parcel")

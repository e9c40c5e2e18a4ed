"""The proxy does to a connection what it says, seen by a real driver and a real server."""

import socket
import struct
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from tests.faults.postgres_wire import Conversation
from tests.faults.proxy import FaultProxy
from tests.waiting import least_seconds, wait_for
from worker.embedded import EmbeddedPostgres

DEADLINE_SECONDS = 60


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def proxy(postgres_server: EmbeddedPostgres) -> Iterator[FaultProxy]:
    """A proxy in front of the server's Unix socket."""
    upstream = f"{postgres_server.socket_dir}/.s.PGSQL.{postgres_server.port}"
    with FaultProxy(upstream, postgres=True) as proxy:
        yield proxy


@pytest.fixture
def url(proxy: FaultProxy, database: str) -> str:
    """The fresh database, through the proxy, holding an empty table."""
    execute(database, "CREATE TABLE note (text text)")
    return proxy.postgres_url(name_of(database))


def test_a_calm_proxy_changes_nothing(url: str) -> None:
    """Statements small and large give through the proxy what they give without it."""
    large = "x" * 3_000_000

    rows = execute(url, "SELECT %s, repeat('y', 2000000)", (large,))

    assert [(large, "y" * 2_000_000)] == rows


def test_a_declined_negotiation_passes(proxy: FaultProxy, database: str) -> None:
    """A client that asks for encryption gets the server's no, and its COMMIT is still known."""
    url = proxy.postgres_url(name_of(database)).partition("?")[0] + "?sslmode=prefer"
    connection = psycopg2.connect(url)
    proxy.cut_commit_answers()

    with pytest.raises(psycopg2.OperationalError), connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE negotiated ()")

    assert 1 == proxy.commits_cut
    assert [] == execute(database, "SELECT * FROM negotiated")


def test_delay_is_added_to_each_direction(proxy: FaultProxy, url: str) -> None:
    """A round trip takes the sum of both delays, and no multiple of it."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    proxy.delay(to_server_ms=60, to_client_ms=40)

    seconds = least_seconds(lambda: connection.cursor().execute("SELECT 1"), 0.2, attempts=100)

    # Each delay added twice would be the upper bound.
    assert 0.1 <= seconds < 0.2
    connection.close()


@pytest.mark.parametrize("reset", [True, False])
def test_cut_ends_every_connection_now(proxy: FaultProxy, url: str, reset: bool) -> None:
    """Open connections break, by RST or FIN; the next one works."""
    connections = [psycopg2.connect(url) for _ in range(3)]

    cut = proxy.cut(reset=reset)

    assert 3 == cut
    for connection in connections:
        with pytest.raises(psycopg2.OperationalError):
            connection.cursor().execute("SELECT 1")
    assert [(1,)] == execute(url, "SELECT 1")


@pytest.mark.parametrize(("reset", "seen"), [(True, ConnectionResetError), (False, b"")])
def test_cut_is_rst_or_fin(proxy: FaultProxy, reset: bool, seen: Any) -> None:
    """The client's socket sees a reset or an orderly end, as asked."""
    with socket.create_connection(("127.0.0.1", proxy.port), DEADLINE_SECONDS) as client:
        wait_for(lambda: proxy.connections == 1)

        proxy.cut(reset=reset)

        assert seen == received(client)


def test_half_open_swallows_without_a_sign(proxy: FaultProxy, url: str) -> None:
    """Nothing comes back and nothing closes; after healing the connection is reset."""
    connection = psycopg2.connect(url)
    raw = socket.socket(fileno=socket.dup(connection.fileno()))
    proxy.half_open()

    raw.sendall(b"Q" + struct.pack("!i", 13) + b"SELECT 1\0")
    raw.settimeout(0.3)
    with pytest.raises(TimeoutError):
        raw.recv(1)
    proxy.heal()
    raw.settimeout(DEADLINE_SECONDS)

    assert received(raw) is ConnectionResetError
    assert [(1,)] == execute(url, "SELECT 1")
    raw.close()


def test_half_open_hides_a_close_from_the_server(
    proxy: FaultProxy, url: str, database: str
) -> None:
    """A client that vanishes leaves its backend behind until the network heals."""
    connection = psycopg2.connect(url)
    backend = connection.info.backend_pid
    alive = f"SELECT 1 FROM pg_stat_activity WHERE pid = {backend}"
    proxy.half_open()

    connection.close()

    wait_for(lambda: proxy.connections == 1)
    assert [(1,)] == execute(database, alive)
    proxy.heal()
    wait_for(lambda: execute(database, alive) == [])


def test_one_way_loss_lets_the_other_way_through(
    proxy: FaultProxy, url: str, database: str
) -> None:
    """When only answers vanish, the server still does the work."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    proxy.half_open(to_server=False)

    raw = socket.socket(fileno=socket.dup(connection.fileno()))
    query = b"INSERT INTO note VALUES ('one way')\0"
    raw.sendall(b"Q" + struct.pack("!i", len(query) + 4) + query)

    wait_for(lambda: execute(database, "SELECT text FROM note") == [("one way",)])
    raw.close()


def test_refuse_turns_new_connections_away(proxy: FaultProxy, url: str) -> None:
    """New connections are refused and open ones work on, until healed on the same port."""
    connection = psycopg2.connect(url)

    proxy.refuse()

    with pytest.raises(psycopg2.OperationalError, match="Connection refused"):
        psycopg2.connect(url)
    connection.cursor().execute("SELECT 1")
    proxy.heal()
    assert [(1,)] == execute(url, "SELECT 1")
    connection.close()


def test_a_server_that_is_away_looks_away(proxy: FaultProxy) -> None:
    """A connection to an upstream that nobody listens on is reset, not left hanging."""
    # The reset may come while the client still connects, or when it reads.
    with (
        FaultProxy("/nonexistent/.s.PGSQL.5432") as nowhere,
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", nowhere.port), DEADLINE_SECONDS) as client,
    ):
        client.recv(1)


def test_the_answer_to_commit_is_cut(proxy: FaultProxy, url: str, database: str) -> None:
    """The client sees its connection break in COMMIT; the server has committed."""
    proxy.cut_commit_answers(2)

    for text in ("first", "second"):
        with pytest.raises(psycopg2.OperationalError):
            insert(url, text)
    insert(url, "third")

    assert 2 == proxy.commits_cut
    stored = execute(database, "SELECT text FROM note")
    assert [("first",), ("second",), ("third",)] == stored


def test_a_commit_that_is_refused_passes(proxy: FaultProxy, url: str, database: str) -> None:
    """A deferred constraint's error reaches the client whole; the next commit is the one cut."""
    execute(database, "ALTER TABLE note ADD UNIQUE (text) DEFERRABLE INITIALLY DEFERRED")
    insert(url, "taken")
    proxy.cut_commit_answers()

    with pytest.raises(psycopg2.errors.UniqueViolation):
        insert(url, "taken")
    refused = proxy.commits_cut
    with pytest.raises(psycopg2.OperationalError):
        insert(url, "free")

    assert (0, 1) == (refused, proxy.commits_cut)
    assert [("free",), ("taken",)] == execute(database, "SELECT text FROM note ORDER BY 1")


@pytest.mark.parametrize(
    ("query", "cut"),
    [
        ("commit", True),
        ("COMMIT;", True),
        ("INSERT INTO note VALUES ('a'); Commit work ; ", True),
        ("SELECT 'commit'", False),
        ("COMMIT PREPARED 'a'", False),
        ("ROLLBACK", False),
        ("SELECT 1 AS autocommit", False),
    ],
)
def test_what_counts_as_a_commit(query: str, cut: bool) -> None:
    """Only statements that end in COMMIT do, in any case, however the bytes are cut up."""
    body = query.encode() + b"\0"
    startup = struct.pack("!ii", 8, 196608)
    stream = startup + b"Q" + struct.pack("!i", len(body) + 4) + body
    conversation = Conversation()

    seen = [conversation.client_sends(stream[at : at + 1]) for at in range(len(stream))]

    assert [False] * (len(stream) - 1) + [cut] == seen


def insert(url: str, text: str) -> None:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO note VALUES (%s)", (text,))
    finally:
        connection.close()


def execute(url: str, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def name_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def received(client: socket.socket) -> Any:
    try:
        return client.recv(1)
    except ConnectionResetError:
        return ConnectionResetError

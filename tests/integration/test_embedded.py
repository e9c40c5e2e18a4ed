"""The embedded servers: start, stop, crash, and one holder a folder."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest

from worker.embedded import EmbeddedPostgres, EmbeddedValkey, ServerFailed
from worker.embedded.account import MAX_SOCKET_CHARACTERS


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this module, which has started for the first time."""
    folder = tmp_path_factory.mktemp("own")
    server = EmbeddedPostgres(folder, settings={"shared_buffers": "16MB"})
    server.start()
    assert not server.reused
    yield server
    server.remove()


@pytest.fixture
def postgres(own_postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    """A PostgreSQL that runs, whatever the test before did to it."""
    if not own_postgres.is_running:
        own_postgres.start()
    return own_postgres


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey of this test alone, not started."""
    server = EmbeddedValkey(tmp_path)
    yield server
    server.remove()


def execute(server: EmbeddedPostgres, statement: str) -> list[tuple[object, ...]]:
    with (
        closing(psycopg2.connect(server.url())) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_postgres_is_durable_and_private(postgres: EmbeddedPostgres) -> None:
    """PostgreSQL 18 answers with fsync on, in UTF-8 and UTC, on no network address."""
    shown = execute(
        postgres,
        "SELECT current_setting('server_version_num')::int / 10000, current_setting('fsync'),"
        " current_setting('server_encoding'), current_setting('TimeZone'),"
        " current_setting('listen_addresses')",
    )

    assert [(18, "on", "UTF8", "UTC", "")] == shown


def test_others_cannot_reach_the_socket(postgres: EmbeddedPostgres) -> None:
    """The folder of the socket is closed to every other account: the server trusts who is in."""
    mode = postgres.socket_dir.stat().st_mode

    assert mode & 0o077 == 0


def test_stop_leaves_no_process(postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
    """After stop neither server nor any child of it runs."""
    valkey.start()
    family = [psutil.Process(valkey.pid), psutil.Process(postgres.pid)]
    family += family[-1].children(recursive=True)

    postgres.stop()
    valkey.stop()

    # A zombie has ended: only the container's first process did not collect it.
    assert [] == [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_postgres_keeps_its_data(postgres: EmbeddedPostgres) -> None:
    """A second start finds what the first wrote, and says that it reused it."""
    execute(postgres, "CREATE TABLE kept AS SELECT 7 AS number")

    postgres.restart()

    assert postgres.reused
    assert [(7,)] == execute(postgres, "SELECT number FROM kept")


def test_postgres_recovers_from_a_kill(postgres: EmbeddedPostgres) -> None:
    """What was committed before SIGKILL is there after the next start."""
    execute(postgres, "CREATE TABLE survived AS SELECT 8 AS number")

    postgres.kill()
    postgres.start()

    assert [(8,)] == execute(postgres, "SELECT number FROM survived")


def test_valkey_keeps_its_data_through_a_kill(valkey: EmbeddedValkey) -> None:
    """What the append-only file holds is there after SIGKILL."""
    valkey.start()
    with valkey.client() as client:
        client.set("kept", "7")
        client.waitaof(num_local=1, num_replicas=0, timeout=5000)

    valkey.kill()
    valkey.start()

    with valkey.client() as client:
        assert b"7" == client.get("kept")
    assert valkey.reused


def test_stale_pid_file_does_not_stop_a_start(postgres: EmbeddedPostgres) -> None:
    """A crash left a pid file whose number is another process by now: PostgreSQL starts."""
    postgres.kill()
    pid_file = postgres.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(psutil.Process().pid), *lines[1:]]) + "\n")

    postgres.start()

    assert [(1,)] == execute(postgres, "SELECT 1")


def test_one_folder_has_one_postgres(postgres: EmbeddedPostgres) -> None:
    """A second start on the same folder is refused, and the first goes on."""
    folder = postgres.folder

    with pytest.raises(ServerFailed, match=f"{folder} is in use by process"):
        EmbeddedPostgres(folder).start()

    assert [(1,)] == execute(postgres, "SELECT 1")


def test_one_folder_has_one_valkey(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    """A second start on the same folder is refused, and the first goes on."""
    valkey.start()

    with pytest.raises(ServerFailed, match=f"{tmp_path} is in use by process"):
        EmbeddedValkey(tmp_path).start()

    with valkey.client() as client:
        assert client.ping()


def test_failed_start_tells_the_last_words(tmp_path: Path) -> None:
    """A server that cannot start says why, and gives the folder back."""
    broken = EmbeddedPostgres(tmp_path, settings={"shared_buffers": "lots"})
    sound = EmbeddedPostgres(tmp_path, settings={"shared_buffers": "16MB"})

    with pytest.raises(ServerFailed, match="shared_buffers"):
        broken.start()
    sound.start()

    assert [(1,)] == execute(sound, "SELECT 1")
    sound.remove()


def test_long_folder_gets_a_short_socket(tmp_path: Path) -> None:
    """A folder too deep, and with a blank in it, for a socket's address works all the same."""
    valkey = EmbeddedValkey(tmp_path / ("deep " * 20))

    valkey.start()

    with valkey.client() as client:
        assert client.ping()
    assert len(str(valkey.socket)) <= MAX_SOCKET_CHARACTERS
    valkey.remove()

"""From the outbox to the commit, with real processes: each committed enqueue has one effect."""

import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celeriac import Client, JobCancelled
from tests.faults.planted_relay import TOKEN, Moment
from tests.faults.redis_state import places, redis_client
from tests.integration.relays import RelayProcess, enqueue, outbox, queued
from tests.integration.shop import CATALOG, create_tables, query
from tests.waiting import wait_for
from tests.workers import Worker
from worker.embedded import EmbeddedValkey

Env = dict[str, str]
MakeRelay = Callable[..., RelayProcess]
MakeWorker = Callable[..., Worker]

STORM = pytest.param(100_000, id="storm", marks=(pytest.mark.storm, pytest.mark.timeout(1800)))
ONE_ROW = '{"target": "alpha", "rows": [{"n": 1}]}'


@pytest.fixture
def env(worker_env: Env) -> Env:
    """Settings of relay and worker on the shop's tables."""
    create_tables(worker_env["CELERIAC_DATABASE_URL"])
    return worker_env | {"CELERIAC_CATALOG": str(CATALOG)}


@pytest.fixture
def make_relay() -> Iterator[MakeRelay]:
    """Start relay processes; those that still run at the end are killed."""
    made: list[RelayProcess] = []

    def make(env: Env, *, module: str = "worker") -> RelayProcess:
        made.append(RelayProcess(env, module=module))
        return made[-1].start()

    yield make
    for relay in made:
        relay.kill()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey that this test may kill."""
    server = EmbeddedValkey(tmp_path)
    server.start()
    yield server
    server.remove()


def sql(env: Env, text: str, parameters: object = None) -> list[tuple[Any, ...]]:
    return query(env["CELERIAC_DATABASE_URL"], text, parameters)


def assert_one_effect_each(env: Env, jobs: int) -> None:
    """Wait until the outbox is empty, and require one row and one ledger entry for each job."""
    wait_for(lambda: outbox(env) == (0, 0), 180, "the outbox to be empty")
    text = """
        SELECT (SELECT count(*) FROM shop.alpha), count(*) FROM celeriac.job
        WHERE state = 'committed'
    """
    assert [(jobs, jobs)] == sql(env, text)


def test_every_end_takes_a_job_out(
    env: Env, make_relay: MakeRelay, make_worker: MakeWorker
) -> None:
    """Committed, dead, held, cancelled and known jobs leave the outbox with their end."""
    sql(env, "INSERT INTO celeriac.target_hold (target, reason) VALUES ('beta', 'by hand')")
    enqueue(env, 300)
    expired = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    for id_, kwargs, options in (
        ("dead", '{"target": "none", "rows": [{}]}', "{}"),
        ("held", '{"target": "beta", "rows": [{"n": 1}]}', "{}"),
        ("late", ONE_ROW, f'{{"expires": "{expired}"}}'),
        ("twice", ONE_ROW, "{}"),
        ("no", ONE_ROW, "{}"),
    ):
        text = "SELECT celeriac.enqueue('celeriac.ingest', %s, id => %s, options => %s)"
        sql(env, text, (kwargs, id_, options))
    sql(env, "SELECT celeriac.enqueue('own.unknown', '{}', id => 'unknown')")
    far_off = "SELECT celeriac.enqueue('celeriac.ingest', %s, now() + interval '1 day', 'never')"
    sql(env, far_off, (ONE_ROW,))
    make_relay(env)
    wait_for(lambda: queued(env) == 305, what="the push")
    for id_ in ("no", "never"):
        assert [("cancelled",)] == sql(env, "SELECT celeriac.cancel(%s)", (id_,))
    make_worker(env, queues="celeriac.ingest,own.unknown").start()
    wait_for(lambda: outbox(env) == (0, 0), what="all to end")

    sql(env, "SELECT celeriac.enqueue('celeriac.ingest', %s, id => 'twice')", (ONE_ROW,))
    assert_one_effect_each(env, 301)

    states = dict(sql(env, "SELECT id, state FROM celeriac.job WHERE state <> 'committed'"))
    expected = {"dead": "dead", "held": "held", "unknown": "dead"}
    assert expected | dict.fromkeys(("late", "no", "never"), "cancelled") == states
    with Client(env["CELERIAC_BROKER_URL"], env["CELERIAC_RESULT_URL"]) as client:
        for id_ in ("no", "never"):
            with pytest.raises(JobCancelled, match="cancelled by"):
                client.ticket(id_).wait(60)


@pytest.mark.parametrize("moment", list(Moment))
def test_relay_killed_around_its_push(
    env: Env, make_relay: MakeRelay, tmp_path: Path, moment: Moment
) -> None:
    """Killed before or after the push, nothing is lost, and nothing pushed is pushed again."""
    token = tmp_path / "token"
    token.write_text(moment)
    enqueue(env, 700)
    doomed = make_relay(env | {TOKEN: str(token)}, module="tests.faults.planted_relay")
    wait_for(lambda: not doomed.is_running, what="the kill")
    was_pushed = moment is Moment.AFTER_PUSH

    make_relay(env)

    assert (-signal.SIGKILL, (0, 700)) == (doomed.returncode, outbox(env))
    assert (700 if was_pushed else 0) == queued(env)
    wait_for(lambda: outbox(env) == (0, 700) and queued(env) == 700, what="all to be pushed")
    closed = "SELECT 1 FROM celeriac.relay_epoch WHERE remembered = %s"
    wait_for(lambda: sql(env, closed, (int(was_pushed),)), what="the dead one's epoch to be closed")
    assert 700 == queued(env)


@pytest.mark.parametrize("jobs", [2_000, STORM])
def test_flushall_with_a_backlog(
    env: Env, make_relay: MakeRelay, make_worker: MakeWorker, jobs: int
) -> None:
    """Flushed again and again with nobody at work, the queue ends no longer than the outbox."""
    for _ in range(2):
        make_relay(env)
    enqueue(env, jobs)
    for _ in range(3):
        wait_for(lambda: queued(env) == jobs, 120, "all to be pushed")
        with redis_client(env["CELERIAC_BROKER_URL"]) as client:
            client.flushall()
    wait_for(lambda: queued(env) >= jobs and outbox(env)[0] == 0, 120, "all to be pushed again")

    assert (jobs, (0, jobs)) == (queued(env), outbox(env))
    if jobs > 10_000:
        make_worker(env, concurrency=2).start()
        assert_one_effect_each(env, jobs)


def test_flushall_in_mid_stream(env: Env, make_relay: MakeRelay, make_worker: MakeWorker) -> None:
    """While jobs come and go, whatever Redis held at that moment comes back."""
    make_relay(env)
    make_worker(env).start()
    for _ in range(4):
        enqueue(env, 500)
        with redis_client(env["CELERIAC_BROKER_URL"]) as client:
            client.flushall()
    enqueue(env, 1)

    assert_one_effect_each(env, 2_001)


@pytest.mark.parametrize("keeps_data", [True, False])
def test_redis_killed(
    env: Env, own_valkey: EmbeddedValkey, make_relay: MakeRelay, keeps_data: bool
) -> None:
    """Killed, with its data or without it, Redis comes back to all jobs that are not done."""
    env |= {"CELERIAC_BROKER_URL": own_valkey.url(0), "CELERIAC_RESULT_URL": own_valkey.url(1)}
    relay = make_relay(env)
    enqueue(env, 400)
    wait_for(lambda: queued(env) == 400, what="the push")

    own_valkey.kill()
    if not keeps_data:
        shutil.rmtree(own_valkey.data)
    enqueue(env, 300)  # nobody who enqueues notices
    wait_for(lambda: "the broker is in trouble" in relay.log, what="the relay to say so")
    own_valkey.start()

    wait_for(lambda: outbox(env) == (0, 700) and queued(env) >= 700, what="all to be pushed")
    assert 700 == queued(env)
    assert 1 == relay.log.count("the broker is in trouble")


def test_relay_stops_when_asked(env: Env, make_relay: MakeRelay) -> None:
    """On SIGTERM it closes its epoch and ends well; the next one has nothing to wait for."""
    relay = make_relay(env)
    enqueue(env, 10)
    wait_for(lambda: queued(env) == 10, what="the push")

    relay.stop()

    assert (0, True) == (relay.returncode, "relay stopped" in relay.log)
    assert [(1,)] == sql(env, "SELECT remembered FROM celeriac.relay_epoch")


def test_far_off_job_of_a_stock_producer_waits_in_the_outbox(
    env: Env, make_relay: MakeRelay, make_worker: MakeWorker
) -> None:
    """Its message is settled and its row is kept; when its time comes it runs, and answers."""
    make_worker(env).start()
    stock = Celery(
        broker=env["CELERIAC_BROKER_URL"], backend=env["CELERIAC_RESULT_URL"], set_as_current=False
    )
    result = stock.send_task(
        "celeriac.ingest", args=("alpha", [{"n": 5}]), queue="celeriac.ingest", countdown=3_600
    )
    wait_for(lambda: outbox(env) == (1, 0), what="the job in the outbox")
    left = "SELECT run_at > now() + interval '59 minutes' FROM celeriac.outbox WHERE id = %s"
    kept = sql(env, left, (result.id,))
    wait_for(lambda: places(env["CELERIAC_BROKER_URL"]) == (0, 0), what="the message to be settled")

    sql(env, "UPDATE celeriac.outbox SET run_at = now()")
    make_relay(env)

    assert {"rows": 1, "inserted": 1, "quarantined": 0} == result.get(timeout=60)
    assert [(True,)] == kept
    assert_one_effect_each(env, 1)

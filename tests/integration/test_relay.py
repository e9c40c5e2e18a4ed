"""The relay on real servers, turn by turn: all that is due once, and again what Redis forgot."""

import json
import threading
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from redis import Redis
from redis.exceptions import ResponseError

from postgres.relay import claim_due
from tests.faults.redis_state import redis_client
from tests.integration.relays import QUEUE, enqueue, outbox, queued, relay_on, turns
from tests.integration.shop import query, query_outside
from tests.waiting import wait_for
from worker.relay.relay import Relay

#: At what has to be in time.
ATTEMPTS = 10
ROW = '{"target": "alpha", "rows": [{"n": 1}]}'


@pytest.fixture
def env(worker_env: dict[str, str]) -> dict[str, str]:
    """Settings of the relays."""
    return worker_env


@pytest.fixture
def relay(env: dict[str, str]) -> Iterator[Relay]:
    """A relay that nobody has let turn yet."""
    with relay_on(env) as relay:
        yield relay


@pytest.fixture
def redis(env: dict[str, str]) -> Iterator[Redis]:
    """The broker as it is."""
    with redis_client(env["CELERIAC_BROKER_URL"]) as client:
        yield client


def messages(redis: Redis, queue: str = QUEUE) -> list[dict[str, Any]]:
    """Return a queue's messages, the oldest first."""
    return [json.loads(raw) for raw in reversed(redis.lrange(queue, 0, -1))]


def ids_in(redis: Redis, queue: str = QUEUE) -> list[str]:
    return [one["headers"]["id"] for one in messages(redis, queue)]


def sql(env: dict[str, str], text: str, parameters: object = None) -> list[tuple[Any, ...]]:
    return query(env["CELERIAC_DATABASE_URL"], text, parameters)


def test_a_due_job_becomes_a_message(env: dict[str, str], relay: Relay, redis: Redis) -> None:
    """Its queue, arguments, id and wishes are in the message, and the mark of the outbox."""
    sql(
        env,
        "SELECT celeriac.enqueue('celeriac.report', '{\"name\": \"daily\"}', id => 'mine',"
        ' options => \'{"track": false, "priority": 6}\')',
    )

    turns(relay)

    (message,) = messages(redis, "celeriac.report\x06\x166")
    arguments = json.loads(b64decode(message["body"]))
    expected = ("celeriac.report", "mine", True, True)
    headers = message["headers"]
    found = (headers["task"], headers["id"], headers["ignore_result"], headers["relayed"])
    assert (expected, [[], {"name": "daily"}]) == (found, arguments[:2])
    assert ("mine", 6) == (
        message["properties"]["correlation_id"],
        message["properties"]["priority"],
    )


def test_jobs_go_in_their_order(env: dict[str, str], relay: Relay, redis: Redis) -> None:
    """More jobs than one push holds keep the order in which they came, each once."""
    enqueue(env, 2_500)

    turns(relay)

    expected = [id_ for (id_,) in sql(env, "SELECT id FROM celeriac.outbox ORDER BY number")]
    assert expected == ids_in(redis)


def test_a_push_is_bounded_by_bytes(env: dict[str, str], relay: Relay) -> None:
    """Large bodies go in several pushes, a body larger than the bound in one of its own."""
    body = json.dumps({"target": "alpha", "rows": [{"text": "x" * 3_000_000}]})
    sql(
        env,
        "SELECT celeriac.enqueue_many('celeriac.ingest', array_fill(%s::jsonb, ARRAY[5]))",
        (body,),
    )

    turns(relay)

    pushes = sql(env, "SELECT count(*) FROM celeriac.outbox GROUP BY push ORDER BY push")
    assert [(2,), (2,), (1,)] == pushes


def test_not_before_its_time(env: dict[str, str], relay: Relay) -> None:
    """A job for later stays in the outbox, and does not hold up what is due."""
    sql(env, "SELECT celeriac.enqueue('own.task', '{}', now() + interval '1 hour')")
    enqueue(env, 1)

    turns(relay)

    assert ((1, 1), 1, 0) == (outbox(env), queued(env), queued(env, "own.task"))


def test_two_relays_push_nothing_twice(env: dict[str, str], redis: Redis) -> None:
    """Side by side they push each job once while Redis remembers."""
    enqueue(env, 6_000)

    def run() -> None:
        with relay_on(env) as relay:
            turns(relay)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    expected = {id_ for (id_,) in sql(env, "SELECT id FROM celeriac.outbox")}
    assert dict.fromkeys(expected, 1) == Counter(ids_in(redis))


def test_uncommitted_jobs_hold_up_nobody(env: dict[str, str], relay: Relay, redis: Redis) -> None:
    """What is not committed is passed by; committed late, it is pushed with the next whole look."""
    with closing(psycopg2.connect(env["CELERIAC_DATABASE_URL"])) as late:
        with late.cursor() as cursor:
            cursor.execute("SELECT celeriac.enqueue('celeriac.ingest', %s, id => 'late')", (ROW,))
        enqueue(env, 3)
        turns(relay)
        assert 3 == queued(env)
        late.commit()

    wait_for(lambda: relay.turn() and "late" in ids_in(redis), what="the late one")


def test_run_at_is_kept_to_the_second(env: dict[str, str], relay: Relay) -> None:
    """A job is pushed when its time has come, not before it and not a second after it."""
    later = "SELECT celeriac.enqueue('celeriac.ingest', %s, clock_timestamp() + interval '1 s')"
    passed = "SELECT extract(epoch FROM clock_timestamp() - max(run_at)) FROM celeriac.outbox"
    seconds: list[float] = []

    def pushed_at() -> float | None:
        relay.turn()
        return float(sql(env, passed)[0][0]) if queued(env) > len(seconds) else None

    # A host that stands still may make some late.
    while not seconds or (min(seconds) >= 1 and len(seconds) < ATTEMPTS):
        sql(env, later, (ROW,))
        seconds.append(wait_for(pushed_at, what="the push"))

    assert all(late >= 0 for late in seconds)
    assert min(seconds) < 1


def test_statistics_do_not_matter(env: dict[str, str], relay: Relay, redis: Redis) -> None:
    """A claim marks exactly what it pushes, also where the planner believes the table empty."""
    sql(env, "ANALYZE celeriac.outbox; ALTER TABLE celeriac.outbox SET (autovacuum_enabled = off)")
    enqueue(env, 3_000)
    # The joins and scans that such statistics could lead to.
    with relay.pool.connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "ALTER DATABASE {} SET enable_indexscan = off".format(connection.info.dbname)  # noqa: UP032
        )
    relay.pool.close()

    with relay_on(env) as other:
        turns(other)

    pushes = sql(env, "SELECT count(*) FROM celeriac.outbox GROUP BY push ORDER BY push")
    assert [(1_000,)] * 3 == pushes
    assert 3_000 == len(set(ids_in(redis))) == queued(env)


def test_no_lock_is_held_while_redis_is_asked(env: dict[str, str], redis: Redis) -> None:
    """While a push hangs, its jobs can be cancelled and committed, and others be claimed."""
    enqueue(env, 1)
    with relay_on(env) as stuck, relay_on(env) as other:
        stuck.turn()  # connects
        enqueue(env, 2)
        redis.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        thread = threading.Thread(target=stuck.turn)
        thread.start()
        wait_for(lambda: outbox(env) == (0, 3), what="the claim")

        sql(env, "SET lock_timeout = '200ms'; SELECT id FROM celeriac.outbox FOR UPDATE")
        redis.execute_command("CLIENT", "UNPAUSE")
        thread.join(60)
        turns(other)

    assert 3 == queued(env)


# What Redis forgets is pushed again, and nothing else


def test_flushall_brings_back_every_living_job(
    env: dict[str, str], relay: Relay, redis: Redis
) -> None:
    """After FLUSHALL all that is in the outbox is pushed again, once; what was done is not."""
    enqueue(env, 1_500)
    turns(relay)
    sql(env, "DELETE FROM celeriac.outbox WHERE number <= 500")  # committed meanwhile

    redis.flushall()
    enqueue(env, 10)
    check_now(relay)

    assert 1_010 == assert_each_once(env, redis)


def test_flushall_is_noticed_by_an_idle_relay(
    env: dict[str, str], relay: Relay, redis: Redis
) -> None:
    """With nothing new to push, the loss is found all the same."""
    enqueue(env, 20)
    turns(relay)

    redis.flushall()

    wait_for(lambda: relay.turn() and queued(env) == 20, what="all to be back")
    assert 20 == assert_each_once(env, redis)


def test_flushall_beside_two_relays(env: dict[str, str], redis: Redis) -> None:
    """What each of them pushed comes back once, whoever notices first."""
    with relay_on(env) as one, relay_on(env) as two:
        for relay in (one, two, one, two):
            enqueue(env, 700)
            turns(relay)
        redis.flushall()
        for relay in (two, one, two, one):
            check_now(relay)

    assert 2_800 == assert_each_once(env, redis)


def test_older_snapshot_brings_back_what_came_after_it(
    env: dict[str, str], relay: Relay, redis: Redis
) -> None:
    """Redis at an earlier state remembers the pushes until then; only later ones are repeated."""
    enqueue(env, 30)
    turns(relay)
    kept = {key: redis.dump(key) for key in redis.keys("*")}
    enqueue(env, 12)
    turns(relay)

    redis.flushall()
    for key, dumped in kept.items():
        redis.restore(key, 0, dumped)
    check_now(relay)

    assert 42 == assert_each_once(env, redis)


def test_snapshot_while_other_relays_wait(env: dict[str, str], redis: Redis) -> None:
    """The pushes of a relay that is gone are looked after by those that live."""
    with relay_on(env) as gone:
        enqueue(env, 5)
        turns(gone)
        kept = {key: redis.dump(key) for key in redis.keys("*")}
        enqueue(env, 5)
        turns(gone)
        gone._leave()
    redis.flushall()
    for key, dumped in kept.items():
        redis.restore(key, 0, dumped)

    with relay_on(env) as relay:
        check_now(relay)

    assert 10 == assert_each_once(env, redis)


def test_restart_without_loss_repeats_nothing(env: dict[str, str], redis: Redis) -> None:
    """Closing and opening again, as at every deployment, pushes nothing twice."""
    enqueue(env, 50)
    for _ in range(3):
        with relay_on(env) as relay:
            turns(relay)
            relay._leave()

    assert 50 == assert_each_once(env, redis)
    assert 1 == len(sql(env, "SELECT 1 FROM celeriac.relay_epoch WHERE remembered > 0"))


# A relay that dies, or seems to


@pytest.mark.parametrize("seen", ["1 minute ago", "1 hour"])
def test_claim_without_push_is_pushed_by_another(
    env: dict[str, str], relay: Relay, redis: Redis, seen: str
) -> None:
    """What a relay that died had claimed and not pushed is due again, whatever the clock did."""
    relay.turn()
    enqueue(env, 8)
    claim_due(str(relay._epoch), None, 100, 1_000_000, relay.pool)

    with relay_on(env) as other:
        turns_once = other.turn()
        assert (0, 8) == outbox(env), turns_once
        sql(env, "UPDATE celeriac.relay_epoch SET seen_at = now() + %s::interval", (seen,))
        check_now(other)

    assert 8 == assert_each_once(env, redis)


def test_push_of_a_relay_taken_for_dead_is_refused(
    env: dict[str, str], relay: Relay, redis: Redis
) -> None:
    """One that only stood still pushes nothing late: its jobs are with another by then."""
    enqueue(env, 1)
    turns(relay)  # so that the epoch is not forgotten, which would refuse it too
    enqueue(env, 8)
    epoch = str(relay._epoch)
    claim = claim_due(epoch, None, 100, 1_000_000, relay.pool)
    push = relay._written(claim)
    sql(env, "UPDATE celeriac.relay_epoch SET seen_at = now() - interval '1 minute'")
    with relay_on(env) as other:
        check_now(other)

    is_taken = relay.broker.memory.push(epoch, push.number, push.messages)
    enqueue(env, 2)
    check_now(relay)

    assert (False, 11) == (is_taken, assert_each_once(env, redis))


def test_lost_answer_is_asked_for_again(env: dict[str, str], relay: Relay, redis: Redis) -> None:
    """A push whose answer did not come is repeated, and Redis takes it once."""
    relay.turn()
    enqueue(env, 4)
    claim = claim_due(str(relay._epoch), None, 100, 1_000_000, relay.pool)
    push = relay._written(claim)
    relay.broker.memory.push(str(relay._epoch), push.number, push.messages)

    relay._unsure = push
    turns(relay)

    assert 4 == assert_each_once(env, redis)


def test_number_that_postgres_gives_again_is_not_taken_for_pushed(
    env: dict[str, str], relay: Relay, redis: Redis
) -> None:
    """A standby that never heard of the last claim counts it anew: its jobs go all the same."""
    enqueue(env, 3)
    turns(relay)
    sql(env, "UPDATE celeriac.relay_epoch SET claimed = claimed - 1")
    sql(env, "DELETE FROM celeriac.outbox")
    redis.delete(QUEUE)
    enqueue(env, 4)

    relay._check_at = relay.clock() + 60
    relay.turn()
    check_now(relay)

    assert 4 == assert_each_once(env, redis)


@pytest.mark.parametrize("priority", ["5", "high", [1], {}, 1e300, -3])
def test_odd_priority_of_a_parked_message_stops_nothing(
    env: dict[str, str], relay: Relay, redis: Redis, priority: Any
) -> None:
    """Stock producers may send anything as a priority; the jobs behind it go all the same."""
    options = json.dumps({"headers": {}, "properties": {"priority": priority}})
    sql(
        env,
        "INSERT INTO celeriac.outbox (id, task, body, run_at, options)"
        " VALUES ('odd', 'celeriac.ingest', '[[], {}, {}]', now(), %s)",
        (options,),
    )
    enqueue(env, 2)

    turns(relay)

    assert 3 == sum(queued(env, key.decode()) for key in redis.keys("celeriac.ingest*"))


def test_a_task_called_like_another_key_holds_up_nobody(
    env: dict[str, str], relay: Relay, redis: Redis
) -> None:
    """Its jobs go to the ingest workers, who bury what nobody carries out; the key stays."""
    redis.set("own.task", "no list")
    enqueue(env, 2)
    sql(env, "SELECT celeriac.enqueue('own.task', '{}')")

    turns(relay)

    assert 3 == queued(env)
    assert b"no list" == redis.get("own.task")


def test_a_push_that_redis_refuses_has_pushed_nothing(
    env: dict[str, str], relay: Relay, redis: Redis
) -> None:
    """None of its queues gets a job; once Redis takes it, each gets its own."""
    redis.set(QUEUE, "no list")
    enqueue(env, 2)
    sql(env, "SELECT celeriac.enqueue('own.task', '{}')")

    with pytest.raises(ResponseError, match=r"celeriac\.ingest must be a list, is a string"):
        relay.turn()
    assert 0 == queued(env, "own.task")
    redis.delete(QUEUE)
    turns(relay)

    assert (2, 1) == (queued(env), queued(env, "own.task"))


def test_epochs_without_jobs_are_forgotten(env: dict[str, str], relay: Relay, redis: Redis) -> None:
    """Neither side keeps the epochs of relays whose jobs are all done."""
    for _ in range(3):
        with relay_on(env) as gone:
            enqueue(env, 1)
            turns(gone)
            gone._leave()
    sql(env, "DELETE FROM celeriac.outbox")

    relay._retire_at = 0.0
    relay.turn()

    assert [(0,)] == sql(env, "SELECT count(remembered) FROM celeriac.relay_epoch")
    assert [f"celeriac:relay:{relay._epoch}:seq".encode()] == redis.keys("celeriac:relay:*")


def test_dead_rows_are_passed_by(env: dict[str, str], relay: Relay) -> None:
    """Beside a snapshot that keeps all dead rows, a claim reads only those of late."""
    with closing(psycopg2.connect(env["CELERIAC_DATABASE_URL"])) as old, old.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        for _ in range(4):
            enqueue(env, 2_000)
            turns(relay)
            sql(env, "DELETE FROM celeriac.outbox")
        whole, late = (blocks_of_claim(env, since) for since in ("-infinity", "2100-01-01"))

    assert whole > 100
    assert late < 10


def blocks_of_claim(env: dict[str, str], since: str) -> int:
    """Count the pages that looking for due jobs reads."""
    ((plan,),) = sql(
        env,
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT id FROM celeriac.outbox"
        " WHERE epoch IS NULL AND run_at >= %s::timestamptz ORDER BY run_at, number LIMIT 10",
        (since,),
    )
    return int(plan[0]["Plan"]["Shared Hit Blocks"])


def test_bloat_is_bounded(env: dict[str, str], relay: Relay) -> None:
    """After many times the jobs that were ever in it at once, the table takes little room."""
    sizes = []
    for _ in range(8):
        enqueue(env, 1_000)
        turns(relay)
        sql(env, "DELETE FROM celeriac.outbox")
        # What autovacuum does, after so many dead rows, within a minute.
        query_outside(env["CELERIAC_DATABASE_URL"], "VACUUM celeriac.outbox")
        sizes.append(int(sql(env, "SELECT pg_total_relation_size('celeriac.outbox')")[0][0]))

    assert sizes[-1] <= 2 * sizes[1]


def check_now(relay: Relay) -> None:
    """Compare with Redis at once, then push what is due."""
    relay._check_at = 0.0
    turns(relay)


def assert_each_once(env: dict[str, str], redis: Redis) -> int:
    """Require that the queue holds each job of the outbox once, and no other; count them."""
    expected = [id_ for (id_,) in sql(env, "SELECT id FROM celeriac.outbox")]
    assert dict.fromkeys(expected, 1) == Counter(ids_in(redis))
    return len(expected)

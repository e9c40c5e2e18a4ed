"""Leases on a real Valkey: the dead lose their messages, the living never do."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha1
from pathlib import Path
from threading import Barrier, Thread
from time import monotonic
from typing import Any

import pytest
from redis import Redis

from tests.waiting import PATIENCE_SECONDS, least_seconds, wait_for
from worker.embedded import EmbeddedValkey
from worker.transport.keys import Keys, new_owner
from worker.transport.lease import Lease, Progress, Renewal, connection_options, recover, renew

LEASE_SECONDS = 1.0
PREFIX = "test:"
QUEUE = "test:celeriac.ingest"
OTHER_QUEUE = "test:celeriac.report"

ours, dead = Keys(PREFIX, "ours"), Keys(PREFIX, "dead")


class Heard:
    """What leases said, in order: the event's name with its facts."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, event: str) -> Callable[..., None]:
        return lambda **facts: self.all.append((event, facts))

    def names(self) -> list[str]:
        """Return the names alone."""
        return [name for name, _ in self.all]


@pytest.fixture
def heard() -> Heard:
    """What the leases of this test say."""
    return Heard()


@pytest.fixture
def server(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker as it is."""
    with valkey_server.client() as client:
        yield client


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey that this test may break."""
    server = EmbeddedValkey(tmp_path)
    server.start()
    yield server
    server.remove()


@pytest.fixture
def hold(heard: Heard) -> Iterator[Callable[..., Lease]]:
    """Start leases; they end with the test."""
    held: list[Lease] = []

    def start(
        server: Redis, keys: Keys, *, needs_beats: bool = False, seconds: float = LEASE_SECONDS
    ) -> Lease:
        held.append(Lease(partial(client_of, server), keys, seconds, heard))
        if not needs_beats:
            held[-1].hold_on()
        held[-1].start()
        return held[-1]

    yield start
    for lease in held:
        lease.stop()


def client_of(server: Redis) -> Redis:
    """Return a client as leases use it, on the same server."""
    place = server.connection_pool.connection_kwargs["path"]
    return Redis(unix_socket_path=place, **connection_options(LEASE_SECONDS))


def put(server: Redis, keys: Keys, number: int, messages: str, queue: str = QUEUE) -> None:
    """Reserve a slab for an owner; of messages in a word, the first letter is the oldest."""
    server.zadd(keys.owners, {keys.owner: 1}, nx=True)
    server.hset(keys.slabs, str(number), queue)
    for message in messages:
        server.lpush(keys.slab(number), message)


def dispatch(server: Redis, keys: Keys, number: int, *parts: Any, alone: bool = False) -> None:
    """Note that a batch runs, of some positions in some slabs."""
    server.hset(keys.running, str(number), json.dumps({"alone": alone, "parts": parts}))


def waiting(server: Redis, queue: str = QUEUE) -> str:
    """Return what a queue holds, the message first that is taken first."""
    return b"".join(reversed(server.lrange(queue, 0, -1))).decode()


def deaths(server: Redis) -> dict[str, int]:
    """Return how often each suspect died alone, by message; of those that tests use."""
    names = {sha1(letter.encode()).hexdigest(): letter for letter in map(chr, range(32, 127))}
    return {
        names[digest.decode()]: int(count)
        for digest, count in server.hgetall(ours.suspects).items()
    }


def stamp_of(server: Redis, keys: Keys) -> float:
    """Return an owner's stamp; it must have one."""
    stamp = server.zscore(keys.owners, keys.owner)
    assert stamp is not None, f"{keys.owner} is no owner"
    return stamp


def is_owner(server: Redis, keys: Keys) -> bool:
    """Whether somebody counts as an owner."""
    return server.zscore(keys.owners, keys.owner) is not None


def await_renewals(server: Redis, keys: Keys, count: int) -> None:
    """Wait until an owner has renewed so often; a third of a lease passes for each."""
    seen: set[float | None] = set()

    def enough() -> bool:
        seen.add(server.zscore(keys.owners, keys.owner))
        return len(seen - {None}) > count

    wait_for(enough, what=f"{count} renewals of {keys.owner}")


def recover_all(server: Redis, keys: Keys, **bounds: int) -> tuple[int, int]:
    """Recover an owner to the end; return how many jobs and suspects that were."""
    jobs = suspects = 0
    progress = Progress.MORE
    stamp = stamp_of(server, keys)
    while progress is Progress.MORE:
        answer = recover(server, keys, stamp, **bounds)
        progress = answer.progress
        jobs += answer.jobs
        suspects += answer.suspects
    return jobs, suspects


def leftovers(server: Redis) -> list[str]:
    """Return the keys that are neither queues nor meant to stay for a while."""
    kept = (QUEUE, OTHER_QUEUE, ours.suspects, ours.owners)
    names = [key.decode() for key in server.scan_iter()]
    return sorted(name for name in names if name not in kept and "recovered:" not in name)


# What comes back, and in which order


def test_everything_comes_back_oldest_first(server: Redis) -> None:
    """Messages of all slabs go before what waits, as if they had never been taken."""
    server.lpush(QUEUE, "g", "h")
    for number, messages in [(9, "abc"), (10, "de"), (11, "f"), (12, "")]:
        put(server, dead, number, messages)
    put(server, dead, 13, "xy", OTHER_QUEUE)

    recovered = recover_all(server, dead)

    assert (8, 0) == recovered
    assert ("abcdefgh", "xy") == (waiting(server), waiting(server, OTHER_QUEUE))
    assert ([], False) == (leftovers(server), is_owner(server, dead))


@pytest.mark.parametrize("bounds", [{"most_messages": 1}, {"most_messages": 3}, {"most_bytes": 2}])
def test_interrupted_recovery_goes_on(server: Redis, bounds: dict[str, int]) -> None:
    """Whoever dies between two bounded calls leaves the rest to the next, in the old order."""
    put(server, dead, 1, "abcd")
    put(server, dead, 2, "efgh")

    first = recover(server, dead, stamp_of(server, dead), **bounds)
    recovered_later, _ = recover_all(server, dead, **bounds)

    assert Progress.MORE == first.progress
    assert 0 < first.jobs <= 3
    assert 8 == first.jobs + recovered_later
    assert "abcdefgh" == waiting(server)


def test_another_stamp_stops_everything(server: Redis) -> None:
    """Who renewed after it was looked at keeps all it has."""
    put(server, dead, 1, "abc")
    seen = stamp_of(server, dead)
    renew(server, dead)

    recovery = recover(server, dead, seen)

    assert Progress.NOTHING == recovery.progress
    assert (b"cba", "") == (b"".join(server.lrange(dead.slab(1), 0, -1)), waiting(server))
    assert 0 == server.exists(dead.recovered)


def test_two_recover_at_once(server: Redis) -> None:
    """Several that recover the same owner give each message back once, all together."""
    numbers = [f"{n:04}" for n in range(2000)]
    for slab in range(20):
        put(server, dead, slab, "")
        server.lpush(dead.slab(slab), *numbers[slab * 100 : slab * 100 + 100])
    given_back: list[int] = []
    start = Barrier(3)

    def take_part() -> None:
        with client_of(server) as client:
            client.ping()
            start.wait(60)
            given_back.append(recover_all(client, dead, most_messages=7)[0])

    threads = [Thread(target=take_part) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 2000 == sum(given_back)
    assert [n.encode() for n in reversed(numbers)] == server.lrange(QUEUE, 0, -1)
    assert 1 < len([jobs for jobs in given_back if jobs]), "only one took part"


def test_full_server_still_recovers_and_renews(own_server: EmbeddedValkey) -> None:
    """A server that refuses new jobs for want of memory lets leases live and end."""
    with own_server.client() as server:
        put(server, dead, 1, "abc")
        dispatch(server, dead, 1, [1, [0]])
        server.config_set("maxmemory", 1)

        renewal, _, _ = renew(server, ours)
        recovered = recover_all(server, dead)

        assert (Renewal.RENEWED, (3, 1)) == (renewal, recovered)
        assert "bca" == waiting(server)


# Who is suspect


def test_dispatched_ones_go_to_the_back(server: Redis) -> None:
    """What ran when its owner died waits behind all others; what merely waited is not marked."""
    server.lpush(QUEUE, "z")
    put(server, dead, 1, "abcd")
    put(server, dead, 2, "efg")
    dispatch(server, dead, 1, [1, [0, 3]], [2, [1]])

    recovered = recover_all(server, dead)

    assert (7, 3) == recovered
    assert "bceg" + "z" == waiting(server)[:5]
    assert set("adf") == set(waiting(server)[5:])
    assert {"a": 0, "d": 0, "f": 0} == deaths(server)
    assert 86_000 < server.ttl(dead.suspects) <= 86_400


@pytest.mark.parametrize(
    ("batches", "counted"),
    [
        ([([[1, [1]]], True)], {"b": 1}),
        ([([[1, [1]]], False)], {"b": 0}),
        ([([[1, [1, 2]]], True)], {"b": 0, "c": 0}),
        ([([[1, [1]], [2, [0]]], True)], {"b": 0, "d": 0}),
        ([([[1, [1]]], True), ([[1, [2]]], True)], {"b": 0, "c": 0}),
        ([([[1, [1]]], True), ([[7, [0]]], False)], {"b": 0}),
        ([([[1, [99]]], True)], {}),
        ([([[1, [99, 1]]], True)], {"b": 0}),
        ([], {}),
    ],
)
def test_only_the_one_that_ran_alone_is_counted(
    server: Redis, batches: list[tuple[Any, bool]], counted: dict[str, int]
) -> None:
    """A death counts for a job only if nothing else ran in the whole worker."""
    put(server, dead, 1, "abc")
    put(server, dead, 2, "d")
    for number, (parts, alone) in enumerate(batches):
        dispatch(server, dead, number, *parts, alone=alone)

    recover_all(server, dead)

    assert counted == deaths(server)


@pytest.mark.parametrize(
    "entry", ["no json", "[]", "{}", '{"parts": [7]}', '{"parts": [[1, "x"]]}']
)
def test_unreadable_batches_hold_up_nothing(server: Redis, entry: str) -> None:
    """An entry that says nothing is passed over; the others are counted as ever."""
    put(server, dead, 1, "abc")
    server.hset(dead.running, "1", entry)
    dispatch(server, dead, 2, [1, [2]])

    recover_all(server, dead)

    assert ("abc", {"c": 0}) == (waiting(server), deaths(server))


def test_counted_once_however_often_interrupted(server: Redis) -> None:
    """A recovery in many calls, each the last of who made it, counts a death once."""
    put(server, dead, 1, "abcdef")
    dispatch(server, dead, 1, [1, [2]], alone=True)

    recover_all(server, dead, most_messages=1)

    assert ("abdefc", {"c": 1}) == (waiting(server), deaths(server))


def test_interrupted_counting_takes_no_batch_for_the_only_one(server: Redis) -> None:
    """Of several batches, the one that is counted in a later call did not run alone."""
    put(server, dead, 1, "abc")
    for position in range(3):
        dispatch(server, dead, position, [1, [position]], alone=True)

    recover_all(server, dead, most_messages=1)

    assert {"a": 0, "b": 0, "c": 0} == deaths(server)


def test_five_crashes_in_company_count_for_nobody(server: Redis) -> None:
    """Jobs that died in company stay at none, and those that only waited go first each time."""
    for crash in range(5):
        put(server, dead, crash, "abcd")
        dispatch(server, dead, crash, [crash, [0, 1]])
        recover_all(server, dead)
        assert set("cd") == set(waiting(server)[:2])
        server.delete(QUEUE)

    assert {"a": 0, "b": 0} == deaths(server)


def test_crashes_alone_add_up(server: Redis) -> None:
    """Each death of a job that ran alone is one more, over all its owners."""
    for crash in range(3):
        keys = Keys(PREFIX, f"dead{crash}")
        put(server, keys, 1, "a")
        dispatch(server, keys, 1, [1, [0]], alone=True)
        recover_all(server, keys)
        server.delete(QUEUE)

    assert {"a": 3} == deaths(server)


# Who is silent


def test_dead_owner_is_recovered_after_a_lease(
    server: Redis, hold: Callable[..., Lease], heard: Heard
) -> None:
    """Messages of one who renews no more are back after one lease, and before two are over."""
    hold(server, ours)
    await_renewals(server, ours, 1)

    def die() -> None:
        heard.all.clear()
        server.delete(QUEUE)
        renew(server, dead)
        put(server, dead, 1, "abc")
        wait_for(lambda: not is_owner(server, dead))

    seconds = least_seconds(die, 2 * LEASE_SECONDS)

    assert LEASE_SECONDS <= seconds < 2 * LEASE_SECONDS
    assert "abc" == waiting(server)
    wait_for(lambda: heard.all)
    assert [("jobs_recovered", {"owner": "dead", "jobs": 3, "suspects": 0})] == heard.all


def test_live_owner_keeps_its_messages(server: Redis, hold: Callable[..., Lease]) -> None:
    """Whoever renews is left alone, however long its jobs take."""
    living = Keys(PREFIX, "living")
    hold(server, ours)
    put(server, living, 1, "abc")
    lease = hold(server, living)

    for funeral in range(3):
        one_more = Keys(PREFIX, f"dead{funeral}")
        put(server, one_more, 1, "x")
        wait_for(lambda keys=one_more: not is_owner(server, keys))  # type: ignore[misc]

    assert ("xxx", 3) == (waiting(server), server.llen(living.slab(1)))
    assert not lease.was_recovered


def test_an_owner_with_a_longer_lease_keeps_its_messages(
    server: Redis, hold: Callable[..., Lease], heard: Heard
) -> None:
    """One that renews more rarely than another's whole lease is left alone while it renews."""
    slow = Keys(PREFIX, new_owner("host", 1, 5 * LEASE_SECONDS))
    hold(server, ours)
    put(server, slow, 1, "abc")
    lease = hold(server, slow, seconds=5 * LEASE_SECONDS)

    await_renewals(server, slow, 2)

    assert ("", 3) == (waiting(server), server.llen(slow.slab(1)))
    assert not lease.was_recovered
    assert [] == heard.all


def test_silent_main_loop_lets_its_lease_run_out(
    server: Redis, hold: Callable[..., Lease], heard: Heard
) -> None:
    """A main loop that hangs loses its jobs, though its thread lives; beating, it learns so."""
    hanging = Keys(PREFIX, "hanging")
    hold(server, ours)
    put(server, hanging, 1, "abc")
    lease = hold(server, hanging, needs_beats=True)
    wait_for(lambda: not is_owner(server, hanging))
    came_back, knew_before = waiting(server), lease.was_recovered

    def woken() -> bool:
        lease.beat()
        return lease.was_recovered

    wait_for(woken)

    assert ("abc", False) == (came_back, knew_before)
    assert ["main_loop_silent", "jobs_recovered", "lease_lost"] == heard.names()
    assert is_owner(server, hanging)
    # Until the main loop has forgotten what others have by now, it may reserve nothing.
    assert 1 == server.exists(hanging.recovered)


def test_beating_main_loop_keeps_its_lease(server: Redis, hold: Callable[..., Lease]) -> None:
    """With beats the lease is renewed for longer than any main loop may be silent."""
    lease = hold(server, ours, needs_beats=True)
    seen: set[float | None] = set()

    def renewed() -> bool:
        lease.beat()
        seen.add(server.zscore(ours.owners, ours.owner))
        return len(seen) > 7

    wait_for(renewed)

    assert not lease.was_recovered


def test_waking_in_mid_recovery(server: Redis, hold: Callable[..., Lease]) -> None:
    """One who wakes while its jobs are being given back finishes that, and begins anew."""
    put(server, ours, 1, "abcdef")
    first = recover(server, ours, stamp_of(server, ours), most_messages=2)

    lease = hold(server, ours)

    wait_for(lambda: lease.was_recovered)
    assert (Progress.MORE, "abcdef") == (first.progress, waiting(server))
    assert ([], True) == (leftovers(server), is_owner(server, ours))


def test_vanished_owner_was_not_recovered(server: Redis, hold: Callable[..., Lease]) -> None:
    """A server that forgot everything is told of its owners again, and nobody loses anything."""
    lease = hold(server, ours)
    wait_for(lambda: is_owner(server, ours))

    server.flushall()

    await_renewals(server, ours, 2)
    assert not lease.was_recovered


# Trouble with the server


def test_cut_connection_begins_the_watch_anew(server: Redis, hold: Callable[..., Lease]) -> None:
    """After a cut, even one that was silent before has a whole lease."""
    hold(server, ours)
    await_renewals(server, ours, 1)
    cut_at = 0.0
    # On a host that stands still for a lease it is recovered before the cut: once more, then.
    while not (cut_at and is_owner(server, dead)):
        server.delete(QUEUE)
        put(server, dead, 1, "abc")
        await_renewals(server, ours, 2)
        server.client_kill_filter(_type="normal", skipme=True)
        cut_at = monotonic()

    wait_for(lambda: not is_owner(server, dead))
    assert LEASE_SECONDS <= monotonic() - cut_at
    assert "abc" == waiting(server)


def test_an_outage_makes_no_orphans(
    own_server: EmbeddedValkey, hold: Callable[..., Lease], heard: Heard
) -> None:
    """Workers that could not renew for long, none of them could, keep what they have."""
    others = Keys(PREFIX, "others")
    with own_server.client() as server:
        leases = [hold(server, keys) for keys in (ours, others)]
        put(server, ours, 1, "abc")
        put(server, others, 1, "def")
        put(server, dead, 1, "x")
        await_renewals(server, ours, 2)

        server.save()
        own_server.kill()
        gone_at = monotonic()
        wait_for(lambda: monotonic() - gone_at > 2 * LEASE_SECONDS, what="two leases to pass")
        own_server.start()
        back_at = monotonic()

        wait_for(lambda: not is_owner(server, dead))
        assert LEASE_SECONDS <= monotonic() - back_at
        assert "x" == waiting(server)
        assert [3, 3] == [server.llen(keys.slab(1)) for keys in (ours, others)]
        assert [False, False] == [lease.was_recovered for lease in leases]
        assert [2, 2] == [heard.names().count(f"broker_{now}") for now in ("silent", "heard")]


def test_stopping_is_quick_and_twice_is_once(server: Redis, hold: Callable[..., Lease]) -> None:
    """A lease ends at once, without giving anything back, and a second end does nothing."""
    # So long that a stop which waits for the next renewal would last.
    lease = hold(server, ours, seconds=60 * PATIENCE_SECONDS)
    wait_for(lambda: is_owner(server, ours))
    put(server, ours, 1, "abc")
    began = monotonic()

    lease.stop()
    lease.stop()

    assert monotonic() - began < PATIENCE_SECONDS
    assert ("", 3) == (waiting(server), server.llen(ours.slab(1)))


def test_stopping_may_give_everything_back(server: Redis, hold: Callable[..., Lease]) -> None:
    """A worker that ends in good order leaves neither messages nor an owner behind."""
    lease = hold(server, ours)
    put(server, ours, 1, "abc")

    lease.stop(give_back=True)

    assert ("abc", [], False) == (waiting(server), leftovers(server), is_owner(server, ours))

"""What may be wrong with Redis: what it keeps, what it throws away, and whose jobs lie in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from celery import Celery

from config import Settings
from worker.commands.layout import counted
from worker.doctor.finding import Finding, ok, problem, warning
from worker.relay.broker import BROKER_ERRORS, Broker
from worker.transport.overview import Owner, owners
from worker.transport.server import ServerTooOld, refuse_old

_ABOUT = "Redis"
#: Above this share of its memory the server is about to refuse jobs.
_FULL = 0.9
#: How many leases pass before others must have noticed.
_OVERDUE_LEASES = 3


def look_at_broker(settings: Settings) -> Iterator[Finding]:
    """Tell about the server that carries the jobs, and about the leases in it."""
    broker = Broker(settings.broker_url.get_secret_value(), settings.key_prefix)
    try:
        redis = broker.redis()
        yield from of_redis(redis.info(), str(settings.broker_url))
        yield from _leases(owners(redis, settings.key_prefix, settings.lease_seconds))
    except BROKER_ERRORS as error:
        yield problem(
            _ABOUT,
            f"cannot be asked at {settings.broker_url}: {error}",
            "start it, or correct CELERIAC_BROKER_URL",
        )
    finally:
        broker.close()


def look_at_results(app: Celery, settings: Settings) -> Iterator[Finding]:
    """Tell whether the results' database answers, asked as workers ask it."""
    try:
        app.backend.client.ping()
        yield ok("results", "answers")
    except BROKER_ERRORS as error:
        yield problem(
            "results",
            f"cannot be asked at {settings.result_url}: {error}",
            "start it, or correct CELERIAC_RESULT_URL",
        )


def of_redis(info: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """Tell what a server says of itself by INFO."""
    try:
        refuse_old(info, where)
        name = "Valkey" if "valkey_version" in info else "Redis"
        yield ok(_ABOUT, f"{name} {info.get('valkey_version') or info.get('redis_version')}")
    except ServerTooOld as error:
        yield problem(_ABOUT, str(error), "upgrade it to Redis 6.2 or newer, or to Valkey")
    if info.get("role") in ("slave", "replica"):
        yield problem(_ABOUT, "it is a replica", "point CELERIAC_BROKER_URL at the primary")
    yield from _persistence(info)
    yield from _memory(info)


def _persistence(info: Mapping[str, Any]) -> Iterator[Finding]:
    if not info.get("aof_enabled"):
        yield problem(
            _ABOUT,
            "appendonly is off: jobs that are in Redis alone are lost when it stops",
            "redis-cli CONFIG SET appendonly yes, and `appendonly yes` in its configuration",
        )
    elif info.get("aof_last_write_status", "ok") != "ok":
        yield problem(
            _ABOUT,
            "it could not write its append-only file the last time it tried",
            "make room on its disk; its log says what failed",
        )
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield warning(
            _ABOUT,
            "its last snapshot (RDB) failed; with stop-writes-on-bgsave-error it refuses jobs",
            "make room on its disk, or switch snapshots off: redis-cli CONFIG SET save ''",
        )


def _memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    policy, most = info.get("maxmemory_policy", "noeviction"), int(info.get("maxmemory", 0))
    if policy != "noeviction":
        words = (
            f"maxmemory-policy is {policy}: it throws jobs away when its memory is full"
            if most
            else f"maxmemory-policy is {policy}: jobs go as soon as somebody sets maxmemory"
        )
        kind = problem if most else warning
        remedy = "redis-cli CONFIG SET maxmemory-policy noeviction, and in its configuration"
        yield kind(_ABOUT, words, remedy)
    used = int(info.get("used_memory", 0))
    if most and used > most * _FULL:
        yield problem(
            _ABOUT,
            f"{used / most:.0%} of its memory ({most:,} bytes) are used: soon it refuses jobs",
            "start more workers, or give it more: redis-cli CONFIG SET maxmemory <bytes>",
        )


def _leases(found: list[Owner]) -> Iterator[Finding]:
    late = [one for one in found if one.is_expired and one.reserved]
    for one in late:
        kind = problem if one.silent_seconds > one.lease_seconds * _OVERDUE_LEASES else warning
        yield kind(
            "leases",
            f"worker {one.name} is silent for {one.silent_seconds:,.0f} s "
            f"(its lease is {one.lease_seconds:g} s) and has {counted(one.reserved, 'job')}",
            "another worker gives them back within two leases: start one, "
            "celery -A worker.app worker -Q celeriac.ingest",
        )
    if not late:
        lively = sum(not one.is_expired for one in found)
        yield ok("leases", f"{counted(lively, 'worker')} alive, none expired")

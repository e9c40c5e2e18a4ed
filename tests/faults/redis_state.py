"""Read what Redis holds: results as Celery writes them, and jobs that wait in lists."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import redis

#: Lists of the messages that workers have reserved, by any prefix, owner and number.
SLABS = "*celeriac:slab:*"

#: In one step: a job that moves from one place to the other is never seen in neither.
_PLACES = """
local reserved = 0
for _, slab in ipairs(redis.call('KEYS', ARGV[1])) do
    reserved = reserved + redis.call('LLEN', slab)
end
return {redis.call('LLEN', KEYS[1]), reserved}
"""


def places(url: str, queue: str = "celeriac.ingest") -> tuple[int, int]:
    """Count the messages that wait in a queue, and those that any worker has reserved."""
    with redis_client(url) as server:
        waiting, reserved = cast(list[int], server.eval(_PLACES, 1, queue, SLABS))
    return waiting, reserved


def reserved_by(url: str, pid: int) -> int:
    """Count the messages that the worker with this main process has reserved, dead or alive."""
    with redis_client(url) as server:
        slabs = server.keys(f"{SLABS}:{pid}:*")
        return sum(cast(int, server.llen(slab)) for slab in cast(list[bytes], slabs))


def read_results(job_ids: Collection[str], url: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the results of these jobs in Celery's format; those without one are left out."""
    ids = list(job_ids)
    found: dict[str, Mapping[str, Any]] = {}
    with redis_client(url) as server:
        for start in range(0, len(ids), 500):
            asked = ids[start : start + 500]
            answers = cast(list[Any], server.mget([f"celery-task-meta-{job}" for job in asked]))
            found |= {job: json.loads(a) for job, a in zip(asked, answers, strict=True) if a}
    return found


def redis_client(url: str) -> redis.Redis:
    """Open a URL as Celery spells it, Unix sockets included."""
    parts = urlsplit(url)
    if parts.scheme in ("socket", "redis+socket"):
        database = parse_qs(parts.query).get("virtual_host", ["0"])[0]
        return redis.Redis(unix_socket_path=parts.path, db=int(database.strip("/")))
    return redis.Redis.from_url(url)


def waiting_in_redis(url: str) -> set[str]:
    """Return the ids of all jobs that some list of the broker holds."""
    with redis_client(url) as server:
        return {job for message in _messages(server) if (job := _job_id(message))}


def _messages(server: redis.Redis) -> Iterator[bytes]:
    """Yield the entries of every list: queues and leases alike, whatever their names."""
    for key in server.scan_iter(count=1000, _type="list"):
        yield from cast(list[bytes], server.lrange(key, 0, -1))


def _job_id(message: bytes) -> str | None:
    try:
        return str(json.loads(message)["headers"]["id"])
    except (ValueError, TypeError, KeyError):
        return None

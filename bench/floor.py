"""The floor: one process, one loop, no Celery; what is left is what the work itself costs.

Slabs are moved by one script as the product moves them, ledger and rows are
committed by the product's own statement: the same index, the same durability.
Around them is as little Python as will do. No lease is renewed, nobody recovers,
nothing bad is expected.
"""

import base64
import gc
import hashlib
import os
import signal
import sys
from typing import Any

import msgspec
from redis import Redis

from postgres.insert_rows import Destination, OnConflict, whole_insert
from postgres.pool import Pool, PoolLimits
from postgres.table import Tables
from postgres.transaction import transaction
from postgres.whole import NewJobs, commit_whole

QUEUE = "celeriac.ingest"
TASK = "celeriac.ingest"
SLAB_JOBS = 1_000
SLAB_BYTES = 16 * 1024 * 1024
WAIT_SECONDS = 1
SLAB = "bench:slab"
#: KEYS: queue, slab. ARGV: most messages, most bytes.
RESERVE = """
local taken, bytes = {}, 0
while #taken < tonumber(ARGV[1]) and bytes < tonumber(ARGV[2]) do
    local message = redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')
    if not message then
        break
    end
    taken[#taken + 1] = message
    bytes = bytes + #message
end
return table.concat(taken, ',')
"""


class Headers(msgspec.Struct):
    """What names a job."""

    id: str


class Envelope(msgspec.Struct):
    """A message as far as it is looked at."""

    body: str
    headers: Headers


class Arguments(msgspec.Struct):
    """The keyword arguments of an ingest job."""

    target: str
    rows: list[msgspec.Raw]


ENVELOPES = msgspec.json.Decoder(list[Envelope])
BODY = msgspec.json.Decoder(tuple[list[Any], Arguments, Any])


def reserve(redis: Redis, script: Any) -> list[Envelope]:
    """Return the jobs of a slab; wait for one if there is none."""
    found = script(keys=[QUEUE, SLAB], args=[SLAB_JOBS, SLAB_BYTES])
    if not found:
        found = redis.blmove(QUEUE, SLAB, WAIT_SECONDS, "RIGHT", "LEFT") or b""
    return ENVELOPES.decode(b"[%b]" % found)


def main() -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    redis = Redis.from_url(os.environ["BENCH_BROKER_URL"])
    script = redis.register_script(RESERVE)
    pool = Pool(os.environ["BENCH_DATABASE_URL"], PoolLimits(1))
    with transaction(pool) as cursor:
        table = Tables().describe("public", "bench_rows", cursor)
    destination = Destination(table, tuple(table.columns), (), OnConflict.ERROR)
    gc.freeze()
    gc.set_threshold(100_000)
    print("ready", flush=True)
    while True:
        envelopes = reserve(redis, script)
        if envelopes:
            _commit(envelopes, destination, pool)
            redis.unlink(SLAB)


def _commit(envelopes: list[Envelope], destination: Destination, pool: Pool) -> None:
    bodies = [base64.b64decode(one.body) for one in envelopes]
    arguments = [BODY.decode(body)[1] for body in bodies]
    jobs = NewJobs(
        task=TASK,
        ids=[one.headers.id for one in envelopes],
        subjects=[one.target for one in arguments],
        rows=[len(one.rows) for one in arguments],
        digests=[hashlib.blake2b(body, digest_size=16).hexdigest() for body in bodies],
    )
    rows = b",".join(bytes(row) for one in arguments for row in one.rows)
    write = whole_insert(destination, rows.decode(), sum(jobs.rows))
    commit_whole(jobs, [write], "bench:floor", pool)


if __name__ == "__main__":
    main()

"""The floor: one process, one loop, no Celery; what is left is what the work itself costs.

As in the product a script moves slabs of messages, typed decoders read them,
one statement commits ledger and rows under the same index with the same
durability, and one command settles the slab. Around that is as little Python
as will do, and none of the product's: no lease, no recovery, nothing bad.
"""

import gc
import os
import signal
import sys
from binascii import a2b_base64
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import psycopg2
from redis import Redis

QUEUE = "celeriac.ingest"
SLAB = "bench:slab"
SLAB_JOBS = 1_000
SLAB_BYTES = 16 * 1024 * 1024
WAIT_SECONDS = 1
#: KEYS: queue, slab. ARGV: most messages, most bytes.
RESERVE = """
local length, taken, bytes = redis.call('LLEN', KEYS[1]), 0, 0
local most, texts = math.min(length, tonumber(ARGV[1])), {}
while taken < most and bytes < tonumber(ARGV[2]) do
    local wanted = math.min(32, most - taken)
    local found = redis.call('LRANGE', KEYS[1], -taken - wanted, -taken - 1)
    local text = table.concat(found, ',')
    taken, bytes = taken + #found, bytes + #text
    texts[#texts + 1] = text
end
if taken > 0 then
    redis.call('SORT', KEYS[1], 'BY', 'nosort', 'LIMIT', length - taken, taken, 'STORE', KEYS[2])
    redis.call('LTRIM', KEYS[1], 0, -taken - 1)
end
return texts
"""
COMMIT = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


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


def main() -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    redis = Redis.from_url(os.environ["BENCH_BROKER_URL"])
    script = redis.register_script(RESERVE)
    connection = psycopg2.connect(os.environ["BENCH_DATABASE_URL"])
    connection.autocommit = True
    gc.freeze()
    gc.set_threshold(100_000)
    print("ready", flush=True)
    with connection.cursor() as cursor:
        while True:
            envelopes = reserve(redis, script)
            if envelopes:
                cursor.execute(COMMIT, parameters(envelopes))
                redis.unlink(SLAB)


def reserve(redis: Redis, script: Any) -> list[Envelope]:
    """Return the jobs of a slab; wait for one if there is none."""
    found = script(keys=[QUEUE, SLAB], args=[SLAB_JOBS, SLAB_BYTES])
    if not found:
        found = [redis.blmove(QUEUE, SLAB, WAIT_SECONDS, "RIGHT", "LEFT") or b""]
    return ENVELOPES.decode(b"[%b]" % b",".join(found))


def parameters(envelopes: list[Envelope]) -> dict[str, str]:
    """Return arrays and rows as PostgreSQL reads them; quoting them once is cheapest."""
    bodies = [a2b_base64(one.body) for one in envelopes]
    digests = [blake2b(body, digest_size=16).hexdigest() for body in bodies]
    rows = b",".join(bytes(row) for body in bodies for row in BODY.decode(body)[1].rows)
    return {
        "ids": f"{{{','.join(one.headers.id for one in envelopes)}}}",
        "digests": f"{{{','.join(digests)}}}",
        "rows": f"[{rows.decode()}]",
    }


if __name__ == "__main__":
    main()

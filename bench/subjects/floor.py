"""The floor: what the mechanics cost when no Celery is in the way."""

import re
from functools import partial

from bench.servers import Place
from bench.subjects.celeriac import ingest_queue, produce
from bench.subjects.subject import Subject

_NAME = re.compile(r"floor(_uuid7)?")


def floor(name: str) -> Subject | None:
    """Return the subject ``floor`` or ``floor_uuid7``; None for other names."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    ids = "uuid7" if found[1] else "uuid4"
    return Subject(
        name=name,
        processes=(("-m", "bench.floor"),),
        producer=partial(produce, ids, "ignore"),
        queue=ingest_queue,
        env=_env,
        ready="ready",
        messages=f"celeriac {ids} ignore",
    )


def _env(place: Place) -> dict[str, str]:
    return {"BENCH_BROKER_URL": place.redis_url(), "BENCH_DATABASE_URL": place.database_url}

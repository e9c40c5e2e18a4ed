"""The FastAPI example with a clock in its loop: ``/delays`` says how late it went."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from examples.fastapi_app.app import app, lifespan

TICK_SECONDS = 0.001
#: Of a thread, in nanoseconds: how long it ran, how long it was ready and had no processor.
SCHEDULED = Path("/proc/thread-self/schedstat")
MOST_IN_A_HUNDRED = 99

_computed: list[float] = []
_late: list[float] = []


@asynccontextmanager
async def _ticking(app: FastAPI) -> AsyncIterator[None]:
    clock = asyncio.create_task(_tick())
    async with lifespan(app):
        # What the imports left is the frameworks': to look through it would be a long tick.
        gc.freeze()
        yield
    clock.cancel()


async def _tick() -> None:
    while True:
        before, waited, used = time.perf_counter(), _waited_seconds(), time.thread_time()
        await asyncio.sleep(TICK_SECONDS)
        late = time.perf_counter() - before - TICK_SECONDS
        _computed.append(time.thread_time() - used)
        # On a machine that is busy with others a thread waits for its turn: no delay of the loop's.
        _late.append(late - (_waited_seconds() - waited))


def _waited_seconds() -> float:
    return int(SCHEDULED.read_text().split()[1]) / 1e9 if SCHEDULED.exists() else 0.0


def _most(seconds: list[float]) -> float:
    """Return what all but one in a hundred stay below: a host takes time that its guest counts."""
    return sorted(seconds)[len(seconds) * MOST_IN_A_HUNDRED // 100]


@app.get("/delays")
async def delays() -> dict[str, float]:
    """What was between ticks, in seconds, since this was last asked, and how many there were."""
    found = {"computed": _most(_computed), "late": _most(_late), "ticks": len(_late)}
    _computed.clear()
    _late.clear()
    return found


app.router.lifespan_context = _ticking

"""From enqueue to visible row: of jobs that come alone, and under half of the top load."""

import time
from collections.abc import Sequence

from bench.drain import IDLE_SECONDS, PATIENCE_SECONDS, Scene, scene
from bench.ground import Ground
from bench.messages import WARM_UP
from bench.servers import Place
from bench.subjects import Subject

#: A lone job finds idle workers.
PAUSE_SECONDS = 0.005


def lone(ground: Ground, subject: Subject, place: Place, messages: Sequence[object]) -> list[float]:
    """Send jobs one at a time; return the milliseconds of each."""
    found = []
    with scene(ground, subject, place, messages[:WARM_UP]) as on:
        time.sleep(IDLE_SECONDS)
        for number, message in enumerate(messages[WARM_UP:], WARM_UP + 1):
            began = time.monotonic()
            on.queue.push([message])
            seen_at = on.target.wait_for(number, on.crew, PATIENCE_SECONDS)
            found.append((seen_at - began) * 1000)
            time.sleep(PAUSE_SECONDS)
        on.target.verify(len(messages))
    return found


def loaded(
    ground: Ground,
    subject: Subject,
    place: Place,
    messages: Sequence[object],
    *,
    rate: float,
) -> list[float]:
    """Send all jobs at a steady rate; return the milliseconds of those that were watched."""
    with scene(ground, subject, place, messages[:WARM_UP]) as on:
        time.sleep(IDLE_SECONDS)
        found = _send_steadily(on, messages, rate)
        on.target.wait_for_last(len(messages), on.crew, PATIENCE_SECONDS)
        on.target.verify(len(messages))
    return found


def _send_steadily(on: Scene, messages: Sequence[object], rate: float) -> list[float]:
    found = []
    sent, watched, watched_since = WARM_UP, 0, 0.0
    began = time.monotonic()
    while sent < len(messages) or watched:
        due = min(len(messages), WARM_UP + int((time.monotonic() - began) * rate))
        if due > sent:
            if not watched:
                watched, watched_since = due, time.monotonic()
            on.queue.push(messages[sent:due])
            sent = due
        if watched and on.target.has(watched):
            found.append((time.monotonic() - watched_since) * 1000)
            watched = 0
        on.crew.check(began + len(messages) / rate + PATIENCE_SECONDS, "under half load")
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

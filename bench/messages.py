"""The messages of every subject, written once by its own library and kept for all runs."""

import base64
import json
import time
from uuid import UUID, uuid5

from bench.ground import Ground, RunFailed
from bench.progress import say
from bench.row import row
from bench.subjects import Subject

#: Jobs that each run begins with, before anything is measured.
WARM_UP = 200
_SPACE = UUID(int=0)


class Messages:
    """Ask each producer once, for as many messages as the greatest run needs."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._kept: dict[str, list[object]] = {}

    def of(self, subject: Subject, jobs: int) -> list[object]:
        """Return that many messages and those of the warm-up before them, oldest first."""
        needed = jobs + WARM_UP
        kept = self._kept.get(subject.messages, [])
        if len(kept) < needed:
            kept = self._kept[subject.messages] = self._produce(subject, needed)
        return kept[:needed]

    def _produce(self, subject: Subject, count: int) -> list[object]:
        place = self._ground.servers.fresh()
        began = time.monotonic()
        self._ground.ask(subject, place, subject.producer(place, count))
        found = subject.queue(self._ground.servers.redis, place).take()
        seconds = time.monotonic() - began
        say(f"{subject.messages}: {len(found)} messages written in {seconds:.1f} s")
        if len(found) != count:
            raise RunFailed(f"{subject.messages}: {len(found)} messages instead of {count}")
        return found


def multiply(message: bytes, count: int) -> list[object]:
    """Return messages such as stock Celery wrote one, with other ids and rows.

    For backlogs that ``send_task`` would write for many minutes.
    """
    envelope = json.loads(message)
    old_id, old_body = envelope["headers"]["id"], envelope["body"]
    body = base64.b64decode(old_body)
    old_row = json.dumps(row(1)).encode()
    if old_row not in body:
        raise RunFailed("the first message does not carry the first row")
    before, after = body.split(old_row)
    found: list[object] = []
    for number in range(1, count + 1):
        text = base64.b64encode(before + json.dumps(row(number)).encode() + after)
        id_ = str(uuid5(_SPACE, str(number))).encode()
        found.append(message.replace(old_body.encode(), text).replace(old_id.encode(), id_))
    return found

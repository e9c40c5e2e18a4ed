"""What Flower shows; given to it as ``--conf=monitoring/flowerconfig.py``.

Flower refuses to start with it where others could reach a Flower that asks nobody who they are.
"""

import json
from typing import Any

from tornado.options import options

from worker.metrics.watcher import watch_deployment

natural_time = False
tasks_columns = "name,uuid,state,args,result,received,runtime,worker"
# Flower keeps tasks in memory only, about 2 KB each, and the oldest go first; the ledger keeps
# them all. Workers that were replaced are forgotten after a day.
max_tasks = 20_000
purge_offline_workers = 24 * 3600

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MOST_CHARACTERS = 300


def format_task(task: Any) -> Any:
    """Say in words what our results and reasons hold; leave those of other tasks as they are."""
    if task.name and task.name.startswith("celeriac."):
        # The list has no column for what went wrong.
        task.result = _in_words(task.result) or task.exception
    for name in ("args", "kwargs", "result", "exception"):
        text = getattr(task, name)
        if isinstance(text, str) and len(text) > _MOST_CHARACTERS:
            setattr(task, name, f"{text[:_MOST_CHARACTERS]}… ({len(text):,} characters)")
    return task


def _in_words(result: Any) -> Any:
    """Write ``{"rows": 5, "inserted": 4, "quarantined": 1}`` as people do, without the zeros."""
    try:
        counts = json.loads(result)
        rows = counts.pop("rows")
    except (TypeError, ValueError, KeyError, AttributeError):
        return result
    parts = [f"{rows:,} row{'' if rows == 1 else 's'}"] if isinstance(rows, int) else [str(rows)]
    for name, value in counts.items():
        if isinstance(value, int) and not isinstance(value, bool):
            parts += [f"{value:,} {name}"] if value else []
        elif value is not None:
            parts.append(f"{name} {value}")
    return ", ".join(parts)


def _refuse_strangers() -> None:
    """End the process, before it listens, if anybody could come in."""
    pairs = [entry.partition(":") for entry in options.basic_auth or []]
    if not all(name and password for name, _, password in pairs):
        raise SystemExit(
            "FLOWER_BASIC_AUTH must be name:password, several separated by commas; an entry lacks "
            "its name or its password, which would let in whoever sends none"
        )
    asks_who = pairs or options.auth
    if not asks_who and not options.unix_socket and options.address not in _LOOPBACK:
        raise SystemExit(
            "flower would show every job to whoever reaches this machine, and let them revoke "
            "it: set FLOWER_BASIC_AUTH=name:password, or --auth with a provider, or let it "
            "listen on --address=127.0.0.1"
        )


_refuse_strangers()
watch_deployment()

"""Make jobs of what callers give: checked, written as JSON, described in a few words."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from celeriac.contract import (
    INGEST,
    INGEST_FILE,
    MAX_BODY_BYTES,
    MAX_ROWS,
    OUR_TASKS,
    QUEUES,
    REPORT,
    SEVERAL_TARGETS,
    SUBJECT_SEPARATOR,
)
from celeriac.errors import BadPayload
from celeriac.payload import (
    HasId,
    check_after,
    check_file_format,
    check_file_options,
    check_fresh_for,
    check_name,
    check_object,
    write_arguments,
    write_row,
)
from celeriac.report_form import Asked
from celeriac.rows import check_columns, each_row, row_object
from celeriac.shown import shown
from celeriac.steps import Pause, Plan

#: So many rows are written before others may run: some milliseconds.
ROWS_A_TURN: Final = 200

_quote = json.encoder.encode_basestring_ascii


class Job(NamedTuple):
    """One job without its id: the task, its arguments as JSON, and what Flower shows of it.

    ``own_queue`` is that of a task of somebody's own, None for ours.
    """

    task: str
    arguments: str
    description: str
    rows: int = 0
    targets: tuple[str, ...] = ()
    reports: tuple[Asked, ...] = ()
    own_queue: str | None = None

    @property
    def queue(self) -> str:
        """The queue in which workers look for it."""
        return self.own_queue or QUEUES[self.task]


def ingest_job(target: Any, row_or_rows: Any, columns: Sequence[str] | None) -> Plan[Job]:
    """Make a job of rows for one target, or of an object with the rows of several."""
    check_columns(columns)
    if type(target) is str or not isinstance(target, Mapping):
        name = check_target(target)
        if type(row_or_rows) is dict:
            # Most jobs: one row, and nobody who would have to wait for it.
            return rows_job(name, [write_row("row 1", row_object("row 1", row_or_rows))])
        texts = yield from _write_rows("", row_or_rows, columns, MAX_ROWS)
        return rows_job(name, texts)
    if row_or_rows != ():
        raise BadPayload("rows must stand beside their targets when there are several of these")
    if not target:
        raise BadPayload("target must name one target or more, got none")
    written: dict[str, list[str]] = {}
    for one, rows in target.items():
        room = MAX_ROWS - sum(map(len, written.values()))
        where = f"target {check_target(one)!r}, "
        written[one] = yield from _write_rows(where, rows, columns, room)
    return _several(written)


def rows_job(target: str, texts: Sequence[str]) -> Job:
    """Make a job of rows that are written already."""
    arguments = f'{{"target": {_quote(target)}, "rows": [{", ".join(texts)}]}}'
    return Job(INGEST, arguments, describe(target, _count(len(texts))), len(texts), (target,))


def file_job(
    target: str,
    url: str,
    format: str | None,
    options: Mapping[str, Any] | None,
) -> Plan[Job]:
    """Make a job of a file; the worker knows its usual format and options."""
    arguments: dict[str, Any] = {"target": check_target(target), "url": check_name("url", url)}
    if format is not None:
        arguments["format"] = check_file_format(format)
    if options is not None:
        arguments["options"] = check_file_options(options)
    # The end of the URL says most, and a password would stand before it.
    name = url.partition("?")[0].rpartition("/")[2]
    yield from ()  # Nothing to wait for: a plan like the others.
    words = describe(target, name or None)
    return Job(INGEST_FILE, write_arguments(arguments), words, targets=(target,))


def report_job(
    name: str,
    params: Mapping[str, Any] | None,
    format: str | None,
    fresh_for: float | None,
    after: "str | HasId | None" = None,
) -> Plan[Job]:
    """Make a job of a report; the worker knows its parameters and its usual format."""
    arguments: dict[str, Any] = {"name": check_name("name", name)}
    if params is not None:
        arguments["params"] = check_object("params", params)
    if format is not None:
        arguments["format"] = check_name("format", format)
    if fresh_for is not None:
        arguments["fresh_for"] = check_fresh_for(fresh_for)
    if after is not None:
        arguments["after"] = check_after(after)
    yield from ()
    asked = Asked(name, arguments.get("params", {}), format)
    return Job(REPORT, write_arguments(arguments), describe(name, format), reports=(asked,))


def own_job(task: str, arguments: Mapping[str, Any], queue: str | None) -> Plan[Job]:
    """Make a job of somebody's own kind; the worker knows its arguments."""
    if check_name("task", task).startswith(OUR_TASKS):
        names = ", ".join(QUEUES)
        raise BadPayload(
            f"task must be one of your own, got {shown(task)}; for {names} there are"
            " ingest, ingest_file and report"
        )
    own_queue = task if queue is None else check_name("queue", queue)
    text = write_arguments(check_object("arguments", arguments))
    yield from ()
    return Job(task, text, describe(task, None), own_queue=own_queue)


def check_target(name: str) -> str:
    """Return the name of one target."""
    check_name("target", name)
    if name == SEVERAL_TARGETS or SUBJECT_SEPARATOR in name:
        raise BadPayload(
            f"target must be the name of one, without {SUBJECT_SEPARATOR!r}, got {shown(name)};"
            " for several pass an object from names to rows"
        )
    return name


def describe(subject: str, detail: str | None) -> str:
    """Say in a few words what Flower shows of the job."""
    return f"{subject} · {detail}" if detail else subject


def _several(written: Mapping[str, Sequence[str]]) -> Job:
    parts = (f"{json.dumps(name)}: [{', '.join(texts)}]" for name, texts in written.items())
    arguments = f'{{"target": "{SEVERAL_TARGETS}", "rows": {{{", ".join(parts)}}}}}'
    subject = f"{SUBJECT_SEPARATOR} ".join(sorted(written))
    count = sum(map(len, written.values()))
    return Job(INGEST, arguments, describe(subject, _count(count)), count, tuple(written))


def _write_rows(
    where: str, row_or_rows: Any, columns: Sequence[str] | None, most: int
) -> Plan[list[str]]:
    texts: list[str] = []
    size = 0
    for number, row in enumerate(each_row(row_or_rows), start=1):
        if number > most:
            break
        place = f"{where}row {number}"
        texts.append(write_row(place, row_object(place, row, columns)))
        size += len(texts[-1])
        if size > MAX_BODY_BYTES:
            # Said now, before more of it is written.
            raise BadPayload(f"body must be at most {MAX_BODY_BYTES} bytes, got {size} and more")
        if number % ROWS_A_TURN == 0:
            yield Pause(0)
    else:
        if texts:
            return texts
    count = len(row_or_rows) if hasattr(row_or_rows, "__len__") else f"{len(texts)} or more"
    raise BadPayload(f"{where}rows must be 1 to {most}, got {count if texts else 0}")


def _count(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"

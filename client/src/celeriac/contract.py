"""What producers and workers agree on: names, states, limits, message fields.

Everything that crosses the wire is named here once. Producers in other
languages can read this file as the specification.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

INGEST = "celeriac.ingest"
INGEST_FILE = "celeriac.ingest_file"
REPORT = "celeriac.report"

QUEUES: Mapping[str, str] = MappingProxyType(
    {INGEST: "celeriac.ingest", INGEST_FILE: "celeriac.file", REPORT: "celeriac.report"}
)

#: How the names of our tasks begin, and of no others.
OUR_TASKS = "celeriac."

#: Positional arguments of a task, in order.
ARGUMENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        INGEST: ("target", "rows"),
        INGEST_FILE: ("target", "url", "format", "options"),
        REPORT: ("name", "params", "format", "fresh_for", "after", "tick"),
    }
)

#: The ``target`` of a job that brings rows for several: its ``rows`` are then an object, from
#: each target's name to its rows. The ledger's subject is the names, sorted, with this between.
SEVERAL_TARGETS = "*"
SUBJECT_SEPARATOR = ","

MAX_ROWS = 10_000
MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_ID_CHARACTERS = 200
#: How the ids of replayed rows begin, and of no other jobs.
REPLAY_IDS = "celeriac.replay-"

#: What a file may be written in, and all that its job may say of it beside that.
FILE_FORMATS = ("csv", "jsonl", "parquet")
FILE_OPTIONS = (
    "compression", "encoding", "bad_encoding", "delimiter", "quote", "escape", "null", "header",
    "columns", "rename", "chunk_bytes", "chunk_rows", "max_record_bytes", "max_bytes", "atomic",
)  # fmt: skip

#: Beside Celery's own in the third part of a message's body: the group that the job belongs to,
#: ``{"id", "size", "then": {"task", "kwargs", "id"}}``. Every job of a group says the same. When
#: ``size`` of them have committed, ``then`` is enqueued, once; its id is by default the group's
#: and this suffix.
GROUP = "celeriac_group"
THEN_SUFFIX = ":then"
MAX_GROUP_JOBS = 100_000
#: Of the continuation's arguments as JSON: every job of the group carries them.
MAX_THEN_BYTES = 8192

#: Redis key, in the broker's database, under which workers publish what they
#: serve: a JSON object ``{"targets": [...], "reports": [...], "report_forms": {...},
#: "result_db": n}``. ``result_db`` is null when results live on another server. The form of a
#: report is ``{"params": {name: {"type", "required", "values", "min", "max", "max_length"}},
#: "formats": [...]}``; of a parameter, only what it declares is there.
CATALOG_KEY = "celeriac:catalog"

#: Sorted set, in the broker's database, of the ids of jobs that must not start, each with the
#: server's time (ms) of the wish. Clients write it and forget what is older than this.
CANCELLED_KEY = "celeriac:cancelled"
CANCELLED_KEPT_SECONDS = 7 * 86_400

#: Header with the time of enqueueing, ISO 8601 with an offset; stock producers send none.
ENQUEUED_AT = "enqueued_at"

#: kombu keeps a list a priority: ``queue`` for the first step, ``queue + separator + step`` for
#: the others. 0 is the most urgent; a priority between two steps counts as the lower number.
PRIORITY_STEPS = (0, 3, 6, 9)
PRIORITY_SEPARATOR = "\x06\x16"

#: Prefix of the key that holds a result, as Celery's Redis backend writes it.
RESULT_KEY_PREFIX = "celery-task-meta-"
#: Status of a result that is none yet: its value tells how far the job is.
PROGRESS_STATUS = "PROGRESS"
#: How long a result is kept where the client writes it: for a job that it cancelled.
RESULT_KEPT_SECONDS = 86_400

#: The five ways in which a row of a job can end; they add up to the job's rows.
ACCOUNTS = ("inserted", "updated", "ignored", "superseded", "quarantined")


class State(str, Enum):
    """Where a job is; ``docs/states.md`` draws the moves."""

    UNKNOWN = "unknown"
    QUEUED = "queued"
    RESERVED = "reserved"
    RUNNING = "running"
    WORKING = "working"
    COMMITTED = "committed"
    DEAD = "dead"
    HELD = "held"
    CANCELLED = "cancelled"

    # Spelled out because producers may run on Python 3.10, which has no StrEnum.
    def __str__(self) -> str:
        return self.value


#: The states that the ledger stores; the others live in Redis.
LEDGER_STATES = frozenset({State.WORKING, State.COMMITTED, State.DEAD, State.HELD, State.CANCELLED})

#: Which state may follow which. ``docs/states.md`` and the ledger's CHECK say the same.
MOVES: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.UNKNOWN: frozenset(),
        State.QUEUED: frozenset({State.RESERVED, State.CANCELLED}),
        State.RESERVED: frozenset({State.RUNNING, State.QUEUED, State.CANCELLED}),
        State.RUNNING: frozenset(
            {State.COMMITTED, State.WORKING, State.QUEUED, State.DEAD, State.HELD, State.CANCELLED}
        ),
        State.WORKING: frozenset(
            {State.COMMITTED, State.QUEUED, State.DEAD, State.HELD, State.CANCELLED}
        ),
        State.COMMITTED: frozenset(),
        State.DEAD: frozenset({State.QUEUED, State.CANCELLED}),
        State.HELD: frozenset({State.QUEUED, State.CANCELLED}),
        State.CANCELLED: frozenset(),
    }
)

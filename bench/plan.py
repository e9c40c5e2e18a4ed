"""What a whole run measures, and what a quick one does."""

from dataclasses import dataclass

#: Of single jobs, by subjects; then of loads, by what is compared in each.
JOB_SCENARIOS = ("drain", "latency", "half", "far", "backlog", "ledger")
LOAD_SCENARIOS = (
    "files",
    "bad_files",
    "file_memory",
    "rows",
    "row_paths",
    "enqueue",
    "enqueue_commit",
    "reports",
    "report_memory",
    "small_reports",
)
SCENARIOS = (*JOB_SCENARIOS, *LOAD_SCENARIOS)
#: Backlogs and ledgers take long to make, reports of millions of rows to write.
GROWTH_RUNS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything; ``subjects`` are by scenario."""

    subjects: dict[str, tuple[str, ...]]
    jobs: int = 40_000
    runs: int = 5
    #: The same of files and ways of enqueueing.
    load_runs: int = 5
    latency_jobs: int = 500
    far_milliseconds: float = 2.0
    backlogs: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    ledger_rows: int = 10_000_000
    file_rows: int = 1_000_000
    #: In all jobs of many rows together.
    rows: int = 100_000
    enqueue_jobs: int = 50_000
    report_rows: int = 5_000_000
    small_reports: int = 500

    def narrowed(self, names: tuple[str, ...], scenarios: tuple[str, ...]) -> dict[str, list[str]]:
        """Return the scenarios to run with their subjects; those asked for by name replace ours."""
        chosen = [one for one in SCENARIOS if one in (scenarios or self.subjects)]
        found = {one: list(names or self.subjects.get(one, ())) for one in chosen}
        for one in LOAD_SCENARIOS:
            # What these compare has names of its own, and a file's size is no subject.
            possible = FULL.subjects[one]
            if one in found:
                found[one] = [name for name in found[one] if name in possible] or list(possible)
        return found


_CELERIAC = ("celeriac_1w1c", "celeriac")
FULL = Plan(
    subjects={
        "drain": (
            *("floor", "floor_uuid7"),
            *(*_CELERIAC, "celeriac_2w1c", "celeriac_2w2c"),
            *("celeriac_1w1c_uuid7", "celeriac_results", "celeriac_noevents"),
            *("celery_prefork", "celery_threads", "celery_batched"),
            *("dramatiq", "taskiq", "procrastinate"),
        ),
        "latency": (*("floor", *_CELERIAC, "celery_prefork", "dramatiq", "taskiq"),),
        "half": _CELERIAC,
        "far": ("floor", *_CELERIAC, "celery_prefork", "dramatiq"),
        "backlog": ("celeriac",),
        "ledger": ("celeriac",),
        "files": ("copy", "clean", "copy_upsert", "upsert", "bad"),
        "bad_files": ("type", "check", "not_null", "fk", "unique"),
        "file_memory": ("1000000", "20000000"),
        "rows": ("1", "10", "100", "1000"),
        "row_paths": tuple(
            f"{way}_{rows}" for rows in (10, 100, 1_000, 10_000) for way in ("statement", "copy")
        ),
        "enqueue": (
            *("floor", "send_task", "kombu_batch", "one", "many", "async_many", "outbox"),
            "outbox_to_commit",
        ),
        "enqueue_commit": tuple(
            f"{way}{connections}"
            for connections in (1, 8, 32)
            for way in ("", "joined_", "insert_")
        ),
        "reports": (
            *("copy", "csv", "csv.gz", "csv.zst", "jsonl", "parquet", "xlsx"),
            *("pandas_csv", "pandas_parquet"),
        ),
        "report_memory": ("csv", "csv.zst", "jsonl", "parquet", "xlsx"),
        "small_reports": ("celeriac", "celery"),
    },
)
QUICK = Plan(
    subjects={
        "drain": ("floor", *_CELERIAC, "celery_prefork", "dramatiq"),
        "latency": ("floor", "celeriac_1w1c", "dramatiq"),
        "files": ("copy", "clean", "copy_upsert", "upsert", "bad"),
        "enqueue": ("floor", "send_task", "one", "many", "outbox"),
        "reports": ("copy", "csv", "parquet", "pandas_parquet"),
    },
    jobs=5_000,
    runs=3,
    load_runs=1,
    latency_jobs=100,
    file_rows=200_000,
    enqueue_jobs=10_000,
    report_rows=300_000,
)

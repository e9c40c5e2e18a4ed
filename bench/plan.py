"""What a whole run measures, and what a quick one does."""

from dataclasses import dataclass

SCENARIOS = ("drain", "latency", "half", "far", "backlog", "ledger")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything; ``subjects`` are by scenario."""

    subjects: dict[str, tuple[str, ...]]
    jobs: int = 40_000
    runs: int = 5
    latency_jobs: int = 500
    far_milliseconds: float = 2.0
    backlogs: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    ledger_rows: int = 10_000_000

    def narrowed(self, names: tuple[str, ...], scenarios: tuple[str, ...]) -> dict[str, list[str]]:
        """Return the scenarios to run with their subjects; those asked for by name replace ours."""
        chosen = [one for one in SCENARIOS if one in (scenarios or self.subjects)]
        return {one: list(names or self.subjects.get(one, ())) for one in chosen}


_CELERIAC = ("celeriac_1w1c", "celeriac_1w2c")
FULL = Plan(
    subjects={
        "drain": (
            *("floor", "floor_uuid7"),
            *(*_CELERIAC, "celeriac_2w1c", "celeriac_2w2c"),
            *("celeriac_1w1c_uuid7", "celeriac_1w2c_results", "celeriac_1w2c_noevents"),
            *("celery_prefork", "celery_threads", "celery_batched"),
            *("dramatiq", "taskiq", "procrastinate"),
        ),
        "latency": (*("floor", *_CELERIAC, "celery_prefork", "dramatiq", "taskiq"),),
        "half": _CELERIAC,
        "far": ("floor", *_CELERIAC, "celery_prefork", "dramatiq"),
        "backlog": ("celeriac_1w2c",),
        "ledger": ("celeriac_1w2c",),
    },
)
QUICK = Plan(
    subjects={
        "drain": ("floor", *_CELERIAC, "celery_prefork", "dramatiq"),
        "latency": ("floor", "celeriac_1w1c", "dramatiq"),
    },
    jobs=5_000,
    latency_jobs=100,
)

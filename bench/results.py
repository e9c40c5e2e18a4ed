"""What a run found: values by scenario and subject, with their spread, as JSON."""

import json
import os
import platform
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, cast

from bench.servers import POSTGRES, Servers
from bench.target import Target


class Results:
    """Values of every run, gathered by key and subject."""

    def __init__(self, machine: dict[str, Any]) -> None:
        self._machine = machine
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._costs: dict[str, list[dict[str, float]]] = defaultdict(list)
        self.jobs: dict[str, int] = {}
        #: What went wrong, by subject.
        self.failed: dict[str, str] = {}

    def add(self, key: str, subject: str, value: float) -> None:
        """Take one run's value."""
        self._values[key][subject].append(value)

    def add_cost(self, subject: str, cost: dict[str, float]) -> None:
        """Take one run's cost."""
        self._costs[subject].append(cost)

    def median(self, key: str, subject: str) -> float | None:
        """Return the median of what was taken; None for nothing."""
        values = self._values.get(key, {}).get(subject)
        return median(values) if values else None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as it is written and printed."""
        measured = {
            key: {subject: _spread(values) for subject, values in by_subject.items()}
            for key, by_subject in self._values.items()
        }
        costs = {subject: _medians(found) for subject, found in self._costs.items()}
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": self._machine,
            "jobs": self.jobs,
            **measured,
            "cost_per_1000_jobs": costs,
            "failed": self.failed,
        }

    def write(self, path: Path) -> None:
        """Write the file anew."""
        path.write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")


def machine(servers: Servers) -> dict[str, Any]:
    """Say on what the figures were found."""
    valkey = cast("dict[str, str]", servers.redis.info("server"))
    with Target(servers.postgres.url()) as target:
        postgres = target.ask("SHOW server_version")
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        # Of the last minute, before anything was started: others' work spoils the figures.
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "postgres": postgres,
        "valkey": valkey.get("valkey_version", valkey["redis_version"]),
        "postgres_settings": POSTGRES,
        "valkey_settings": {"appendonly": "yes", "appendfsync": "everysec"},
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _spread(values: Sequence[float]) -> dict[str, Any]:
    rounded = [round(value, 2) for value in values]
    middle = round(median(values), 2)
    return {"median": middle, "min": min(rounded), "max": max(rounded), "runs": rounded}


def _medians(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(median(one[name] for one in found), 4) for name in found[0]}

"""What a run cost: processor time by who spent it, WAL, transactions, Redis, memory."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

import psutil

from bench.crew import Crew
from bench.target import Target


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment; the difference of two is what happened between them.

    ``transactions`` are those that wrote. ``redis_reads`` are the times Redis
    read from a client, which is round trips, where a client waits for its answer.
    """

    main_cpu_seconds: float
    child_cpu_seconds: float
    postgres_cpu_seconds: float
    redis_cpu_seconds: float
    wal_bytes: float
    transactions: float
    redis_commands: float
    redis_reads: float

    def per_thousand(self, before: "Reading", jobs: int) -> dict[str, float]:
        """Return what happened since an earlier reading, for each 1,000 jobs."""
        return {
            one.name: round((getattr(self, one.name) - getattr(before, one.name)) * 1000 / jobs, 4)
            for one in fields(self)
        }


def read(crew: Crew, target: Target) -> Reading:
    """Read all counters."""
    servers = crew.servers
    redis = cast("dict[str, float]", servers.redis.info("stats"))
    wal = target.ask("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
    transactions = target.ask("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    return Reading(
        main_cpu_seconds=_cpu(crew.main_pids),
        child_cpu_seconds=_cpu(crew.child_pids),
        postgres_cpu_seconds=_cpu_of_family(servers.postgres.pid),
        redis_cpu_seconds=_cpu([servers.valkey.pid]),
        wal_bytes=float(wal),
        transactions=float(transactions),
        redis_commands=float(redis["total_commands_processed"]),
        redis_reads=float(redis["total_reads_processed"]),
    )


def peak_memory_mb(crew: Crew) -> float:
    """Return the greatest resident memory of each process, added up; shared pages count often."""
    return round(sum(_peak_kb(pid) for pid in (*crew.main_pids, *crew.child_pids)) / 1024, 1)


def peak_memory_mb_of(pid: int) -> float:
    """Return the greatest resident memory that a process ever had, by the kernel's own book."""
    return round(_peak_kb(pid) / 1024, 1)


def _cpu(pids: Iterable[int]) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(one.user + one.system for one in times))


def _cpu_of_family(pid: int) -> float:
    parent = psutil.Process(pid)
    # Of sessions that have ended, the first process keeps the account.
    ended = parent.cpu_times()
    living = [pid, *(child.pid for child in parent.children(recursive=True))]
    return _cpu(living) + float(ended.children_user + ended.children_system)


def _peak_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0

"""The scenarios: which runs are made, in which order, and under which key their values go.

Runs are interleaved, A B A B, so that what the machine does meanwhile falls on all alike.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from bench.drain import Drained, drain
from bench.ground import Ground, RunFailed
from bench.latency import loaded, lone, percentile
from bench.messages import WARM_UP, Messages, multiply
from bench.plan import GROWTH_RUNS, Plan
from bench.progress import say
from bench.results import Results
from bench.servers import TEMPLATE
from bench.subjects import Subject

#: Slow subjects drain a part of the jobs, but never so few that starting is what is measured.
LEAST_JOBS = 500


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that a scenario needs."""

    ground: Ground
    messages: Messages
    results: Results
    plan: Plan

    def run(self, scenario: str, subjects: Sequence[Subject]) -> None:
        """Run one scenario with its subjects."""
        runs: dict[str, Callable[[Sequence[Subject]], None]] = {
            "drain": self._drains,
            "latency": self._latencies,
            "half": self._half_loads,
            "far": self._far_drains,
            "backlog": self._backlogs,
            "ledger": self._ledgers,
        }
        runs[scenario](subjects)

    def _drains(self, subjects: Sequence[Subject]) -> None:
        for subject in self._interleaved(subjects, self.plan.runs):
            with self._failing_loudly("drain", subject):
                found = self._drain(subject, self._messages(subject))
                self.results.jobs[subject.name] = found.jobs
                self.results.add("drain_jobs_per_s", subject.name, found.jobs_per_s)
                self.results.add_cost(subject.name, found.cost)

    def _far_drains(self, subjects: Sequence[Subject]) -> None:
        key = f"drain_{self.plan.far_milliseconds:g}ms_jobs_per_s"
        for subject in self._interleaved(subjects, self.plan.runs):
            with self._failing_loudly(key, subject):
                messages = self._messages(subject, subject.far_share)
                found = self._drain(subject, messages, self.plan.far_milliseconds)
                self.results.add(key, subject.name, found.jobs_per_s)

    def _latencies(self, subjects: Sequence[Subject]) -> None:
        for subject in self._interleaved(subjects, self.plan.runs):
            with self._failing_loudly("latency", subject):
                messages = self.messages.of(subject, self.plan.latency_jobs)
                place = self.ground.servers.fresh()
                found = lone(self.ground, subject, place, messages)
                self._add_latencies("latency_ms", subject, found)

    def _half_loads(self, subjects: Sequence[Subject]) -> None:
        for subject in self._interleaved(subjects, self.plan.runs):
            with self._failing_loudly("half", subject):
                top = self.results.median("drain_jobs_per_s", subject.name)
                if top is None:
                    raise RunFailed(f"half of what? run drain with {subject.name} too")
                messages, place = self._messages(subject), self.ground.servers.fresh()
                found = loaded(self.ground, subject, place, messages, rate=top / 2)
                self.results.add("half_load_jobs_per_s", subject.name, top / 2)
                self._add_latencies("half_load_latency_ms", subject, found)

    def _backlogs(self, subjects: Sequence[Subject]) -> None:
        for jobs in self.plan.backlogs:
            many: dict[str, list[object]] = {}
            for subject in self._interleaved(subjects, min(self.plan.runs, GROWTH_RUNS)):
                with self._failing_loudly(f"backlog {jobs}", subject):
                    stock = self.messages.of(subject, 1)[0]
                    if subject.messages not in many:
                        many[subject.messages] = multiply(cast("bytes", stock), jobs + WARM_UP)
                    found = self._drain(subject, many[subject.messages])
                    self.results.add(f"backlog_{jobs}_jobs_per_s", subject.name, found.jobs_per_s)

    def _ledgers(self, subjects: Sequence[Subject]) -> None:
        for rows in (0, self.plan.ledger_rows):
            for subject in self._interleaved(subjects, min(self.plan.runs, GROWTH_RUNS)):
                with self._failing_loudly(f"ledger {rows}", subject):
                    found = self._drain(subject, self._messages(subject), ledger_rows=rows)
                    self.results.add(f"ledger_{rows}_jobs_per_s", subject.name, found.jobs_per_s)

    def _drain(
        self,
        subject: Subject,
        messages: Sequence[object],
        far_milliseconds: float = 0,
        ledger_rows: int = 0,
    ) -> Drained:
        servers = self.ground.servers
        kind = "uuid7" if "uuid7" in subject.name else "uuid4"
        template = servers.with_ledger(kind, ledger_rows) if ledger_rows else TEMPLATE
        place = servers.fresh(template)
        with servers.behind(place, far_milliseconds) as seen:
            found = drain(self.ground, subject, seen, messages)
        say(f"{subject.name}: {found.jobs} jobs, {found.jobs_per_s:,.0f} jobs/s")
        return found

    def _messages(self, subject: Subject, share: float | None = None) -> list[object]:
        part = int(self.plan.jobs * (share or subject.share))
        jobs = max(part, min(LEAST_JOBS, self.plan.jobs))
        return self.messages.of(subject, jobs)

    def _add_latencies(self, key: str, subject: Subject, found: Sequence[float]) -> None:
        p50, p99 = percentile(found, 0.50), percentile(found, 0.99)
        self.results.add(f"{key}.p50", subject.name, p50)
        self.results.add(f"{key}.p99", subject.name, p99)
        say(f"{subject.name}: {len(found)} jobs, p50 {p50:.2f} ms, p99 {p99:.2f} ms")

    def _interleaved(self, subjects: Sequence[Subject], runs: int) -> Iterator[Subject]:
        for number in range(1, runs + 1):
            say(f"round {number} of {runs}")
            yield from (one for one in subjects if one.name not in self.results.failed)

    @contextmanager
    def _failing_loudly(self, scenario: str, subject: Subject) -> Iterator[None]:
        # The others are still worth measuring, without this one; the command fails at its end.
        try:
            yield
        except RunFailed as failure:
            self.results.failed[subject.name] = f"{scenario}: {failure}"
            say(f"FAILED {scenario} {subject.name}: {failure}")

"""The scenarios beside single jobs: files, jobs of many rows, ways of enqueueing, reports."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import files, reports, row_paths, small_reports
from bench.drain import drain
from bench.enqueue import caller_commit_ratio, enqueue, outbox_to_commit
from bench.flights import write_file
from bench.ground import Ground, RunFailed
from bench.messages import WARM_UP
from bench.plan import GROWTH_RUNS, Plan
from bench.progress import say
from bench.results import Results
from bench.subjects import find
from bench.subjects.celeriac import ingest_queue, produce

WORKER = "celeriac"
#: One-row jobs are drained elsewhere too.
MOST_JOBS = 20_000
#: Of few rows each.
MOST_BATCHES = 2_000
#: The way whose jobs are followed to their rows.
TO_COMMIT = "outbox_to_commit"


@dataclass(frozen=True, slots=True)
class Loads:
    """Everything that these scenarios need."""

    ground: Ground
    results: Results
    plan: Plan
    _messages: dict[int, list[object]] = field(default_factory=dict)

    def run(self, scenario: str, names: Sequence[str]) -> None:
        """Run one scenario with what it compares."""
        runs: Mapping[str, Callable[[Sequence[str]], None]] = {
            "files": self._files,
            "bad_files": self._bad_files,
            "file_memory": self._memory,
            "rows": self._rows,
            "row_paths": self._row_paths,
            "enqueue": self._enqueue,
            "enqueue_commit": self._enqueue_commit,
            "reports": self._reports,
            "report_memory": self._report_memory,
            "small_reports": self._small_reports,
        }
        runs[scenario](names)

    def _files(self, names: Sequence[str]) -> None:
        clean = self._file(self.plan.file_rows)
        bad = self._file(self.plan.file_rows, "type")
        for name in self._interleaved("files", names, self.plan.load_runs):
            with self._failing_loudly("files", name):
                found = self._load(name, bad if name == "bad" else clean)
                self._add("file_rows_per_s", name, found.rows_per_s)

    def _bad_files(self, kinds: Sequence[str]) -> None:
        found = {kind: self._file(self.plan.file_rows, kind) for kind in kinds}
        for kind in self._interleaved("bad_files", kinds, self.plan.load_runs):
            with self._failing_loudly("bad_files", kind):
                loaded = self._load("bad", found[kind])
                self._add("file_bad_rows_per_s", kind, loaded.rows_per_s)

    def _memory(self, sizes: Sequence[str]) -> None:
        for size in sizes:
            rows = int(size)
            path = self._file(rows)
            with self._failing_loudly("file_memory", size):
                place = self.ground.servers.fresh()
                loaded = files.load(self.ground, place, files.TABLE, path, rows)
                self._add("file_peak_mb", size, loaded.peak_mb)
            path.unlink()

    def _rows(self, sizes: Sequence[str]) -> None:
        """Drain jobs of so many rows each."""
        for size in self._interleaved("rows", sizes, self.plan.load_runs):
            with self._failing_loudly("rows", size):
                messages = self._jobs_of(int(size))
                jobs = len(messages) - WARM_UP
                place = self.ground.servers.fresh()
                seconds = drain(
                    self.ground, find(WORKER), place, messages, rows_a_job=int(size)
                ).seconds
                self._add("rows_per_s", size, jobs * int(size) / seconds)

    def _row_paths(self, names: Sequence[str]) -> None:
        for name in self._interleaved("row_paths", names, self.plan.load_runs):
            way, rows_a_batch = name.split("_")
            rows = min(self.plan.rows, int(rows_a_batch) * MOST_BATCHES)
            place = self.ground.servers.fresh()
            rate = row_paths.rows_per_s(place, way, int(rows_a_batch), rows)
            self._add("row_path_rows_per_s", name, rate)

    def _enqueue(self, ways: Sequence[str]) -> None:
        jobs = self.plan.enqueue_jobs
        for way in self._interleaved("enqueue", ways, self.plan.load_runs):
            with self._failing_loudly("enqueue", way):
                place = self.ground.servers.fresh()
                if way == TO_COMMIT:
                    rate = outbox_to_commit(self.ground, find(WORKER), place, jobs)
                    self._add("outbox_to_commit_per_s", WORKER, rate)
                else:
                    self._add("enqueue_per_s", way, enqueue(self.ground, place, way, jobs))

    def _enqueue_commit(self, names: Sequence[str]) -> None:
        for name in self._interleaved("enqueue_commit", names, self.plan.load_runs):
            with self._failing_loudly("enqueue_commit", name):
                place = self.ground.servers.fresh()
                ratio = caller_commit_ratio(self.ground, place, name)
                self.results.add("caller_commit_ratio", name, ratio)
                say(f"caller_commit_ratio {name}: {ratio:.2f}")

    def _reports(self, names: Sequence[str]) -> None:
        for name in self._interleaved("reports", names, min(self.plan.load_runs, GROWTH_RUNS)):
            with self._failing_loudly("reports", name):
                made = reports.make(self.ground, name, self.plan.report_rows)
                self._add("report_rows_per_s", name, made.rows_per_s)

    def _report_memory(self, formats: Sequence[str]) -> None:
        for name in formats:
            most = min(self.plan.report_rows, reports.MOST_ROWS.get(name, self.plan.report_rows))
            for rows in (most // 10, most):
                with self._failing_loudly("report_memory", name):
                    made = reports.make(self.ground, name, rows)
                    self._add("report_peak_mb", f"{name}.{rows}", made.peak_mb)

    def _small_reports(self, names: Sequence[str]) -> None:
        for name in self._interleaved("small_reports", names, self.plan.load_runs):
            with self._failing_loudly("small_reports", name):
                rate = small_reports.per_second(self.ground, name, self.plan.small_reports)
                self._add("small_reports_per_s", name, rate)

    def _load(self, name: str, path: Path) -> files.Loaded:
        place = self.ground.servers.fresh()
        rows = self.plan.file_rows
        if "upsert" in name:
            files.fill_half(place, path)
        if name == "copy":
            return files.copy(place, path, rows)
        if name == "copy_upsert":
            return files.copy_upsert(place, path, rows)
        target = files.UPSERT if name == "upsert" else files.TABLE
        loaded = files.load(self.ground, place, target, path, rows)
        if name == "bad":
            files.verify_bad(place, rows)
        return loaded

    def _file(self, rows: int, bad: str | None = None) -> Path:
        path = self.ground.folder / "inbox" / f"flights-{rows}-{bad or 'clean'}.csv"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            say(f"{path.name}: writing")
            write_file(path, rows, bad)
        return path

    def _jobs_of(self, rows_a_job: int) -> list[object]:
        """Return jobs of that many rows each, and one-row jobs to warm up, of stock Celery's."""
        if rows_a_job not in self._messages:
            jobs = min(MOST_JOBS, max(1, self.plan.rows // rows_a_job))
            place, subject = self.ground.servers.fresh(), find(WORKER)
            command = produce("uuid4", "ignore", place, jobs + WARM_UP)
            self.ground.ask(subject, place, (*command, str(WARM_UP), str(rows_a_job)))
            queue = ingest_queue(self.ground.servers.redis, place)
            self._messages[rows_a_job] = queue.take()
        return self._messages[rows_a_job]

    def _add(self, key: str, name: str, value: float) -> None:
        self.results.add(key, name, value)
        say(f"{key} {name}: {value:,.0f}")

    def _interleaved(self, scenario: str, names: Sequence[str], runs: int) -> Iterator[str]:
        for number in range(1, runs + 1):
            say(f"round {number} of {runs}")
            yield from (one for one in names if f"{scenario} {one}" not in self.results.failed)

    @contextmanager
    def _failing_loudly(self, scenario: str, name: str) -> Iterator[None]:
        try:
            yield
        except RunFailed as failure:
            self.results.failed[f"{scenario} {name}"] = str(failure)
            say(f"FAILED {scenario} {name}: {failure}")

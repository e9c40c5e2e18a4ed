"""Files of reports after they are published: kept, verified, removed, each accounted for."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from postgres.pool import Pool, PoolLimits
from postgres.purge import Horizon, purge
from postgres.report_files import Chosen, Keep, ledger_id
from postgres.transaction import transaction
from tasks.reports.artifacts.archive import Archive, artifact_of, open_archive
from tasks.reports.artifacts.artifact import drafted
from tasks.stores import StoreTrouble
from tests.acceptance.console import Console, console_on
from tests.integration.shop import query
from worker.artifacts.at_hand import archive_at_hand
from worker.artifacts.removal import (
    expire,
    remove_expired,
    remove_found,
    stale_drafts,
    uncounted,
    would_expire,
)
from worker.artifacts.retention import SWEEP_PAUSE_SECONDS, ArtifactRetention
from worker.artifacts.verify import Fault, verify

DAY = 86_400.0
KEEP = Keep(days=30)


@dataclass
class Cellar:
    """A ledger and the folder of its files."""

    database: str
    pool: Pool
    root: Path

    @property
    def archive(self) -> Archive:
        """The files, as a command finds them."""
        return open_archive(str(self.root))

    def put(
        self, job_id: str, report: str = "sales", *, days: float = 0, count: bool = True
    ) -> Path:
        """Publish a file so many days ago; unless it is to count, no run says so."""
        with transaction(self.pool) as cursor:
            ledger = ledger_id(cursor)
        with drafted(str(self.root), report, job_id, "csv") as draft:
            draft.file.write(job_id.encode())
            draft.seal()
            draft.publish({"ledger": ledger})
        if count:
            self.count(job_id, report, draft.url, draft.size_bytes, draft.sha256, days)
        path = Path(draft.url.removeprefix("file://"))
        age(path, days)
        return path

    def count(  # noqa: PLR0917 - the facts of a run
        self,
        job_id: str,
        report: str,
        url: str,
        size: int = 1,
        sha: str = "0" * 64,
        days: float = 0,
    ) -> None:
        """Write down a job and its run."""
        query(
            self.database,
            "INSERT INTO celeriac.job"
            " (id, task, subject, state, batch, digest, worker, committed_at)"
            " VALUES (%s, 'celeriac.report', %s, 'committed', 1, '', 'test',"
            " now() - %s * interval '1 day')",
            (job_id, report, days),
        )
        query(
            self.database,
            "INSERT INTO celeriac.report_run (job_id, report, params, format, url, rows, bytes,"
            " sha256, snapshot, started_at, finished_at) SELECT %s, %s, '{}', 'csv', %s, 0, %s, %s,"
            " '1:1:', at, at FROM (SELECT now() - %s * interval '1 day') AS time (at)",
            (job_id, report, url, size, sha, days),
        )

    def runs(self) -> list[tuple[Any, ...]]:
        """Return each run, whether it was given up, and whether its file is said to be gone."""
        return query(
            self.database,
            "SELECT job_id, expired_at IS NOT NULL, removed_at IS NOT NULL"
            " FROM celeriac.report_run ORDER BY job_id",
        )

    def sweep(self, keep: Keep = KEEP) -> list[str | None]:
        """Give up what is due and remove it; return why what was left is left."""
        expire(keep, self.pool)
        return [one.left for one in remove_expired(self.archive, self.pool)]

    def files(self) -> set[str]:
        """Name every file by its place."""
        found = (path for path in self.root.rglob("*") if path.is_file())
        return {path.relative_to(self.root).as_posix() for path in found}


@pytest.fixture
def cellar(database: str, tmp_path: Path) -> Iterator[Cellar]:
    """No file yet."""
    pool = Pool(database, PoolLimits(size=1))
    yield Cellar(database, pool, tmp_path / "artifacts")
    pool.close()


def age(path: Path, days: float) -> None:
    """Let a file and its manifest be as old as that."""
    at = time.time() - days * DAY
    for one in (path, path.with_name(f"{path.name}.json")):
        if one.exists():
            os.utime(one, (at, at))


def test_old_files_go_and_young_ones_stay(cellar: Cellar) -> None:
    """Age decides; a file goes with its manifest, and its run says so."""
    old, young = cellar.put("a", days=31), cellar.put("b", days=29)

    left = cellar.sweep()

    assert [None] == left
    assert (False, True) == (old.exists(), young.exists())
    assert {f"sales/{young.name}", f"sales/{young.name}.json"} == cellar.files()
    assert [("a", True, True), ("b", False, False)] == cellar.runs()


def test_number_of_files_counts_by_report(cellar: Cellar) -> None:
    """Of each report the newest stay; none goes while a result may still name it."""
    for number in range(4):
        cellar.put(f"a{number}", "sales", days=9 - number)
        cellar.put(f"b{number}", "other", days=0.1 * (9 - number))

    cellar.sweep(Keep(days=30, runs=2))

    given_up = [job_id for job_id, expired, _ in cellar.runs() if expired]
    assert ["a0", "a1"] == given_up


def test_nothing_is_kept_by_no_bound(cellar: Cellar) -> None:
    """Without bounds nothing is given up, and a look beforehand changes nothing."""
    cellar.put("a", days=3_000)

    cellar.sweep(Keep())
    seen = [one.job_id for one in would_expire(KEEP, cellar.pool)]

    assert (["a"], [("a", False, False)]) == (seen, cellar.runs())


def test_removal_goes_on_after_a_death(cellar: Cellar) -> None:
    """Whoever dies between giving up, removing and noting leaves no run that claims its file."""
    cellar.put("a", days=31)
    gone = cellar.put("b", days=31)
    expire(KEEP, cellar.pool)
    gone.unlink()
    said = cellar.runs()

    first, second = (list(remove_expired(cellar.archive, cellar.pool)) for _ in range(2))

    assert [("a", True, False), ("b", True, False)] == said
    assert (2, 0, set()) == (len(first), len(second), cellar.files())
    assert [("a", True, True), ("b", True, True)] == cellar.runs()


def test_two_removers_at_once(cellar: Cellar) -> None:
    """A file that another one removed meanwhile is fine, and noted once."""
    for number in range(3):
        cellar.put(f"a{number}", days=31)
    expire(KEEP, cellar.pool)
    archive = cellar.archive
    for found in list(archive.published()):
        archive.remove(artifact_of(found))

    left = [one.left for one in remove_expired(archive, cellar.pool)]

    assert [None] * 3 == left


@pytest.mark.parametrize(
    "url", ["file:///{tmp}/secret", "file://{root}/../secret", "s3://b/sales/x"]
)
def test_only_files_of_ours_are_removed(cellar: Cellar, tmp_path: Path, url: str) -> None:
    """A run whose URL is no place of ours is left alone, with words, and so is what it names."""
    cellar.put("b", days=31)
    secret = tmp_path / "secret"
    secret.write_text("mine")
    cellar.count("a", "sales", url.format(tmp=tmp_path, root=cellar.root), days=31)

    left = cellar.sweep()

    assert "mine" == secret.read_text()
    assert [("a", True, False), ("b", True, True)] == cellar.runs()
    assert ["its URL is no place below ARTIFACTS where a worker would write", None] == left


def test_linked_folder_is_left_alone(cellar: Cellar, tmp_path: Path) -> None:
    """Nothing is removed through a link that leads out of the folder."""
    path = cellar.put("a", days=31)
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(tmp_path / "elsewhere")

    (left,) = cellar.sweep()

    assert left is not None
    assert "nothing is touched there" in left
    assert path.exists()


def test_rows_of_one_file_go_together(cellar: Cellar) -> None:
    """Where an earlier version wrote several rows for a file, none outlives it."""
    path = cellar.put("a", days=31)
    cellar.count("b", "sales", f"file://{path}", days=1)

    cellar.sweep()

    assert [("a", True, True), ("b", True, True)] == cellar.runs()


def test_files_that_nobody_counts(cellar: Cellar) -> None:
    """Only old ones of this ledger are found; runs' files, strangers' and young ones are not."""
    counted = cellar.put("a", days=9)
    orphan = cellar.put("b", days=9, count=False)
    cellar.put("c", count=False)
    strangers = cellar.put("d", days=9, count=False)
    strangers.with_name(f"{strangers.name}.json").write_text('{"ledger": "another"}')
    bare = cellar.put("e", days=9, count=False)
    bare.with_name(f"{bare.name}.json").unlink()
    torn = cellar.put("f", days=9, count=False)
    torn.unlink()
    (counted.parent / "notes.csv").write_text("mine")
    for path in (strangers, counted.parent / "notes.csv"):
        age(path, 9)
    old = time.time() - DAY

    found = {one.place for one in uncounted(cellar.archive, cellar.pool, old)}
    list(remove_found(uncounted(cellar.archive, cellar.pool, old), cellar.archive))

    assert {f"sales/{orphan.name}", f"sales/{torn.name}.json"} == found
    assert not {one for one in cellar.files() if orphan.name in one or torn.name in one}
    assert {"sales/notes.csv", f"sales/{strangers.name}", f"sales/{bare.name}"} < cellar.files()


def test_folder_by_another_name_still_counts(cellar: Cellar) -> None:
    """Files that runs name by another path of the same folder are not taken for left over."""
    path = cellar.put("a", days=9, count=False)
    cellar.count("a", "sales", f"file:///mnt/elsewhere/sales/{path.name}", days=9)

    found = list(uncounted(cellar.archive, cellar.pool, time.time()))

    assert [] == found


def test_stale_drafts_go(cellar: Cellar) -> None:
    """A draft that nobody has written to for long is removed, another is not."""
    cellar.put("a")
    drafts = cellar.root / ".drafts"
    names = [f"{letter * 32}.0123456789abcdef.csv" for letter in "ab"]
    for name in (*names, "notes"):
        (drafts / name).write_text("half")
    for name in (names[0], "notes"):
        age(drafts / name, 2)

    removed = list(remove_found(stale_drafts(cellar.archive, time.time() - DAY), cellar.archive))

    assert 1 == len(removed)
    assert {names[1], "notes"} == {path.name for path in drafts.iterdir()}


def test_verify_tells_each_fault(cellar: Cellar) -> None:
    """Missing, changed and misplaced files are told apart; what is whole is not mentioned."""
    missing, longer, flipped = (cellar.put(name) for name in ("a", "b", "c"))
    cellar.put("d")
    missing.unlink()
    longer.write_bytes(b"bb")
    flipped.write_bytes(b"C")
    cellar.count("e", "sales", "file:///etc/passwd")
    expire(Keep(days=30), cellar.pool)
    seen: list[int] = []

    findings = list(verify(Chosen(), cellar.archive, cellar.pool, seen.append))

    expected = [
        ("a", Fault.MISSING),
        ("b", Fault.CHANGED),
        ("c", Fault.CHANGED),
        ("e", Fault.ELSEWHERE),
    ]
    assert expected == [(one.job_id, one.fault) for one in findings]
    assert 5 == sum(seen)


def test_folder_of_another_machine_is_not_taken_for_empty(cellar: Cellar, tmp_path: Path) -> None:
    """Where no worker writes, nothing is said to be gone."""
    cellar.put("a", days=31)
    expire(Keep(days=40), cellar.pool)
    retention = ArtifactRetention(str(tmp_path / "other"), KEEP, cellar.pool)

    with pytest.raises(StoreTrouble, match="1 files count: run this where"):
        archive_at_hand(str(tmp_path / "other"), cellar.pool)
    with pytest.raises(StoreTrouble, match="no worker writes into"):
        retention.turn()

    assert [("a", True, False)] == cellar.runs()


def test_relay_removes_in_passing(cellar: Cellar) -> None:
    """A turn of the retention removes what is due, and rests until the next sweep."""
    cellar.put("a", days=31)

    pause = ArtifactRetention(str(cellar.root), KEEP, cellar.pool).turn()

    assert (SWEEP_PAUSE_SECONDS, set()) == (pause, cellar.files())


def test_runs_are_forgotten_long_after_their_files(cellar: Cellar) -> None:
    """A run whose file is gone for a horizon goes, and its job after it; others stay."""
    for job_id in "ab":
        cellar.put(job_id, days=100)
    cellar.sweep()
    query(
        cellar.database,
        "UPDATE celeriac.report_run SET removed_at = now() - interval '31 days' WHERE job_id = 'a'",
    )

    for _ in range(2):
        with transaction(cellar.pool) as cursor:
            purge(Horizon(30), 0, cursor)

    assert ["b"] == [job_id for job_id, *_ in cellar.runs()]
    assert [("b",)] == query(cellar.database, "SELECT id FROM celeriac.job ORDER BY id")


def test_commands_verify_and_purge(cellar: Cellar) -> None:
    """`reports verify` ends with 1 and an object for each fault; `reports purge` removes."""
    due, orphan = cellar.put("a", days=200), cellar.put("b", days=9, count=False)

    with console_of(cellar) as console:
        before = console.run("reports", "verify", "--json")
        look = console.run("reports", "purge", "--dry-run")
        files = cellar.files()
        done = console.run("reports", "purge")

    faults = [json.loads(line)["fault"] for line in before.stdout.splitlines()]
    assert (1, ["uncounted"]) == (before.returncode, faults)
    assert due.name in look.stdout
    assert orphan.name in look.stdout
    assert 4 == len(files)
    assert (0, set()) == (done.returncode, cellar.files())
    assert "1 file removed: too old or too many" in done.stdout
    assert "1 file removed: not counted by any run" in done.stdout


@contextmanager
def console_of(cellar: Cellar) -> Iterator[Console]:
    """Let an operator type commands on the cellar."""
    env = {
        "CELERIAC_BROKER_URL": "redis://localhost/0",
        "CELERIAC_RESULT_URL": "redis://localhost/1",
        "CELERIAC_DATABASE_URL": cellar.database,
        "CELERIAC_ARTIFACTS": str(cellar.root),
    }
    with console_on(env) as console:
        yield console

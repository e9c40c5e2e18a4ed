"""A file that takes long to be put into its store: the run lives meanwhile, and says so."""

import json
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from tasks.reports.artifacts.artifact import drafted, stem_of
from tests.integration.batches import body_of, child_on, settle_each
from tests.integration.press import NUMBERS
from tests.integration.shop import query
from tests.waiting import wait_for
from worker.delivery import Delivery, Fate

#: Far more than the time between two beats, and less than anybody wants to wait for a failure.
PATIENCE_SECONDS = 20.0
#: When the session that has the job's lock spoke last, unless it stands in a transaction.
SPOKE = """
SELECT state_change FROM pg_stat_activity JOIN pg_locks USING (pid)
WHERE locktype = 'advisory' AND granted AND state = 'idle' AND datname = current_database()
"""
ASK = Delivery("a", "celeriac.report", body_of({"name": "numbers"}), takes_long=True)


class Watched(MemoryFileSystem):
    """A store that takes a file only when the run of its job was heard again meanwhile."""

    protocol = "watched"
    database: ClassVar[str]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("watched://", "memory://")))

    def put_file(self, lpath: str, rpath: str, **more: Any) -> None:
        first = wait_for(self._spoke, PATIENCE_SECONDS, "the run between two beats")
        wait_for(lambda: self._spoke() > first, PATIENCE_SECONDS, "another beat")
        super().put_file(lpath, rpath, **more)

    def _spoke(self) -> list[tuple[Any, ...]]:
        return query(self.database, SPOKE)


fsspec.register_implementation("watched", Watched, clobber=True)


def test_run_speaks_while_its_file_is_put(database: str, tmp_path: Path) -> None:
    """No transaction on the ledger is open, and who looks for silent runs finds none."""
    Watched.database = database
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "numbers.sql").write_text(NUMBERS)
    (tmp_path / "targets.toml").touch()

    with child_on(database, "watched://reports", catalog=tmp_path) as child:
        (settled,) = settle_each(child, ASK)
    store = MemoryFileSystem()
    name = (settled.result or {"url": ""})["url"].rpartition("/")[2]
    manifest = json.loads(store.cat_file(f"/reports/numbers/{name}.json"))
    runs = query(
        database, "SELECT sha256, id::text FROM celeriac.report_run, celeriac.ledger_identity"
    )

    assert (Fate.COMMITTED, None) == (settled.fate, settled.error)
    assert b"n\n1\n2\n3\n" == store.cat_file(f"/reports/numbers/{name}")
    assert [(manifest["sha256"], manifest["ledger"])] == runs


class Picky(MemoryFileSystem):
    """A store that never takes the file of one job."""

    protocol = "picky"
    refused: ClassVar[str] = stem_of("refused")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("picky://", "memory://")))

    def put_file(self, lpath: str, rpath: str, **more: Any) -> None:
        if self.refused in rpath:
            raise PermissionError("not this one")
        super().put_file(lpath, rpath, **more)


fsspec.register_implementation("picky", Picky, clobber=True)


def test_refused_file_is_its_own_reports_trouble(database: str, tmp_path: Path) -> None:
    """Small reports that go together wait or commit each by itself."""
    (tmp_path / "reports").mkdir()
    for name in ("numbers", "others"):
        (tmp_path / "reports" / f"{name}.sql").write_text(NUMBERS)
    (tmp_path / "targets.toml").touch()

    with child_on(database, "picky://picked", catalog=tmp_path, company_seconds=60) as child:
        refused, taken = settle_each(
            child,
            Delivery("refused", "celeriac.report", body_of({"name": "numbers"})),
            Delivery("taken", "celeriac.report", body_of({"name": "others"})),
        )

    assert (Fate.TAKEN, Fate.COMMITTED) == (refused.fate, taken.fate)
    assert "PermissionError: not this one" in str(refused.error)
    assert [("taken",)] == query(database, "SELECT job_id FROM celeriac.report_run")
    assert 2 == len(MemoryFileSystem().find("/picked"))


def test_what_is_sent_and_not_published_does_not_stay() -> None:
    """Nobody would count it: whoever gives up takes it back."""
    with drafted("memory://given-up", "numbers", "a", "csv") as draft:
        draft.file.write(b"n\n")
        draft.seal()
        draft.prepare({})
        draft.sync()
        sent = MemoryFileSystem().find("/given-up")

    assert 2 == len(sent)
    assert [] == MemoryFileSystem().find("/given-up")


def test_what_was_sent_for_nothing_is_taken_back() -> None:
    """Neither the file nor its manifest stays in the store; publishing puts nothing twice."""
    store = MemoryFileSystem()
    with drafted("memory://taken", "numbers", "a", "csv") as draft:
        draft.file.write(b"n\n")
        draft.seal()
        draft.prepare({})
        draft.sync()
        sent = store.find("/taken")
        draft.publish({"put": "again"})
        texts = {store.cat_file(path) for path in sent}
        draft.withdraw()

    assert {b"n\n", b"{}\n"} == texts
    assert [] == store.find("/taken")

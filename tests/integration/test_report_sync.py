"""Files of small reports are brought to the disk together, while others are written."""

from pathlib import Path

from tasks.reports.artifacts.artifact import Drafting
from tasks.reports.artifacts.draft import Draft
from tasks.reports.artifacts.local_draft import LocalDraft
from tasks.reports.artifacts.sync_ahead import SyncAhead

#: One call's worth for a thread, and some that are left for who waits.
NUMBER = LocalDraft.synced_by_one_call + 3


def prepared(drafting: Drafting, number: int) -> Draft:
    draft = drafting.begin("small", f"job-{number}", "csv")
    draft.file.write(b"n\n")
    draft.seal()
    draft.prepare({"number": number})
    return draft


def test_all_are_ready_when_somebody_waited(tmp_path: Path) -> None:
    """Those that a thread has, and those that are too few for one; none is seen yet."""
    with Drafting(str(tmp_path)) as drafting, SyncAhead() as ahead:
        drafts = [prepared(drafting, number) for number in range(NUMBER)]
        for draft in drafts:
            ahead.take(draft)
        troubles = ahead.wait()
        seen = list((tmp_path / "small").iterdir())
        for draft in drafts:
            draft.show()

    assert ({}, []) == (troubles, seen)
    assert {True} == {draft.is_ready for draft in drafts}
    assert 2 * NUMBER == len(list((tmp_path / "small").iterdir()))
    assert [] == list((tmp_path / ".drafts").iterdir())


def test_what_is_left_early_leaves_no_draft(tmp_path: Path) -> None:
    """Whoever does not wait has no thread behind it, and no file."""
    with Drafting(str(tmp_path)) as drafting, SyncAhead() as ahead:
        for number in range(NUMBER):
            ahead.take(prepared(drafting, number))

    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_drafts_of_a_dead_run_are_removed_by_the_next(tmp_path: Path) -> None:
    """Those of the same job alone; companions of another worker keep theirs."""
    with Drafting(str(tmp_path)) as dead:
        for number in range(2):
            prepared(dead, number)
        with Drafting(str(tmp_path)) as drafting:
            draft = drafting.begin("small", "job-1", "csv")
            left = {path.name.split(".")[0] for path in (tmp_path / ".drafts").iterdir()}
            mine = list((tmp_path / ".drafts").glob(f"{Path(draft.url).name.split('.')[0]}.*"))

    assert 2 == len(left)
    assert [Path(draft.url).name] == [path.name for path in mine]

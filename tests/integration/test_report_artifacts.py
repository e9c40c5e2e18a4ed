"""Files of reports while they are made: seen whole or not at all, under names of our own."""

import errno
import hashlib
import json
import resource
import weakref
import zipfile
from pathlib import Path
from typing import Any, cast

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from celeriac.contract import State
from postgres.pool import Pool, PoolLimits
from tasks.reports.artifacts.archive import open_archive
from tasks.reports.artifacts.artifact import drafted, stem_of
from tasks.reports.artifacts.draft import Draft
from tasks.reports.artifacts.growing_file import GrowingFile
from tasks.stores import StoreTrouble
from tests.integration.press import NUMBERS, run_report
from tests.integration.shop import query
from tests.waiting import wait_for

#: More than a thread waits for before it hashes beside the writer.
LARGE = b"0123456789abcdef" * (1 << 20)
HOSTILE = ["../../../etc/passwd", "/etc/passwd", "a\0b", "", "x" * 5_000, "..", "a\nb;$(id) é 💐"]


class Slow(MemoryFileSystem):
    """A store that shows a file as it grows, and notes what it was asked to put and move."""

    protocol = "slowly"
    asked: list[tuple[str, str]] = []  # noqa: RUF012 - fsspec makes one object of it, and so do we

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("slowly://", "memory://")))

    def put_file(self, lpath: str, rpath: str, **more: Any) -> None:
        self.asked.append(("put", self._strip_protocol(rpath)))
        super().put_file(lpath, rpath, **more)

    def mv(self, path1: str, path2: str, **more: Any) -> None:
        self.asked.append(("mv", path2))
        super().mv(path1, path2, **more)


class Full(MemoryFileSystem):
    """A store that takes small objects and no other."""

    protocol = "full"

    def put_file(self, lpath: str, rpath: str, **more: Any) -> None:
        raise PermissionError("quota of bucket reports exceeded")


fsspec.register_implementation("slowly", Slow, clobber=True)
fsspec.register_implementation("full", Full, clobber=True)


def files(root: Path) -> list[str]:
    """Name every file below a folder, by its place."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def write_at_once(draft: Draft) -> None:
    draft.file.write(LARGE)


def write_bit_by_bit(draft: Draft) -> None:
    for start in range(0, len(LARGE), 999_983):
        draft.file.write(LARGE[start : start + 999_983])


def write_and_go_back(draft: Draft) -> None:
    draft.file.write(bytes(len(LARGE)))
    raw = cast(GrowingFile, draft.file.raw)
    wait_for(lambda: raw.hashed_bytes == len(LARGE), what="the thread to have hashed it")
    draft.file.seek(0)
    draft.file.write(LARGE)


def write_an_archive(draft: Draft) -> None:
    # It writes the sizes of a member into its header once it knows them.
    with zipfile.ZipFile(draft.file, "w") as archive, archive.open("m", "w") as member:
        member.write(LARGE)


def write_little(draft: Draft) -> None:
    draft.file.write(b"a,b\n1,2\n")


def write_nothing(_draft: Draft) -> None:
    pass


@pytest.mark.parametrize(
    "write",
    [
        write_at_once,
        write_bit_by_bit,
        write_and_go_back,
        write_an_archive,
        write_little,
        write_nothing,
    ],
)
def test_size_and_hash_are_the_files(tmp_path: Path, write: Any) -> None:
    """However a file is written, what is said of it is what it holds."""
    with drafted(str(tmp_path), "sales", "a", "csv") as draft:
        write(draft)
        draft.seal()
        draft.publish({})

    content = Path(draft.url.removeprefix("file://")).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (draft.size_bytes, draft.sha256)


def test_file_is_seen_when_it_is_published(tmp_path: Path) -> None:
    """Until then its folder is empty; afterwards it holds the file and what describes it."""
    with drafted(str(tmp_path), "sales", "a", "csv.gz") as draft:
        draft.file.write(LARGE)
        draft.seal()
        before = files(tmp_path / "sales")
        draft.publish({"rows": 3})

    name = Path(draft.url).name
    assert ([], [f"sales/{name}", f"sales/{name}.json"]) == (before, files(tmp_path))
    assert {"rows": 3} == json.loads((tmp_path / "sales" / f"{name}.json").read_text())


def test_sealed_draft_has_no_buffer(tmp_path: Path) -> None:
    """Many may wait to be published together: each holds its file, and no memory for writing."""
    with drafted(str(tmp_path), "sales", "a", "csv") as draft:
        draft.file.write(b"a\n")
        buffer = weakref.ref(draft.file)
        draft.seal()
        draft.publish({})

    assert buffer() is None
    assert b"a\n" == Path(draft.url.removeprefix("file://")).read_bytes()


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    """A writer's error passes as it came, and no draft stays."""
    with (
        pytest.raises(ZeroDivisionError),
        drafted(str(tmp_path), "sales", "a", "csv") as draft,
    ):
        draft.file.write(LARGE)
        raise ZeroDivisionError

    assert [] == files(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_full_disk_is_the_stores_trouble(tmp_path: Path, number: int) -> None:
    """Want of space while a file is written is told apart from what is wrong with a report."""
    with (
        pytest.raises(StoreTrouble, match="is in trouble"),
        drafted(str(tmp_path), "s", "a", "csv"),
    ):
        raise OSError(number, "no room")

    with pytest.raises(FileNotFoundError), drafted(str(tmp_path), "s", "a", "csv"):
        raise FileNotFoundError("the report looked for a file of its own")


def test_disk_that_fills_up_in_the_middle_lets_the_job_wait(database: str, tmp_path: Path) -> None:
    """A file that finds no room while rows stream in leaves nothing; there is room, it is made."""
    text = NUMBERS.replace("(1, 3)", "(1, 500000)")
    artifacts, pool = str(tmp_path / "artifacts"), Pool(database, PoolLimits(size=2))
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, usual[1]))
    try:
        full = run_report("a", pool, tmp_path, artifacts, text)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    left = files(tmp_path / "artifacts")
    runs = query(database, "SELECT job_id FROM celeriac.report_run")
    roomy = run_report("b", pool, tmp_path, artifacts, text)
    pool.close()

    assert (State.QUEUED, [], []) == (full.state, left, runs)
    assert "File too large" in (full.error or "")
    assert (State.COMMITTED, 500_000) == (roomy.state, (roomy.result or {})["rows"])


def test_store_that_refuses_is_in_trouble() -> None:
    """A PUT that fails is the store's trouble, in its own words; a draft leaves no name behind."""
    with drafted("full://reports", "sales", "a", "csv") as draft:
        draft.file.write(LARGE)
        draft.seal()
        with pytest.raises(StoreTrouble, match="PermissionError: quota of bucket reports exceeded"):
            draft.publish({})


def test_unknown_store_is_in_trouble() -> None:
    """A URL that nothing is installed for waits for who installs it."""
    with (
        pytest.raises(StoreTrouble, match="Protocol not known: nowhere"),
        drafted("nowhere://reports", "sales", "a", "csv"),
    ):
        pytest.fail("nothing can be drafted there")


def test_store_that_shows_growing_files_gets_them_elsewhere_first() -> None:
    """Where a file is seen before it is whole, it is moved under its final name."""
    Slow.asked.clear()
    with drafted("slowly://reports", "sales", "a", "csv") as draft:
        draft.file.write(b"a\n")
        draft.seal()
        draft.publish({})

    name = draft.url.rpartition("/")[2]
    expected = [("put", f"/reports/.drafts/{name}"), ("mv", f"/reports/sales/{name}")]
    assert expected == Slow.asked
    assert b"a\n" == MemoryFileSystem().cat_file(f"/reports/sales/{name}")


@pytest.mark.parametrize("job_id", HOSTILE)
def test_ids_never_reach_a_path(tmp_path: Path, job_id: str) -> None:
    """Whatever a job is called, its file has a name of ours in its report's folder."""
    with drafted(str(tmp_path), "sales", job_id, "csv") as draft:
        draft.seal()
        draft.publish({})

    (name, _) = files(tmp_path)
    assert name.startswith(f"sales/{stem_of(job_id)}.")
    assert name == open_archive(str(tmp_path)).place(draft.url)


def test_two_runs_of_a_job_are_two_files(tmp_path: Path) -> None:
    """A run that stalled, and goes on when another has published, overwrites nothing."""
    with drafted(str(tmp_path), "sales", "a", "csv") as late:
        late.file.write(b"late")
        late.seal()
        with drafted(str(tmp_path), "sales", "a", "csv") as successor:
            successor.file.write(b"right")
            successor.seal()
            successor.publish({})
        with pytest.raises(StoreTrouble):
            late.publish({})

    assert b"right" == Path(successor.url.removeprefix("file://")).read_bytes()
    assert 2 == len(files(tmp_path))


@pytest.mark.parametrize("folder", ["sales", ".drafts"])
def test_link_out_of_the_folder_is_refused(tmp_path: Path, folder: str) -> None:
    """A folder that leads elsewhere is trouble, named; nothing is written there."""
    root, elsewhere = tmp_path / "artifacts", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / folder).symlink_to(elsewhere)

    with pytest.raises(StoreTrouble, match="make it a folder of its own"):
        with drafted(str(root), "sales", "a", "csv"):
            pytest.fail("nothing can be drafted there")

    assert [] == files(elsewhere)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "file://{root}/../sales/{name}",
        "file://{root}/sales/../../etc/passwd",
        "file://{root}/sales/{name}.json",
        "file://{root}/sales/notes.csv",
        "file://{root}/Sales/{name}",
        "file://{root}/.drafts/{name}",
        "file://{root}/deep/sales/{name}",
        "file:///elsewhere/sales/{name}",
        "{root}/sales/{name}",
        "s3://bucket/sales/{name}",
        "",
    ],
)
def test_only_urls_of_ours_are_places(tmp_path: Path, url: str) -> None:
    """A URL that no worker would have written leads nowhere, whoever put it into the table."""
    name = f"{stem_of('a')}.0123456789abcdef.csv"
    archive = open_archive(str(tmp_path))

    assert archive.place(url.format(root=tmp_path, name=name)) is None
    assert f"sales/{name}" == archive.place(f"file://{tmp_path}/sales/{name}")

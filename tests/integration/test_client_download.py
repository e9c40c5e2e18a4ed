"""Download the file of a report: whole, as the worker wrote it, or an error and nothing."""

import asyncio
import hashlib
import io
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest

from celeriac import AsyncClient, Client, DownloadFailed
from celeriac.download import fetch
from celeriac.download_async import fetch_in_thread
from tests.waiting import wait_for
from tests.workers import ROOT
from worker.embedded import EmbeddedValkey

CONTENT = b"a,b\n1,2\n" * 300_000


def result(path: Path, content: bytes = CONTENT, **others: Any) -> dict[str, Any]:
    """Say of a file what a report's result says; the file holds it, unless it is there already."""
    if not path.exists():
        path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return {"url": f"file://{path}", "rows": 1, "sha256": sha256, **others}


def test_file_is_copied_to_a_path_a_folder_or_a_file(tmp_path: Path) -> None:
    """A path is the file's new name, in a folder it keeps its own, an open file is written to."""
    told = result(tmp_path / "made 50%25.csv")
    folder, opened = tmp_path / "in", io.BytesIO()
    folder.mkdir()

    as_path = fetch(told, tmp_path / "mine.csv")
    as_text = fetch(told, str(folder))
    plain = fetch({**told, "url": told["url"].removeprefix("file://")}, folder / "plain.csv")
    as_file = fetch(told, opened)

    expected = (tmp_path / "mine.csv", folder / "made 50%25.csv", folder / "plain.csv", None)
    assert expected == (as_path, as_text, plain, as_file)
    copies = [path.read_bytes() for path in expected if path is not None]
    assert [CONTENT] * 4 == [*copies, opened.getvalue()]
    assert 4 == len(list(tmp_path.iterdir())) + len(list(folder.iterdir())) - 1


@pytest.mark.parametrize("there", [b"changed" * 99, CONTENT[:-1], b""])
def test_changed_file_is_no_copy(tmp_path: Path, there: bytes) -> None:
    """A file with another hash is named with both hashes; what was there before stays."""
    (tmp_path / "made.csv").write_bytes(there)
    told = result(tmp_path / "made.csv")
    (tmp_path / "mine.csv").write_text("before")

    with pytest.raises(DownloadFailed, match="is not what the worker wrote: its sha256 is"):
        fetch(told, tmp_path / "mine.csv")

    assert "before" == (tmp_path / "mine.csv").read_text()
    assert ["made.csv", "mine.csv"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"rows": 1, "inserted": 1}, "only reports have a file; .* holds inserted, rows"),
        ({}, "only reports have a file; .* holds nothing"),
        ({"url": "file:///a", "sha256": "x"}, "sha256 of file:///a must be 64 digits in hex"),
        (
            {"url": "file:///no/such.csv", "sha256": "0" * 64},
            f"no /no/such.csv on .*{gethostname()}",
        ),
        ({"url": "file:///", "sha256": "0" * 64}, "cannot open file:///: IsADirectoryError"),
        ({"url": "nowhere://a/b", "sha256": "0" * 64}, "cannot open nowhere://a/b: ValueError"),
    ],
)
def test_what_cannot_be_had_says_why(tmp_path: Path, told: dict[str, Any], words: str) -> None:
    """No report, no such file here, no such store: each has its sentence, and leaves nothing."""
    with pytest.raises(DownloadFailed, match=words):
        fetch(told, tmp_path / "mine.csv")

    assert [] == list(tmp_path.iterdir())


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """A target whose folder is not there is an error that names it."""
    told = result(tmp_path / "made.csv")

    with pytest.raises(DownloadFailed, match=r"cannot write beside .*/no/mine\.csv: No such file"):
        fetch(told, tmp_path / "no" / "mine.csv")


def test_copy_may_be_given_up(tmp_path: Path) -> None:
    """A copy that nobody waits for any more ends between two blocks, and leaves nothing."""
    told = result(tmp_path / "made.csv")
    answers = iter([False, True])

    with pytest.raises(DownloadFailed, match="was given up"):
        fetch(told, tmp_path / "mine.csv", lambda: next(answers))

    assert ["made.csv"] == [path.name for path in tmp_path.iterdir()]


def test_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    """In asyncio a copy that is cancelled stops at its next block, and its part is gone."""
    pipe, folder = tmp_path / "made.csv", tmp_path / "in"
    os.mkfifo(pipe)
    folder.mkdir()

    async def cancel_in_the_middle() -> None:
        copying = asyncio.create_task(fetch_in_thread(result(pipe), folder / "mine.csv"))
        slow = await asyncio.to_thread(pipe.open, "wb", 0)
        await asyncio.to_thread(wait_for, lambda: list(folder.iterdir()), what="a part")
        copying.cancel()
        with suppress(asyncio.CancelledError):
            await copying
        with suppress(BrokenPipeError), slow:
            slow.write(CONTENT)

    asyncio.run(cancel_in_the_middle())

    wait_for(lambda: not list(folder.iterdir()), what="the part to go")


def test_other_stores_are_read_if_fsspec_is_there(tmp_path: Path) -> None:
    """A URL of an object store is read through fsspec; where that is missing, the error says so."""
    told = {"url": "s3://bucket/made.csv", "sha256": "0" * 64}
    program = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from celeriac.download import fetch\n"
        f"try: fetch({told!r}, {str(tmp_path / 'mine.csv')!r})\n"
        "except Exception as error: print(type(error).__name__, error)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "client" / "src")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("DownloadFailed cannot read s3://bucket/made.csv here")
    assert "pip install fsspec and what knows the store, such as s3fs" in done.stdout


def test_tickets_download(
    broker_url: str, result_url: str, valkey_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """Both tickets wait for the report and copy its file."""
    told = {"status": "SUCCESS", "result": result(tmp_path / "made.csv")}
    with valkey_server.client(1) as redis:
        redis.set("celery-task-meta-r", json.dumps(told))

    async def download() -> Path | None:
        async with AsyncClient(broker_url, result_url) as client:
            return await client.ticket("r").download(tmp_path / "async.csv")

    with Client(broker_url, result_url) as client:
        paths = [client.ticket("r").download(tmp_path / "sync.csv"), asyncio.run(download())]

    assert [tmp_path / "sync.csv", tmp_path / "async.csv"] == paths
    assert [CONTENT] * 2 == [path.read_bytes() for path in paths if path]

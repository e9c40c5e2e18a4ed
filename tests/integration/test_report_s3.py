"""Files of reports in an object store: a server of S3's protocol, on this machine."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from celeriac import Client
from celeriac.contract import State
from celeriac.download import fetch
from config import parse
from postgres.pool import Pool, PoolLimits
from postgres.report_files import Chosen, Keep
from tasks.reports.artifacts.archive import open_archive
from tasks.reports.artifacts.artifact import drafted, stem_of
from tests.integration.press import NUMBERS, run_report
from tests.integration.shop import query
from tests.workers import Worker
from worker.artifacts.removal import expire, remove_expired, uncounted
from worker.artifacts.verify import verify
from worker.doctor.finding import Level
from worker.doctor.folders import look_at_folders

BUCKET = "celeriac-reports"
ARTIFACTS = f"s3://{BUCKET}/made/here"


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    """A store with one empty bucket; who knows its credentials is fsspec's configuration."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    fsspec.config.conf["s3"] = {
        "key": "reports",
        "secret": "not-to-be-told",
        "client_kwargs": {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"},
    }
    files = fsspec.filesystem("s3")
    files.call_s3("create_bucket", Bucket=BUCKET)
    yield files
    del fsspec.config.conf["s3"]
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


@pytest.fixture
def pool(database: str) -> Iterator[Pool]:
    """Connections to an empty ledger."""
    pool = Pool(database, PoolLimits(size=2))
    yield pool
    pool.close()


def test_report_goes_to_the_store_and_back(
    store: Any, pool: Pool, database: str, tmp_path: Path
) -> None:
    """A file is put, described, counted, verified, downloaded, and removed when it is old."""
    result = run_report("a", pool, tmp_path, ARTIFACTS).result or {}
    archive = open_archive(ARTIFACTS)

    manifest = json.loads(store.cat_file(f"{result['url']}.json"))
    path = fetch(result, tmp_path / "copy.csv")
    whole = list(verify(Chosen(), archive, pool, lambda _: None))
    left_over = list(uncounted(archive, pool, time.time() + 60))
    query(database, "UPDATE celeriac.report_run SET finished_at = now() - interval '9 days'")
    expire(Keep(days=8), pool)
    (removal,) = remove_expired(archive, pool)

    assert result["url"].startswith(f"{ARTIFACTS}/numbers/{stem_of('a')}.")
    assert "not-to-be-told" not in json.dumps([result, manifest])
    assert (result["sha256"], 3) == (manifest["sha256"], manifest["rows"])
    assert b"n\n1\n2\n3\n" == path.read_bytes()
    assert ([], [], None) == (whole, left_over, removal.left)
    assert [] == list(archive.published("numbers"))


def test_large_file_goes_in_parts(store: Any) -> None:
    """A file of several parts arrives whole, under its final name alone."""
    piece = b"0123456789abcdef" * (1 << 16)
    with drafted(ARTIFACTS, "large", "a", "csv") as draft:
        for _ in range(17):
            draft.file.write(piece)
        draft.seal()
        draft.publish({"ledger": "x"})

    store.invalidate_cache()
    info = store.info(draft.url)
    assert info["ETag"].strip('"').endswith("-3")
    assert (17 << 20, "text/csv") == (info["size"], info["ContentType"])
    assert hashlib.sha256(piece * 17).hexdigest() == draft.sha256
    assert hashlib.sha256(store.cat_file(draft.url)).hexdigest() == draft.sha256
    assert 2 == len(store.find(f"{ARTIFACTS}/large"))


@pytest.mark.usefixtures("store")
def test_store_that_refuses_lets_the_job_wait(pool: Pool, database: str, tmp_path: Path) -> None:
    """A bucket that is not there buries no job, and leaves no run that claims a file."""
    outcome = run_report("a", pool, tmp_path, "s3://no-such-bucket-of-ours/x")

    assert State.QUEUED == outcome.state
    assert "The specified bucket does not exist" in (outcome.error or "")
    assert [] == query(database, "SELECT job_id FROM celeriac.report_run")


@pytest.mark.storm
def test_worker_puts_what_a_ticket_downloads(
    store: Any, worker_env: dict[str, str], make_worker: Callable[..., Worker], tmp_path: Path
) -> None:
    """A worker that finds its credentials in the environment puts the file; a client gets it."""
    conf = fsspec.config.conf["s3"]
    env = {
        **worker_env,
        "CELERIAC_ARTIFACTS": ARTIFACTS,
        "CELERIAC_CATALOG": str(tmp_path / "catalog"),
        "AWS_ACCESS_KEY_ID": conf["key"],
        "AWS_SECRET_ACCESS_KEY": conf["secret"],
        "AWS_ENDPOINT_URL": conf["client_kwargs"]["endpoint_url"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    (tmp_path / "catalog" / "reports").mkdir(parents=True)
    (tmp_path / "catalog" / "reports" / "numbers.sql").write_text(NUMBERS)
    (tmp_path / "catalog" / "targets.toml").write_text("")
    worker = make_worker(env, queues="celeriac.report").start()

    with Client(env["CELERIAC_BROKER_URL"], env["CELERIAC_RESULT_URL"]) as client:
        ticket = client.report("numbers")
        path = ticket.download(tmp_path / "numbers.csv", 60)
        result = ticket.result() or {}

    assert path is not None
    assert b"n\n1\n2\n3\n" == path.read_bytes()
    assert store.exists(f"{result['url']}.json")
    assert conf["secret"] not in worker.log + json.dumps(result)


def test_doctor_asks_the_store(store: Any, worker_env: dict[str, str]) -> None:
    """A bucket that is there is well; one that nobody made is a problem with a remedy."""
    del worker_env["CELERIAC_INBOX"]
    here = parse(worker_env | {"CELERIAC_ARTIFACTS": ARTIFACTS})
    nowhere = parse(worker_env | {"CELERIAC_ARTIFACTS": "s3://no-such-bucket-of-ours/x"})

    (well,), (ill,) = look_at_folders(here), look_at_folders(nowhere)

    assert (Level.OK, f"{ARTIFACTS} answers") == (well.level, well.sentence)
    assert Level.PROBLEM is ill.level
    assert "no-such-bucket-of-ours" in ill.sentence
    assert "make the bucket" in (ill.remedy or "")

"""File jobs that want the same rows in another order both end, and neither counts a row twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from postgres.session import Session
from tests.integration import depot
from tests.integration.batches import child_on, settle
from tests.integration.depot import deliver_file, parcels, write_csv
from tests.integration.shop import query
from tests.waiting import wait_for
from worker.child import Child
from worker.delivery import Delivery, Fate, Settlement

ROWS = 1_000
SECONDS = 60
#: Longer than PostgreSQL takes to find a deadlock, as by default.
PATIENT = Session(lock_seconds=3, statement_seconds=5)


@pytest.fixture
def children(database: str, tmp_path: Path) -> Iterator[list[Child]]:
    """Two children on the depot's tables, whose inbox is the test's folder."""
    depot.create_tables(database)
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                child_on(database, catalog=depot.CATALOG, inbox=tmp_path, session=PATIENT)
            )
            for _ in range(2)
        ]


def ended(child: Child, job: Delivery) -> Settlement:
    """Run a job, again as long as somebody has locked its rows."""
    return wait_for(
        lambda: (one := settle(child, job)[job.id]).fate is not Fate.LATER and one, SECONDS, job.id
    )


@pytest.mark.parametrize(
    "atomic",
    [
        pytest.param(False, id="by chunk"),
        pytest.param(True, id="atomic", marks=pytest.mark.storm),
    ],
)
def test_two_files_update_the_same_keys_in_opposite_order(
    children: list[Child],
    tmp_path: Path,
    atomic: bool,
) -> None:
    """Chunk by chunk what collides is done again, unnoticed; one that is atomic makes wait."""
    up, down = parcels(ROWS), [(n, weight, "down") for n, weight, _ in reversed(parcels(ROWS))]
    files = [write_csv(tmp_path / "up.csv", up), write_csv(tmp_path / "down.csv", down)]
    url = children[0].pool.url
    jobs = [
        deliver_file(file.stem, "last_parcel", file, chunk_rows=50, atomic=atomic) for file in files
    ]

    with ThreadPoolExecutor(2) as pool:
        settled = list(pool.map(ended, children, jobs))

    assert [(Fate.COMMITTED, None)] * 2 == [(one.fate, one.error) for one in settled]
    accounts = query(url, "SELECT rows, quarantined FROM celeriac.job ORDER BY id")
    assert [(ROWS, 0)] * 2 == accounts
    ((inserted, updated),) = query(url, "SELECT sum(inserted), sum(updated) FROM celeriac.job")
    assert (ROWS, ROWS) == (inserted, updated)

"""The examples of README.md and docs run, and print what the pages say."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.docs.conftest import Site
from tests.docs.markdown import Block, blocks
from tests.docs.page_catalog import ALL_BLOCKS, lay_out_catalog, texts
from tests.workers import ROOT

EXAMPLE_SECONDS = 60
PRODUCER = ROOT / "examples" / "stock_producer" / "produce.py"
URLS = ("CELERIAC_BROKER_URL", "CELERIAC_RESULT_URL")
TABLES = ("flights", "stations", "readings", "samples")
EXAMPLES = [block for block in ALL_BLOCKS if block.info == "python"]


@pytest.fixture(scope="module")
def running_site(open_site: Callable[..., Site], tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A worker on the targets, tables and reports that the pages themselves declare."""
    catalog = tmp_path_factory.mktemp("catalog")
    tables = lay_out_catalog(catalog)
    return open_site(catalog, tables, "celeriac.ingest,celeriac.report", {})


@pytest.fixture
def site(running_site: Site) -> Site:
    """The same, with empty tables."""
    running_site.query(f"TRUNCATE {', '.join(TABLES)}")
    return running_site


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda block: block.name)
def test_python_example_runs(example: Block, site: Site) -> None:
    """Each Python example runs as it stands, and prints what the page says."""
    page_blocks = blocks(example.page)
    following = page_blocks[page_blocks.index(example) + 1 :][:1]

    printed = _run(example, site)

    assert printed
    for block in following:
        if block.info == "text":
            assert block.text == printed


def test_values_arrive_as_the_page_says(site: Site) -> None:
    """Every value of the row in docs/values.md is read back as it was sent."""
    (example,) = (block for block in EXAMPLES if block.page.name == "values.md")

    _run(example, site)

    (values,) = site.query(
        "SELECT id::text, amount::text, big::text, ratio::text, day::text, "
        "(at AT TIME ZONE 'UTC')::text, encode(raw, 'hex'), more::text FROM samples"
    )
    assert (
        "019a9c5e-0000-7000-8000-000000000001",
        "12345678901234567890.0123456789",
        "9007199254740993",
        "NaN",
        "2024-02-29",
        "2024-02-29 12:30:00",
        "00ff",
        '{"tags": ["a", "b"], "depth": {"n": 1}}',
    ) == values


def test_stock_producer_gets_its_three_answers(site: Site) -> None:
    """A good job succeeds, one with a bad row succeeds without it, a hopeless one fails."""
    done = subprocess.run(
        [sys.executable, str(PRODUCER), *map(site.env.get, URLS)],
        # Without our tree on its path: the example needs nothing of ours.
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=EXAMPLE_SECONDS,
        check=True,
    )

    first, second, third = done.stdout.splitlines()
    assert "SUCCESS: {'rows': 1, 'inserted': 1, 'quarantined': 0}" == first
    assert "SUCCESS: {'rows': 2, 'inserted': 0, 'ignored': 1, 'quarantined': 1}" == second
    assert third.startswith("FAILURE: ")
    assert "target 'no_such_target' is not in the catalog" in third


def test_statements_for_operators_run(site: Site) -> None:
    """The SQL that docs/operations.md offers runs on the schema of this version."""
    site.query(texts("sql operations"))


def _run(example: Block, site: Site) -> str:
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    done = subprocess.run(
        [sys.executable, "-c", example.text],
        env={**os.environ, "PYTHONPATH": path, **site.env},
        capture_output=True,
        text=True,
        timeout=EXAMPLE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

"""How many jobs a worker reserves of kinds that may take long."""

from types import SimpleNamespace

import pytest

from tasks.ingest import Ingest
from tasks.ingest_file import IngestFile
from tasks.kind import Kind
from tasks.report import Report
from worker.lifecycle import _size_window

UNTOUCHED = 7


@pytest.mark.parametrize(
    ("kinds", "children", "each"),
    [
        ([Report()], 1, 128),
        ([Report()], 2, 96),
        ([Report()], 3, 86),
        ([IngestFile()], 2, 1),
        ([IngestFile(), Report()], 2, 8),
        ([Ingest(), Report()], 2, UNTOUCHED),
        ([], 2, UNTOUCHED),
    ],
)
def test_window_has_a_batch_more_than_children(
    kinds: list[Kind[object]], children: int, each: int
) -> None:
    """Who comes back first finds the next batch here; lone jobs are left to other workers."""
    worker = SimpleNamespace(concurrency=children, prefetch_multiplier=UNTOUCHED)

    _size_window(worker, kinds)

    assert each == worker.prefetch_multiplier

"""A payload that can never succeed is buried with words that name field, value and limit."""

from typing import Any

import pytest

from celeriac.contract import MAX_BODY_BYTES, MAX_ROWS
from tests.acceptance.site import TASK, Site
from tests.workers import Worker

pytestmark = pytest.mark.usefixtures("worker")

ROW = {"n": 666}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "no rows": ({"kwargs": {"target": "alpha"}}, "missing required field `rows`"),
    "no target": ({"kwargs": {"rows": [ROW]}}, "missing required field `target`"),
    "unknown field": (
        {"kwargs": {"target": "alpha", "rows": [ROW], "priority": 9}},
        "unknown field `priority`",
    ),
    "unknown target": (
        {"kwargs": {"target": "alhpa", "rows": [ROW]}},
        "target 'alhpa' is not in the catalog, which has: alpha, beta, customer",
    ),
    "target is a number": (
        {"kwargs": {"target": 5, "rows": [ROW]}},
        r"Expected `str`, got `int` - at `\$.target`",
    ),
    "rows are an object": (
        {"kwargs": {"target": "alpha", "rows": ROW}},
        # Rows by target are an object, of lists.
        r"Expected `array`, got `int` - at `\$.rows\[\.\.\.\]`",
    ),
    "rows are empty": (
        {"kwargs": {"target": "alpha", "rows": []}},
        f"rows must be 1 to {MAX_ROWS}, got 0",
    ),
    "too many rows": (
        {"kwargs": {"target": "alpha", "rows": [ROW] * (MAX_ROWS + 1)}},
        f"rows must be 1 to {MAX_ROWS}, got {MAX_ROWS + 1}",
    ),
    "a row is a list": (
        {"kwargs": {"target": "alpha", "rows": [ROW, [1, 2]]}},
        r"rows must be objects, row 2 is \[1,",
    ),
    "body too large": (
        {"kwargs": {"target": "alpha", "rows": [{"note": "x" * MAX_BODY_BYTES}]}},
        f"body must be at most {MAX_BODY_BYTES} bytes, got ",
    ),
    "too many arguments": (
        {"args": ["alpha", [ROW], 1]},
        "celeriac.ingest takes 2 arguments, got 3",
    ),
    "given twice": (
        {"args": ["alpha", [ROW]], "kwargs": {"target": "beta"}},
        "argument 'target' was given twice",
    ),
    "no arguments": ({}, "missing required field `target`"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_payload_is_buried(site: Site, worker: Worker, case: str) -> None:
    """Its producer and the ledger get the same words, nothing is retried, the payload is kept."""
    arguments, words = CASES[case]

    result = site.send_task(TASK, task_id=case, **arguments)

    with pytest.raises(Exception, match=words):
        result.get(timeout=60)
    ((state, error, attempts, kept),) = site.query(
        "SELECT state, error, attempts, payload IS NOT NULL FROM celeriac.job WHERE id = %s",
        (case,),
    )
    assert ("dead", 1, True) == (state, attempts, kept)
    assert error in str(result.result)
    site.wait_until_settled()


def test_none_of_them_wrote_a_row(site: Site) -> None:
    """A buried job has no effect at all, and its worker goes on."""
    site.send("good", "alpha", [{"n": 1}]).get(timeout=60)

    assert [(1,)] == site.query("SELECT n FROM shop.alpha")

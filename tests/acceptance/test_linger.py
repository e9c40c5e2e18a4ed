"""Who sets a linger gets fuller batches, and who does not gets no wait at all."""

from collections.abc import Callable
from time import monotonic

from tests.acceptance.site import Site
from tests.workers import Worker

LINGER_SECONDS = 1.0


def test_jobs_wait_for_company_when_asked_to(
    site: Site, make_worker: Callable[..., Worker]
) -> None:
    """With a linger jobs that come one after the other leave together, and not before its end."""
    make_worker({**site.env, "CELERIAC_LINGER_SECONDS": str(LINGER_SECONDS)}).start()
    began = monotonic()

    for number in range(5):
        site.send(f"lingering-{number}", "alpha", [{"n": number}])
    site.wait_for_state("lingering-4", "committed")

    (batches,) = site.query(
        "SELECT count(DISTINCT batch) FROM celeriac.job WHERE id LIKE 'lingering-%'"
    )
    # All in one, unless the host stood still between two of them.
    assert batches < (5,)
    assert LINGER_SECONDS <= monotonic() - began

"""Tell what a job raised from what the end of its process made of it."""

from billiard.common import terminate_handler_fired
from celery.platforms import EX_FAILURE


def leave_if_torn() -> None:
    """Leave the process if the signal that ends it came while a job ran.

    What that raised may have been caught on its way, and looks like anything by
    now: it is no end of the job, which runs again elsewhere.
    """
    if terminate_handler_fired():
        raise SystemExit(EX_FAILURE)

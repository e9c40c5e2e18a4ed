"""Points on the way of a report at which its child gets a signal, as file jobs have them."""

from enum import StrEnum


class ReportPoint(StrEnum):
    """Where to die, in the order in which a report passes; the first one every megabyte."""

    MID_FETCH = "mid-fetch"
    SEALED = "sealed"
    RECORDED = "recorded"
    PUBLISHED = "published"

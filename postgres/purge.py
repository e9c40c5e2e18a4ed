"""Forget what ended longer ago than anybody may ask for, a slice at a time.

The ledger is what tells a job that comes again from a new one. So what is
forgotten here bounds for how long that works: the dedupe horizon. Held and
dead jobs, jobs under way and jobs of the outbox are never forgotten, nor are
jobs of which a report's file or a quarantined row is left (a run whose file was
removed is forgotten a horizon after that), nor groups that wait
for a job. The same sweep clears the outbox of what workers that know nothing of
it committed and left there.
"""

from dataclasses import dataclass

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement

#: Pages of the ledger that one slice looks at (a few thousand jobs), and entries that it forgets.
_SLICE_PAGES = 64
_SLICE_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long ended jobs and closed entries are kept; undecided entries for ever, if None."""

    keep_days: float
    keep_open_days: float | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """What a slice forgot, and where the next one begins: at 0, a new sweep."""

    jobs: int
    entries: int
    next_page: int

    @property
    def ends_a_sweep(self) -> bool:
        """Whether the whole ledger was looked at, up to here."""
        return self.next_page == 0


def purge(horizon: Horizon, first_page: int, cursor: Cursor) -> Purged:
    """Forget in a slice of the ledger that begins at this page, in a transaction of its own.

    Safe to run by several at once, and beside workers: what somebody works
    with is passed over. Call again from ``next_page`` on.
    """
    parameters = {
        "keep": f"{horizon.keep_days} days",
        "keep_open": None if horizon.keep_open_days is None else f"{horizon.keep_open_days} days",
        "limit": _SLICE_ENTRIES,
        "first": f"({first_page},0)",
        "beyond": f"({first_page + _SLICE_PAGES},0)",
    }
    with refusals(Phase.RECORD):
        cursor.execute(statement("sweep_entries"), parameters)
        # Entries first: a job whose last entry goes may go with the same slice.
        cursor.execute(statement("purge_quarantined"), parameters)
        entries = cursor.rowcount
        # And runs whose files are gone, whose jobs nothing else speaks of any more.
        cursor.execute(statement("purge_report_runs"), parameters)
        cursor.execute(statement("count_pages"))
        ((pages,),) = cursor.fetchall()
        cursor.execute(statement("purge_jobs"), parameters)
        jobs = cursor.rowcount
        cursor.execute(statement("purge_groups"), parameters)
    beyond = first_page + _SLICE_PAGES
    return Purged(jobs, entries, beyond if beyond < pages or entries == _SLICE_ENTRIES else 0)

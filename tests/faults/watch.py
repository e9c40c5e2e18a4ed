"""Look over the workers' shoulders while they work: does a reader ever see half a job?"""

import threading
import time

import psycopg2
import psycopg2.extensions

POLLS_PER_SECOND = 25
#: How far before the end that the last poll saw a poll begins to look: writers that extend
#: a table side by side leave a few blocks behind them that are filled later.
_BLOCKS_BEFORE = 4

_TABLES = ("faults.entry", "faults.keyed", "faults.movement", "celeriac.quarantine", "celeriac.job")
_BLOCKS = "SELECT name, pg_relation_size(name) / 8192 FROM unnest(%s) AS name"

#: The planner cannot know how few jobs are new, and would read whole tables for them.
_SESSION = """
SET statement_timeout = '5s'; SET enable_hashjoin = off; SET enable_mergejoin = off
"""

#: One statement, so one snapshot. Jobs are found at the ends of the tables only: what a poll
#: costs must not grow with the run, and older jobs were looked at when they were new.
_HALF_SEEN = """
WITH fresh AS MATERIALIZED (
    SELECT job FROM faults.entry WHERE ctid >= %(faults.entry)s::tid
    UNION SELECT job FROM faults.keyed WHERE ctid >= %(faults.keyed)s::tid
    UNION SELECT job FROM faults.movement WHERE ctid >= %(faults.movement)s::tid
    UNION SELECT job_id FROM celeriac.quarantine WHERE ctid >= %(celeriac.quarantine)s::tid
    UNION SELECT id FROM celeriac.job
     WHERE ctid >= %(celeriac.job)s::tid AND task = 'celeriac.ingest' AND state = 'committed'
), seen AS (
    SELECT fresh.job,
           (SELECT count(*) FROM faults.entry AS t WHERE t.job = fresh.job)
           + (SELECT count(*) FROM faults.keyed AS t WHERE t.job = fresh.job)
           + (SELECT count(*) FROM faults.movement AS t WHERE t.job = fresh.job) AS placed,
           (SELECT count(*) FROM celeriac.quarantine AS q WHERE q.job_id = fresh.job) AS aside
      FROM fresh
)
SELECT (SELECT count(*) FROM seen), seen.job, seen.placed, seen.aside,
       coalesce(ledger.state, 'nothing'), ledger.inserted, ledger.quarantined
  FROM (VALUES (true)) AS always
  LEFT JOIN (seen LEFT JOIN celeriac.job AS ledger ON ledger.id = seen.job)
    ON ledger.state IS DISTINCT FROM 'committed' AND seen.placed + seen.aside > 0
    OR ledger.state = 'committed' AND (ledger.inserted, ledger.quarantined)
                                   IS DISTINCT FROM (seen.placed, seen.aside)
"""


class AtomicityWatch:
    """Poll in a thread whether any visible job is visible whole, ledger included.

    Use as a context manager around the run. A server that is down is waited for:
    the watch is a reader, its failures are no finding. Slow polls thin out by
    themselves, so that watching takes at most half of one connection.
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="atomicity watch", daemon=True)
        self._found: dict[str, str] = {}
        self._looked_to: dict[str, int] = {}
        #: Polls that were answered, and jobs looked at in them: zero means nothing was watched.
        self.polls = 0
        self.looks = 0
        #: What broke the watch itself, other than a server that is away.
        self.broken: psycopg2.Error | None = None

    def __enter__(self) -> "AtomicityWatch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    @property
    def torn(self) -> list[str]:
        """What was seen in part, one line a job."""
        return list(self._found.values())

    def assert_clean(self) -> None:
        """Raise if part of a job was ever seen, or if nothing was watched at all."""
        if self.broken:
            raise AssertionError("the atomicity watch broke") from self.broken
        assert self.polls, "watched nothing: no poll"
        assert self.looks, f"watched nothing: {self.polls} polls, no job seen"
        shown = "\n  ".join(self.torn[:5])
        assert not self._found, f"{len(self._found)} jobs were seen in part\n  {shown}"

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._poll_one_connection()
            except psycopg2.ProgrammingError as error:  # kept for the test: a thread has no caller
                self.broken = error
                return
            except psycopg2.Error:
                self._stop.wait(0.2)

    def _poll_one_connection(self) -> None:
        connection = psycopg2.connect(
            self._url, connect_timeout=2, application_name="atomicity watch"
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(_SESSION)
                while not self._stop.is_set():
                    self._stop.wait(self._poll(cursor))
        finally:
            connection.close()

    def _poll(self, cursor: psycopg2.extensions.cursor) -> float:
        """Look once; return how long to rest until the next look."""
        started = time.monotonic()
        cursor.execute(_BLOCKS, (list(_TABLES),))
        # Before the look: what arrives in between is looked at again by the next one.
        blocks: dict[str, int] = dict(cursor.fetchall())
        # A crash may leave a table shorter than it was.
        ends = {name: min(end, self._looked_to.get(name, end)) for name, end in blocks.items()}
        starts = {name: f"({max(0, end - _BLOCKS_BEFORE)},0)" for name, end in ends.items()}
        cursor.execute(_HALF_SEEN, starts)
        rows = cursor.fetchall()
        self._looked_to = blocks
        for _, job, placed, aside, state, inserted, quarantined in rows:
            if job is not None:
                self._found[job] = (
                    f"{job}: {placed} rows and {aside} set aside, the ledger says {state}"
                    f" with {inserted} and {quarantined}"
                )
        self.polls += 1
        self.looks += rows[0][0]
        took = time.monotonic() - started
        return max(1 / POLLS_PER_SECOND - took, took)

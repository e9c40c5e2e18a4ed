"""Small reports are answered together, equal ones once; a slow or failing one is its own affair."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from postgres.snapshot_cursor import Terms
from tests.integration.batches import body_of, child_on, settle, settle_each
from tests.integration.shop import query
from tests.waiting import wait_for
from worker.child import Child
from worker.delivery import Delivery, Fate, Settlement

TASK = "celeriac.report"
#: Long enough that a host which stands still for a moment cuts nothing off.
COMPANY_SECONDS = 0.5
#: Longer than any test waits: what ends before did not run out of time.
REPORT_SECONDS = 600.0
IN_TRANSACTION = (
    "SELECT state FROM pg_stat_activity"
    " WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
)
REPORTS = {
    "small": "[params.n]\ntype = 'int'\n*/ SELECT :n AS n",
    "broken": "*/ SELECT nothing FROM nowhere",
    "slow": "timeout = 1\n*/ SELECT pg_sleep(60)",
    "sleepy": "[params.seconds]\ntype = 'numeric'\n*/ SELECT pg_sleep(:seconds)",
    "rows": "*/ SELECT repeat('x', 50000), pg_sleep(0.002) FROM generate_series(1, 100000)",
    "terms": "*/ SELECT current_user AS who, current_setting('work_mem') AS memory,"
    " current_setting('lock_timeout') AS patience",
    "blocked": "*/ SELECT * FROM public.blocked",
    "leaky": "*/ SELECT set_config('TimeZone', 'Asia/Tokyo', true)",
    "zone": "*/ SELECT current_setting('TimeZone') AS zone",
}


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog of reports, each of one statement."""
    (tmp_path / "catalog" / "reports").mkdir(parents=True)
    for name, text in REPORTS.items():
        path = tmp_path / "catalog" / "reports" / f"{name}.sql"
        path.write_text(f"/* celeriac\ntitle = '{name}'\nformat = 'csv'\n{text}")
    (tmp_path / "catalog" / "targets.toml").touch()
    return tmp_path / "catalog"


@pytest.fixture
def child(database: str, catalog: Path, tmp_path: Path) -> Iterator[Child]:
    """A child that answers these reports."""
    with child_on(
        database,
        tmp_path / "artifacts",
        catalog=catalog,
        company_seconds=COMPANY_SECONDS,
        report_seconds=REPORT_SECONDS,
    ) as child:
        yield child


def ask(id_: str, name: str, remarks: dict[str, Any] | None = None, **more: Any) -> Delivery:
    """Make the delivery of one report."""
    return Delivery(id_, TASK, body_of({"name": name, **more}), **(remarks or {}))


def small(number: int) -> Delivery:
    return ask(f"small-{number:02}", "small", params={"n": number})


def fates(settled: dict[str, Settlement]) -> dict[str, Fate]:
    return {id_: one.fate for id_, one in settled.items()}


def text_of(settlement: Settlement) -> str:
    """Read the file that a job answered with."""
    assert settlement.result is not None, settlement
    return Path(settlement.result["url"].removeprefix("file://")).read_text()


def running(child: Child) -> list[str]:
    """Return the queries of reports that the server runs just now."""
    active = (
        "SELECT query FROM pg_stat_activity WHERE state = 'active' AND datname = current_database()"
    )
    return [text for (text,) in query(child.pool.url, active) if text.startswith("/* celeriac ")]


def settle_all(child: Child, deliveries: list[Delivery]) -> dict[str, Settlement]:
    """Run deliveries as a worker does: what comes back without an end goes again."""
    ended: dict[str, Settlement] = {}
    batches = [deliveries]
    while batches:
        batch = batches.pop(0)
        settled = settle(child, *batch)
        ended |= settled
        again = [one for one in batch if settled[one.id].fate is Fate.GIVEN_BACK]
        long = [one for one in batch if settled[one.id].fate is Fate.WORKING]
        batches += [again] if again else []
        batches += [[replace(one, takes_long=True)] for one in long]
    return ended


def test_slow_and_failing_ones_leave_their_companions_alone(child: Child) -> None:
    """Of forty, one fails and one is slow: the others commit, in few transactions."""
    deliveries = [small(number) for number in range(40)]
    deliveries[5] = ask("broken", "broken")
    deliveries[20] = ask("slow", "slow")

    settled = settle_all(child, deliveries)

    counts = Counter(one.fate for one in settled.values())
    assert {Fate.COMMITTED: 38, Fate.DEAD: 2} == counts
    words = 'relation "nowhere" does not exist (SQLSTATE 42P01, broken.sql)'
    assert f"report broken: {words}" == settled["broken"].error
    assert "statement timeout (SQLSTATE 57014, slow.sql)" in str(settled["slow"].error)
    assert [f"n\n{n}\n" for n in (4, 39)] == [text_of(settled[f"small-{n:02}"]) for n in (4, 39)]
    ((transactions,),) = query(
        child.pool.url,
        "SELECT count(DISTINCT batch) FROM celeriac.job JOIN celeriac.report_run ON job_id = id",
    )
    assert transactions < 6


def test_batch_ends_at_the_slow_one(child: Child) -> None:
    """What was finished before it commits; what was not begun goes back; it goes on by itself."""
    settled = fates(settle(child, small(1), ask("slow", "slow"), small(2)))

    # On a host that stood still there was too little time left to judge it: it goes first then.
    assert settled.pop("slow") in (Fate.WORKING, Fate.GIVEN_BACK)
    assert {"small-01": Fate.COMMITTED, "small-02": Fate.GIVEN_BACK} == settled
    assert [("small-01", "committed")] == query(
        child.pool.url, "SELECT id, state FROM celeriac.job"
    )


def test_report_is_no_target(child: Child) -> None:
    """A target of the same name that is held keeps no report from being answered."""
    held = "INSERT INTO celeriac.target_hold (target, reason) VALUES ('small', 'dropped')"
    with closing(psycopg2.connect(child.pool.url)) as connection, connection:
        connection.cursor().execute(held)
    long = ask("long", "small", {"takes_long": True}, params={"n": 2})

    settled = settle(child, small(1), small(3)) | settle(child, long)

    assert {Fate.COMMITTED} == set(fates(settled).values())


def test_equal_ones_run_once(child: Child) -> None:
    """Jobs with equal questions get one answer; another format or tick is another question."""
    twins = [ask(f"twin-{n}", "small", params={"n": 7}) for n in range(5)]
    ticks = [
        ask(f"tick-{n}", "small", params={"n": 7}, tick=f"2026-01-0{n}T00:00:00Z") for n in (1, 2)
    ]

    settled = settle_all(
        child, [*twins, *ticks, ask("lines", "small", params={"n": 7}, format="jsonl")]
    )

    assert {Fate.COMMITTED} == set(fates(settled).values())
    assert 4 == len({(one.result or {})["url"] for one in settled.values()})
    assert settled["twin-0"].result == settled["twin-4"].result
    assert [(4,)] == query(child.pool.url, "SELECT count(*) FROM celeriac.report_run")


def test_equal_ones_that_take_long_run_once(child: Child) -> None:
    """The first goes on by itself; the others wait for its answer."""
    seconds = COMPANY_SECONDS + 0.3
    twins = [ask(f"twin-{n}", "sleepy", params={"seconds": seconds}) for n in range(3)]

    settled = settle_each(child, *twins)
    assert [Fate.WORKING, Fate.TAKEN, Fate.TAKEN] == [one.fate for one in settled]
    (first,) = settle_each(child, replace(twins[0], takes_long=True))
    waited = [replace(one, waited_seconds=300.0) for one in twins[1:]]
    others = settle_all(child, waited).values()

    assert {(first.result or {})["url"]} == {(one.result or {})["url"] for one in others}
    assert ["twin-0"] * 2 == [(one.result or {})["run"] for one in others]


def test_those_that_came_before_a_long_run_began_take_its_answer(child: Child) -> None:
    """All at once, in one batch; who came later has a run of its own, for all of that sort."""
    asked = {"params": {"seconds": COMPANY_SECONDS + 0.3}}
    (first,) = settle_each(child, ask("first", "sleepy", **asked))
    early = [ask(f"early-{n}", "sleepy", {"aside_seconds": 300.0}, **asked) for n in range(3)]
    late = [ask(f"late-{n}", "sleepy", {"aside_seconds": 1e-6}, **asked) for n in range(2)]

    settled = settle(child, *early, *late)

    fates_of_late = [settled.pop(one.id).fate for one in late]
    assert {"first"} == {(one.result or {})["run"] for one in settled.values()}
    assert {(first.result or {})["url"]} == {(one.result or {})["url"] for one in settled.values()}
    assert [Fate.WORKING, Fate.TAKEN] == fates_of_late


def test_lone_one_that_takes_long_goes_on_at_once(child: Child) -> None:
    """Nobody else waits: the same child goes on with it, and the next time begins so."""
    asked = {"params": {"seconds": COMPANY_SECONDS + 0.3}}

    (settled,) = settle_each(child, ask("a", "sleepy", **asked))

    assert Fate.COMMITTED == settled.fate
    assert [("committed", 0)] == query(child.pool.url, "SELECT state, rows FROM celeriac.job")
    again, quick = settle_each(child, ask("b", "sleepy", **asked), small(1))
    assert (Fate.WORKING, Fate.COMMITTED) == (again.fate, quick.fate)


def test_lone_one_that_is_cut_off_and_fails_is_buried_at_once(child: Child) -> None:
    """The child that goes on with it says itself how it ended: nobody has to try again."""
    (settled,) = settle_each(child, ask("slow", "slow"))

    assert Fate.DEAD == settled.fate
    assert "statement timeout (SQLSTATE 57014, slow.sql)" in str(settled.error)
    assert [("dead",)] == query(child.pool.url, "SELECT state FROM celeriac.job")


def test_progress_is_committed_and_revoking_ends_the_query(child: Child) -> None:
    """The ledger says working and how many rows there are; a wish to end cancels the query."""
    progress = "SELECT position -> 'rows' FROM celeriac.job_progress WHERE position IS NOT NULL"

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(settle_each, child, ask("long", "rows", {"takes_long": True}))
        ((rows,),) = wait_for(lambda: query(child.pool.url, progress), what="progress")
        (query_text,) = running(child)
        states = query(child.pool.url, "SELECT id, state FROM celeriac.job")
        # But for the moment of a step, only the one that reads is in a transaction.
        wait_for(lambda: query(child.pool.url, IN_TRANSACTION) == [("active",)], what="no other")
        child.signals.unwant("long")
        (settled,) = future.result(60)

    assert rows > 0
    assert "/* celeriac report=rows job=long */" in query_text
    assert [("long", "working")] == states
    assert (Fate.CANCELLED, "revoked") == (settled.fate, settled.error)
    assert [("cancelled",)] == query(child.pool.url, "SELECT state FROM celeriac.job")
    assert [] == running(child)


def test_second_delivery_leaves_a_living_run_alone(child: Child, tmp_path: Path) -> None:
    """Company neither answers the job again nor takes away the draft of the run that does."""
    drafts = tmp_path / "artifacts" / ".drafts"
    asked = {"params": {"seconds": 60}}
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(
            settle_each, child, ask("long", "sleepy", {"takes_long": True}, **asked)
        )
        wait_for(lambda: running(child), what="the query")
        before = list(drafts.iterdir())
        with child_on(
            child.pool.url, tmp_path / "artifacts", catalog=tmp_path / "catalog"
        ) as other:
            again = settle(other, ask("long", "sleepy", **asked), small(1))
            (alone,) = settle_each(other, ask("long", "sleepy", {"takes_long": True}, **asked))
        after = list(drafts.iterdir())
        child.signals.unwant("long")
        (settled,) = future.result(60)

    assert (Fate.WORKING, Fate.COMMITTED) == (again["long"].fate, again["small-01"].fate)
    assert Fate.TAKEN == alone.fate
    assert before == after != []
    assert Fate.CANCELLED == settled.fate


def test_stopping_worker_gives_a_long_one_back(child: Child) -> None:
    """Its query is cancelled, its job stays under way for another worker."""
    with ThreadPoolExecutor(1) as pool:
        asked = ask("long", "sleepy", {"takes_long": True}, params={"seconds": 60})
        future = pool.submit(settle_each, child, asked)
        wait_for(lambda: running(child), what="the query")
        child.signals.stop()
        (settled,) = future.result(60)

    assert Fate.GIVEN_BACK == settled.fate
    assert [("working",)] == query(child.pool.url, "SELECT state FROM celeriac.job")


def test_revoked_one_leaves_its_companions_alone(child: Child) -> None:
    """One that nobody wants any more is cancelled, before it began or when it is cut off."""
    child.signals.unwant("small-01")

    settled = settle(child, small(1), small(2))

    assert {"small-01": Fate.CANCELLED, "small-02": Fate.COMMITTED} == fates(settled)


def test_reports_read_under_their_terms(
    database: str, catalog: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Role, memory and patience are those that are set; nothing of them stays behind."""
    query(database, "CREATE ROLE celeriac_reader")
    request.addfinalizer(lambda: query(database, "DROP ROLE celeriac_reader"))
    terms = Terms(lock_seconds=0.3, work_mem="7MB", role="celeriac_reader")
    query(database, "CREATE TABLE public.blocked ()")

    with child_on(database, tmp_path / "a", catalog=catalog, report_terms=terms) as child:
        settled = settle_all(child, [ask("terms", "terms"), ask("forbidden", "blocked")])
        refused = child_on(database, catalog=catalog, report_terms=Terms(role="nobody_at_all"))
        with refused as other:
            (waiting,) = settle_each(other, ask("t", "terms"))

    assert "who,memory,patience\nceleriac_reader,7MB,300ms\n" == text_of(settled["terms"])
    assert "SQLSTATE 42501" in str(settled["forbidden"].error)
    assert Fate.WAIT == waiting.fate
    assert "REPORT_ROLE" in str(waiting.error)


def test_settings_of_one_are_not_those_of_the_next(child: Child) -> None:
    """What a query sets for its transaction is undone before its companion reads."""
    settled = settle_all(child, [ask("leaky", "leaky"), ask("zone", "zone")])

    assert "zone\nUTC\n" == text_of(settled["zone"])


def test_locked_table_is_waited_for(child: Child) -> None:
    """A lock is no fault of the job: it waits by itself, and its companions commit."""
    query(child.pool.url, "CREATE TABLE public.blocked ()")

    locking = closing(psycopg2.connect(child.pool.url))
    with locking as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE public.blocked IN ACCESS EXCLUSIVE MODE")
        settled = settle(child, small(1), ask("blocked", "blocked", {"takes_long": True}))
        long = settle(child, ask("blocked", "blocked", {"takes_long": True}))

    assert {"small-01": Fate.COMMITTED, "blocked": Fate.WORKING} == fates(settled)
    assert {"blocked": Fate.TAKEN} == fates(long)
    assert "lock timeout" in str(long["blocked"].error)


def test_report_waits_for_the_commit_that_it_is_to_show(child: Child) -> None:
    """It goes on once that is there; a dead job, or one that never comes, is said to be."""
    here = "SELECT pg_current_wal_insert_lsn()::text"
    ((position,),) = query(child.pool.url, here)
    asked = {"params": {"n": 1}}

    before = settle_each(child, ask("a", "small", after="small-05", **asked))
    settle(child, small(5), ask("broken", "broken"))
    after, at, dead, never, ahead = settle_each(
        child,
        ask("a", "small", after="small-05", **asked),
        ask("b", "small", after=position, **asked),
        ask("c", "small", after="broken", **asked),
        ask("d", "small", {"waited_seconds": REPORT_SECONDS + 1}, after="nothing", **asked),
        ask("e", "small", after="FFFFFFFF/1", **asked),
    )

    assert [Fate.TAKEN] == [one.fate for one in before]
    assert [Fate.COMMITTED] * 2 == [after.fate, at.fate]
    assert (Fate.DEAD, "after names job 'broken', which is dead: it does not commit") == (
        dead.fate,
        dead.error,
    )
    assert Fate.DEAD == never.fate
    words = "waits until 'FFFFFFFF/1' is seen where reports are read"
    assert (Fate.TAKEN, words) == (ahead.fate, ahead.error)

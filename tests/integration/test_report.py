"""Reports against a real PostgreSQL: what they write, what they refuse, what they leave behind."""

import csv
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions

from celeriac.contract import State
from postgres.errors import Refused
from postgres.pool import Pool, PoolLimits
from postgres.snapshot import snapshot
from postgres.transaction import transaction
from tasks.kind import BadPayload, Job, Outcome, Tools
from tasks.report import REPORT_KIND, Report, ReportPayload
from tasks.reports.asked import key_of
from tasks.reports.declared.catalog import load_reports
from tasks.reports.request import request_of
from tests.workers import ROOT

TABLES = (ROOT / "catalog" / "tables.sql").read_text()
FLIGHTS = """
INSERT INTO public.flights (year, month, day, dep_delay, arr_delay, carrier, flight, origin, dest,
                            sched_dep_time, sched_arr_time, distance, hour, minute, time_hour)
SELECT 2013, 1, 1, CASE WHEN n % 5 > 0 THEN n END, CASE WHEN n % 5 > 0 THEN n * 2 END,
       chr(65 + n % 3), n, CASE WHEN n % 2 = 0 THEN 'JFK' ELSE 'EWR' END, 'LAX',
       600, 900, 100, 6, 0, timestamptz '2013-01-01 11:00Z' + n * interval '1 s'
FROM generate_series(1, 30) AS n
"""
ECHO = """/* celeriac
title = "<script>alert(1)</script>"
[params.given]
type = "text"
*/
SELECT :given AS given, pg_typeof(:given)::text AS type
"""


class Noting(extensions.cursor):
    """A cursor that notes what it runs."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.texts: list[str] = []

    def execute(self, query: Any, parameters: Any = None) -> None:
        """Run a statement."""
        self.texts.append(str(query))
        super().execute(query, parameters)


@dataclass
class Desk:
    """A report kind with its database, its catalog and the folder for its files."""

    kind: Report
    pool: Pool
    catalog: Path
    artifacts: Path

    def declare(self, name: str, text: str) -> None:
        """Add a report to the catalog."""
        (self.catalog / "reports" / f"{name}.sql").write_text(text)
        self.kind.open(tools(self))

    def run(self, job_id: str, name: str, **more: Any) -> Outcome:
        """Check and run one job as a worker does: claim, run, commit."""
        payload = ReportPayload(name, **more)
        self.kind.check(payload)
        with transaction(self.pool) as cursor:
            cursor.execute(
                "INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker)"
                " VALUES (%s, 'celeriac.report', %s, 'committed', 1, '', 'test')",
                (job_id, name),
            )
            (outcome,) = self.kind.run([Job(job_id, payload)], cursor)
        return outcome

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query outside of any report, and commit."""
        with transaction(self.pool) as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def files(self) -> list[str]:
        """Name every file below the artifacts."""
        return sorted(path.name for path in self.artifacts.rglob("*") if path.is_file())


@pytest.fixture
def desk(database: str, tmp_path: Path) -> Iterator[Desk]:
    """Set up a desk with the shipped report and its table of flights."""
    catalog, artifacts = tmp_path / "catalog", tmp_path / "out put"
    (catalog / "reports").mkdir(parents=True)
    pool = Pool(database, PoolLimits(size=3))
    desk = Desk(Report(), pool, catalog, artifacts)
    desk.ask(TABLES)
    desk.ask(FLIGHTS)
    shipped = ROOT / "catalog" / "reports" / "carrier_delays.sql"
    desk.declare("carrier_delays", shipped.read_text())
    yield desk
    pool.close()


def tools(desk: Desk, **changes: Any) -> Tools:
    """Offer what a worker's child would."""
    opener = partial(snapshot, desk.pool)
    made = Tools(desk.catalog, str(desk.artifacts), None, opener, 30.0, company_seconds=60.0)
    return replace(made, **changes)


def read(outcome: Outcome) -> str:
    """Read the artifact of an outcome."""
    assert outcome.result is not None
    return Path(outcome.result["url"].removeprefix("file://")).read_text()


def test_html_shows_table_and_chart(desk: Desk) -> None:
    """The page holds title, parameters, table and an SVG chart, and fetches nothing."""
    outcome = desk.run("a", "carrier_delays", params={"origin": "JFK"})

    page = read(outcome)
    assert State.COMMITTED == outcome.state
    assert "<h1>Delays by carrier</h1>" in page
    assert "<svg" in page
    assert "<dt>origin</dt><dd>JFK</dd>" in page
    assert "3 rows." in page
    assert "<script" not in page
    assert "src=" not in page


def test_csv_is_what_the_query_gives(desk: Desk) -> None:
    """The CSV holds the query's columns and rows, nothing else."""
    outcome = desk.run("a", "carrier_delays", format="csv")

    header, *rows = csv.reader(io.StringIO(read(outcome)))
    expected = desk.ask(
        "SELECT carrier, count(*)::text, count(*) FILTER (WHERE dep_delay IS NULL)::text"
        " FROM public.flights GROUP BY 1 ORDER BY avg(dep_delay) DESC, 1"
    )
    assert ["carrier", "flights", "cancelled"] == header[:3]
    assert expected == [tuple(row[:3]) for row in rows]


def test_parameter_narrows_the_answer(desk: Desk) -> None:
    """A given origin counts only its flights."""
    outcome = desk.run("a", "carrier_delays", format="csv", params={"origin": "JFK"})

    rows = csv.DictReader(io.StringIO(read(outcome)))
    assert 15 == sum(int(row["flights"]) for row in rows)


@pytest.mark.parametrize("form", ["csv", "html"])
def test_result_manifest_and_row_agree_with_the_file(desk: Desk, form: str) -> None:
    """Bytes, hash and rows are those of the file, in the result, the manifest and report_run."""
    outcome = desk.run("a", "carrier_delays", format=form)

    content = read(outcome).encode()
    result = outcome.result or {}
    path = Path(result["url"].removeprefix("file://"))
    manifest = json.loads(Path(f"{path}.json").read_text())
    stored = desk.ask("SELECT url, rows, bytes, sha256, format FROM celeriac.report_run")
    expected = {
        "url": f"file://{path}",
        "rows": 3,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "format": form,
    }
    assert expected == result
    assert [tuple(expected.values())] == stored
    assert desk.artifacts / "carrier_delays" == path.parent
    assert re.fullmatch(rf"{stem('a')}\.[0-9a-f]{{16}}\.{form}", path.name)
    assert expected == {name: manifest[name] for name in expected}
    assert {"origin": None} == manifest["params"]


def stem(job_id: str) -> str:
    """Name the file of a job."""
    return hashlib.sha256(job_id.encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (ReportPayload("nope"), "name must be one of carrier_delays, got 'nope'"),
        (ReportPayload("../../etc/passwd"), "name must be one of"),
        (ReportPayload("carrier_delays", format="pdf"), "format must be one of html, csv, .* got"),
        (ReportPayload("carrier_delays", {"from": "JFK"}), "params may hold origin .* 'from'"),
        (ReportPayload("carrier_delays", {"origin": 5}), "params.origin must be a string .* 5"),
        (ReportPayload("carrier_delays", fresh_for=-1), "fresh_for must be .* -1"),
    ],
)
def test_what_is_not_offered_is_refused(desk: Desk, payload: ReportPayload, words: str) -> None:
    """A bad name, format, parameter or age is named with its value and what is allowed."""
    with pytest.raises(BadPayload, match=words):
        desk.kind.check(payload)


@pytest.mark.parametrize(
    "given",
    [
        "'; drop table public.flights; --",
        "\\'; drop table public.flights; --",
        "$$; drop table public.flights; $$",
        "\\",
        ":given",
        "%(given)s %s {query}",
        "*/ é 💐\r\n\t",
        "",
    ],
)
def test_hostile_values_stay_values(desk: Desk, given: str) -> None:
    """Whatever a parameter holds comes out as it went in, in CSV and in HTML."""
    desk.declare("echo", ECHO)

    outcome = desk.run("a", "echo", format="csv", params={"given": given})
    desk.run("b", "echo", params={"given": given})

    result = outcome.result or {}
    text = Path(result["url"].removeprefix("file://")).read_bytes().decode()
    assert [["given", "type"], [given, "text"]] == list(csv.reader(io.StringIO(text, newline="")))
    assert [(30,)] == desk.ask("SELECT count(*) FROM public.flights")


def test_pages_escape_everything(desk: Desk) -> None:
    """Titles, columns, values and labels of charts are never markup."""
    evil = "</td></svg><script>alert(1)</script>"
    chart = f"[chart]\nkind = 'bar'\nx = '{evil}'\ny = 'n'\ntitle = '{evil}'\n*/"
    column = ECHO.replace("AS given", f'AS "{evil}"').replace("AS type", "AS type, 1 AS n")
    desk.declare("evil", column.replace("*/", chart))

    outcome = desk.run("a", "evil", params={"given": evil})

    page = read(outcome)
    assert "<svg" in page
    assert "<script" not in page
    assert 1 == page.count("</svg>")


def test_failing_query_leaves_nothing(desk: Desk) -> None:
    """A query that fails after rows were written leaves no file, no draft, no row."""
    rows = "SELECT 1 / (200000 - n) AS n, repeat('x', 50) FROM generate_series(1, 200000) AS n"
    desk.declare("broken", f"/* celeriac\ntitle = 'Broken'\n*/ {rows}")

    outcome = desk.run("a", "broken", format="csv")

    words = "report broken: division by zero (SQLSTATE 22012, broken.sql)"
    assert (State.DEAD, words) == (outcome.state, outcome.error)
    assert [] == desk.files()
    assert [] == desk.ask("SELECT 1 FROM celeriac.report_run")


def test_lost_transaction_publishes_nothing(desk: Desk) -> None:
    """A run whose job's transaction is dead does not replace the file of its successor."""
    payload = ReportPayload("carrier_delays", format="csv")

    with pytest.raises(Refused), transaction(desk.pool) as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone() or (0,)
        desk.ask(f"SELECT pg_terminate_backend({pid}, 5000)")
        desk.kind.run([Job("a", payload)], cursor)

    assert [] == desk.files()


def test_drafts_of_the_dead_are_removed(desk: Desk) -> None:
    """What a killed run of the same job left behind is gone after the next; others stay."""
    drafts = desk.artifacts / ".drafts"
    drafts.mkdir(parents=True)
    (drafts / f"{stem('a')}.0123.csv").write_text("half")
    (drafts / f"{stem('b')}.0123.csv").write_text("half")

    desk.run("a", "carrier_delays", format="csv")

    assert [f"{stem('b')}.0123.csv"] == [path.name for path in drafts.iterdir()]


def test_object_stores_get_whole_files(desk: Desk) -> None:
    """An artifacts URL of another file system gets the file and its manifest."""
    desk.kind.open(tools(desk, artifacts="memory://reports"))

    outcome = desk.run("a", "carrier_delays", format="csv", fresh_for=60)
    again = desk.run("b", "carrier_delays", format="csv", fresh_for=60)

    url = (outcome.result or {})["url"]
    assert url.startswith(f"memory:///reports/carrier_delays/{stem('a')}.")
    assert url == (again.result or {})["url"]


def test_fresh_answer_is_given_again(desk: Desk) -> None:
    """An equal question gets the file of a run that is young enough, another does not."""
    first = desk.run("a", "carrier_delays", format="csv")

    equal = desk.run("b", "carrier_delays", format="csv", fresh_for=60)
    other = desk.run("c", "carrier_delays", format="csv", fresh_for=60, params={"origin": "JFK"})
    anew = desk.run("d", "carrier_delays", format="csv")

    answer = equal.result or {}
    ((as_of,),) = desk.ask("SELECT started_at FROM celeriac.report_run WHERE job_id = 'a'")
    said = {"run": "a", "age_seconds": answer["age_seconds"], "as_of": as_of.isoformat()}
    assert {**(first.result or {}), **said} == answer
    assert 3 == len({(run.result or {})["url"] for run in (first, other, anew)})
    assert [(3,)] == desk.ask("SELECT count(*) FROM celeriac.report_run")


def test_clock_of_the_reports_server_makes_nothing_fresh(desk: Desk) -> None:
    """How old an answer is says the ledger's clock, not that of the server which was read."""
    desk.run("a", "carrier_delays", format="csv")
    desk.ask("UPDATE celeriac.report_run SET started_at = started_at + interval '1 hour'")

    anew = desk.run("b", "carrier_delays", format="csv", fresh_for=1e-6)
    again = desk.run("c", "carrier_delays", format="csv", fresh_for=600)

    assert "run" not in (anew.result or {})
    assert "b" == (again.result or {})["run"]
    assert 0 <= (again.result or {})["age_seconds"] < 600


def test_equal_questions_look_for_an_answer_once(desk: Desk) -> None:
    """Of many that ask the same, each takes the newest run if that is young enough for it."""
    desk.run("a", "carrier_delays", format="csv")
    ages = (1e-6, 600, 6_000)
    payloads = [ReportPayload("carrier_delays", format="csv", fresh_for=age) for age in ages]
    jobs = [Job(f"job-{n}", payload) for n, payload in enumerate(payloads)]

    desk.ask(
        "INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker)"
        " SELECT 'job-' || n, 'celeriac.report', '', 'committed', 1, '', 'test'"
        " FROM generate_series(0, 2) AS n"
    )
    with closing(psycopg2.connect(desk.pool.url)) as connection:
        with connection.cursor(cursor_factory=Noting) as cursor:
            outcomes = desk.kind.run(jobs, cursor)
        connection.rollback()

    answered = {one.job_id: (one.result or {}).get("run") for one in outcomes}
    assert {"job-0": None, "job-1": "a", "job-2": "a"} == answered
    assert 1 == sum("make_interval" in text for text in cursor.texts)


def test_long_questions_are_not_kept(desk: Desk) -> None:
    """Of a question of megabytes a process remembers a few bytes, which tell it from others."""
    desk.declare("echo", ECHO)
    payloads = [ReportPayload("echo", {"given": "x" * 1_000_000 + end}) for end in "ab"]
    before = sys.getrefcount(payloads[0])

    desk.kind.check(payloads[0])
    after = sys.getrefcount(payloads[0])
    reports = load_reports(desk.catalog, 30.0)
    keys = {key_of(request_of(reports, "echo", one.params, "csv"), None) for one in payloads}

    assert before == after
    assert [32, 32] == [len(key) for key in keys]


def test_vanished_file_is_made_again(desk: Desk) -> None:
    """A fresh run whose file is gone is no answer."""
    first = desk.run("a", "carrier_delays", format="csv")
    Path((first.result or {})["url"].removeprefix("file://")).unlink()

    second = desk.run("b", "carrier_delays", format="csv", fresh_for=60)

    assert read(second).startswith("carrier,")


def test_chart_without_its_column_buries_the_job(desk: Desk) -> None:
    """A chart that names no column of the answer is an error that names both."""
    text = "title = 'T'\n[chart]\nkind = 'bar'\nx = 'a'\ny = 'c'"
    desk.declare("torn", f"/* celeriac\n{text}\n*/ SELECT 1 AS a, 2 AS b")

    outcome = desk.run("a", "torn")

    assert State.DEAD == outcome.state
    assert "report torn: chart needs column 'c', the query gives a, b" == outcome.error
    assert [] == desk.files()


def test_long_answers_are_cut_in_pages_only(desk: Desk) -> None:
    """A page shows the first rows and says so; the count is that of all rows."""
    desk.declare(
        "long", "/* celeriac\ntitle = 'L'\n*/ SELECT n FROM generate_series(1, 12345) AS n -- all"
    )

    html, all_rows = desk.run("a", "long"), desk.run("b", "long", format="csv")

    page = read(html)
    assert "only the first 5,000 of 12,345 rows" in page
    assert 5000 == page.count("<tr><td>")
    assert [12345, 12345] == [(run.result or {})["rows"] for run in (html, all_rows)]
    assert 12346 == len(read(all_rows).splitlines())


def test_slow_query_is_stopped(desk: Desk) -> None:
    """A query over the time limit is cancelled by the server."""
    desk.declare("slow", "/* celeriac\ntitle = 'S'\n*/ SELECT pg_sleep(60)")
    desk.kind.open(tools(desk, report_seconds=0.2))

    outcome = desk.run("a", "slow", format="csv")

    assert State.DEAD == outcome.state
    assert "statement timeout (SQLSTATE 57014, slow.sql)" in str(outcome.error)


def test_report_cannot_write(desk: Desk) -> None:
    """A report whose query has an effect is refused by the read-only transaction."""
    desk.ask("CREATE SEQUENCE public.counter")
    desk.declare("writer", "/* celeriac\ntitle = 'W'\n*/ SELECT nextval('public.counter')")

    outcome = desk.run("a", "writer", format="csv")

    assert State.DEAD == outcome.state
    assert "(SQLSTATE 25006, writer.sql)" in str(outcome.error)


def test_worker_finds_the_kind() -> None:
    """The shipped instance answers to the task's name on the report queue."""
    preview = REPORT_KIND.preview({"name": "carrier_delays"})

    assert ("celeriac.report", "celeriac.report") == (REPORT_KIND.name, REPORT_KIND.queue)
    assert "report carrier_delays" == preview.text
    assert "" == REPORT_KIND.preview({"name": 5}).subject

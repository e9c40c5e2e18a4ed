"""Whether the catalog's reports can be answered by the database that they read."""

from collections.abc import Iterator

from config import Settings
from postgres.errors import PostgresError
from postgres.server import look_at_server
from postgres.snapshot import snapshot
from tasks.reports.declared.catalog import load_reports
from tasks.targets import BadCatalog
from worker.commands.connect import report_pool
from worker.commands.layout import counted
from worker.commands.report_check import problems_of_report
from worker.doctor.database import refused
from worker.doctor.finding import Finding, ok, problem

_ABOUT = "report database"


def look_at_reports(settings: Settings) -> Iterator[Finding]:
    """Tell about the database that reports read, if it is another one, and about each report."""
    pool = report_pool()
    try:
        with snapshot(pool) as cursor:
            facts = look_at_server(cursor)
        if not settings.reports_share_the_database:
            what = "a replica" if facts.is_replica else "no replica"
            yield ok(_ABOUT, f"PostgreSQL {facts.version}, {what}")
        reports = load_reports(settings.catalog, settings.report_seconds)
        bad = 0
        for name, report in reports.items():
            for sentence in problems_of_report(report, pool, settings.report_seconds):
                bad += 1
                remedy = f"mend that, then: python -m worker reports check {name}"
                yield problem(f"report {name}", sentence, remedy)
        if not bad:
            yield ok("reports", f"{counted(len(reports), 'report')} fit the database")
    except BadCatalog as error:
        yield problem("reports", str(error), f"correct it in {settings.catalog / 'reports'}")
    except PostgresError as error:
        if not settings.reports_share_the_database:
            yield refused(_ABOUT, str(settings.report_database_url), "REPORT_DATABASE_URL", error)
    finally:
        pool.close()

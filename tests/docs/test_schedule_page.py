"""What docs/schedule.md shows to add to a report of the demo is a schedule of it."""

from pathlib import Path

from tasks.reports.declared.catalog import load_reports
from tasks.reports.declared.schedule import Missed
from tests.docs.markdown import blocks
from tests.workers import ROOT
from worker.schedule.plan import plans_of

REPORTS = ROOT / "catalog" / "reports"
FORMAT = 'format = "html"\n'


def test_a_demo_report_gets_a_schedule_by_two_lines(tmp_path: Path) -> None:
    """The demo has no schedule; with the lines of the page, carrier_delays has."""
    (lines,) = [
        block.text
        for block in blocks(ROOT / "docs" / "schedule.md")
        if block.info == "toml schedule of carrier_delays"
    ]
    (tmp_path / "reports").mkdir()
    text = (REPORTS / "carrier_delays.sql").read_text()

    (tmp_path / "reports" / "carrier_delays.sql").write_text(text.replace(FORMAT, FORMAT + lines))
    plans = plans_of(load_reports(tmp_path).values(), Missed.LAST)

    assert [("carrier_delays", "15 6 * * mon-fri", "America/New_York")] == [
        tuple(plan.key) for plan in plans
    ]
    assert [] == plans_of(load_reports(ROOT / "catalog").values(), Missed.LAST)

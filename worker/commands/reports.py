"""The reports of the catalog and their files: what operators ask of them."""

import click

from worker.commands.report_check import check_reports
from worker.commands.report_list import list_reports
from worker.commands.report_purge import purge_files
from worker.commands.report_run import run_report
from worker.commands.report_verify import verify_files


@click.group()
def reports() -> None:
    """List reports, check them against the database, run one here; verify and purge files."""


reports.add_command(list_reports)
reports.add_command(check_reports)
reports.add_command(run_report)
reports.add_command(verify_files)
reports.add_command(purge_files)

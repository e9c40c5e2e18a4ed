"""Enqueue the reports that have a schedule, each tick once."""

import logging
import os
from datetime import UTC, datetime, timedelta
from itertools import islice
from socket import gethostname
from uuid import uuid4

import click

from tasks.reports.declared.catalog import load_reports
from tasks.reports.declared.schedule import Missed
from worker import events
from worker.commands.connect import long_lived_pool
from worker.health.sign import SignsOfLife
from worker.outside import asked_to_stop, settings_of_this_process
from worker.schedule.plan import Plan, plans_of
from worker.schedule.scheduler import Scheduler

#: A turn that takes longer stands still: its statements have limits of their own.
_SIGN_SECONDS = 60.0
_LOG_FORMAT = "[%(asctime)s: %(levelname)s/schedule] %(message)s"
_TICKS_SHOWN = 3
#: Of the dedupe horizon; what lies so far back no calendar has to reach.
_MOST_DAYS = 36_500.0


@click.command()
@click.option("--list", "only_list", is_flag=True, help="Show the next ticks, and end.")
def schedule(*, only_list: bool) -> None:
    """Enqueue the reports that have a schedule, each tick once, until SIGTERM or Ctrl-C.

    Several may run at once, on any machine.
    """
    settings = settings_of_this_process()
    reports = load_reports(settings.catalog)
    plans = plans_of(reports.values(), Missed(settings.missed_ticks))
    now = datetime.now(UTC)
    if only_list:
        _list(plans, now)
        return
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)
    for plan in plans:
        events.report_scheduled(
            report=plan.report,
            cron=plan.schedule.cron,
            timezone=plan.schedule.timezone,
            next_tick=next((_words(tick) for tick in plan.schedule.ticks(now)), "never"),
        )
    _run(plans, timedelta(days=min(settings.dedupe_days, _MOST_DAYS)))


def _list(plans: list[Plan], now: datetime) -> None:
    for plan in plans:
        missed = f"missed: {plan.missed.value}"
        click.echo(f"{plan.report}  {plan.schedule.cron}  {plan.schedule.timezone}  {missed}")
        for tick in islice(plan.schedule.ticks(now), _TICKS_SHOWN):
            click.echo(f"  {_words(tick)}  {plan.schedule.local(tick):%a %Y-%m-%d %H:%M %Z}")
    if not plans:
        click.echo("no report of the catalog has a schedule")


def _run(plans: list[Plan], keep: timedelta) -> None:
    stop = asked_to_stop()
    name = f"{gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
    pool = long_lived_pool(f"celeriac scheduler {name}")
    signs = SignsOfLife(settings_of_this_process().alive_file, "schedule", _SIGN_SECONDS)
    signs.start()
    events.scheduler_ready(scheduler=name, reports=len(plans))
    try:
        Scheduler(plans, keep, pool, tell=signs.tell).run(stop)
    finally:
        signs.end()
        pool.close()
    events.scheduler_stopped(scheduler=name)


def _words(tick: datetime) -> str:
    return f"{tick:%Y-%m-%dT%H:%M:%SZ}"

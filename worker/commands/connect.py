"""What the commands connect to: databases, as the settings say."""

from postgres.pool import Pool, PoolLimits
from postgres.session import Session
from postgres.snapshot_cursor import Terms
from worker.outside import settings_of_this_process


def ledger_pool() -> Pool:
    """Open a pool of one connection to the database that holds the ledger."""
    return Pool(settings_of_this_process().database_url.get_secret_value(), PoolLimits(size=1))


def long_lived_pool(application_name: str) -> Pool:
    """Open a pool of one connection to the ledger's database, under workers' settings."""
    settings = settings_of_this_process()
    limits = PoolLimits(size=1, max_age_seconds=settings.connection_max_age_seconds)
    url = settings.database_url.get_secret_value()
    return Pool(url, limits, _session(application_name))


def report_pool() -> Pool:
    """Open a pool of one connection to the database that reports read, under workers' settings."""
    settings = settings_of_this_process()
    url = settings.report_database_url or settings.database_url
    return Pool(url.get_secret_value(), PoolLimits(size=1), _session("celeriac reports"))


def report_terms() -> Terms:
    """Return under which terms workers read reports."""
    settings = settings_of_this_process()
    return Terms(
        lock_seconds=settings.report_lock_seconds,
        work_mem=settings.report_work_mem,
        role=settings.report_role,
    )


def _session(application_name: str) -> Session:
    settings = settings_of_this_process()
    return Session(
        application_name=application_name,
        connect_seconds=settings.connect_seconds,
        lock_seconds=settings.lock_seconds,
        statement_seconds=settings.statement_seconds,
        dead_peer_seconds=settings.dead_peer_seconds,
    )

"""What the commands connect to: the ledger's database, as the settings say."""

from postgres.pool import Pool, PoolLimits
from worker.outside import settings_of_this_process


def ledger_pool() -> Pool:
    """Open a pool of one connection to the database that holds the ledger."""
    return Pool(settings_of_this_process().database_url.get_secret_value(), PoolLimits(size=1))

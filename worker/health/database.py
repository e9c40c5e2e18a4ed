"""Ask whether a process can reach its databases: one that is idle would not know."""

from collections.abc import Iterable

from postgres.errors import PostgresError
from postgres.pool import Pool, PoolLimits
from postgres.session import Session


def ask(urls: Iterable[str], connect_seconds: int) -> str:
    """Connect as they do; return what went wrong, or an empty text."""
    session = Session(application_name="celeriac health", connect_seconds=connect_seconds)
    for url in urls:
        pool = Pool(url, PoolLimits(size=1), session)
        try:
            with pool.connection(leaves_nothing=True):
                pass
        except PostgresError as error:
            return f"PostgreSQL does not answer: {error}"
        finally:
            pool.close()
    return ""

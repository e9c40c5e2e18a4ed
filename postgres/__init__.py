"""Everything that talks to PostgreSQL; no other package knows the driver."""

from psycopg2.extensions import connection as Connection  # noqa: N812 - a class in all but name
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class in all but name

__all__ = ["Connection", "Cursor"]

"""Run a statement on a connection of the caller's, whichever driver it is of.

No driver is imported: the classes of a connection say where they come from.
Nothing is committed and nothing rolled back.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any, Final

from celeriac.errors import BadSetting

Parameters = Mapping[str, "str | None"]

#: Packages whose connections we know; the first of a connection's classes counts.
KNOWN: Final = ("psycopg2", "psycopg", "django", "sqlalchemy", "asyncpg")
_PLACE: Final = re.compile(r":(\w+)")


def driver_of(connection: Any) -> str:
    """Name the package that a connection comes from, or raise :class:`BadSetting`."""
    return _driver_of_kind(type(connection))  # type: ignore[arg-type]  # every class has a hash


@lru_cache
def _driver_of_kind(kind: type) -> str:
    roots = [one.__module__.partition(".")[0] for one in kind.__mro__]
    for root in roots:
        if root in KNOWN:
            return root
    raise BadSetting(
        f"outbox() takes a connection of {', '.join(KNOWN)}, got one of"
        f" {kind.__module__}.{kind.__qualname__}"
    )


def is_asynchronous(connection: Any) -> bool:
    """Tell whether the connection's methods have to be awaited."""
    return driver_of(connection) == "asyncpg" or iscoroutinefunction(
        getattr(connection, "execute", None)
    )


def execute(connection: Any, statement: str, parameters: Parameters) -> None:
    """Run a statement, with parameters as ``:name``, in the caller's transaction."""
    if driver_of(connection) == "sqlalchemy":
        connection.execute(_text(statement), dict(parameters))
        return
    with connection.cursor() as cursor:
        cursor.execute(_with_percent(statement), dict(parameters))


async def execute_async(connection: Any, statement: str, parameters: Parameters) -> None:
    """Do the same on a connection whose methods are awaited."""
    driver = driver_of(connection)
    if driver == "asyncpg":
        names = list(dict.fromkeys(_PLACE.findall(statement)))
        numbered = _PLACE.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
        await connection.fetchval(numbered, *(parameters[name] for name in names))
    elif driver == "sqlalchemy":
        await connection.execute(_text(statement), dict(parameters))
    else:
        async with connection.cursor() as cursor:
            await cursor.execute(_with_percent(statement), dict(parameters))


def _text(statement: str) -> Any:
    # Imported already, since there is a connection of it.
    return import_module("sqlalchemy").text(statement)


@lru_cache
def _with_percent(statement: str) -> str:
    return _PLACE.sub(r"%(\1)s", statement)

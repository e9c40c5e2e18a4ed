"""The job of everybody: one row of the same five columns; run by producers and peers alike."""

from typing import Any

#: For drivers that bind by name; asyncpg's form stands in its own peer.
INSERT = (
    "INSERT INTO bench_rows (id, name, amount, at, note) "
    "VALUES (%(id)s, %(name)s, %(amount)s, %(at)s, %(note)s)"
)


def row(number: int) -> dict[str, Any]:
    """Return the row of one job."""
    return {
        "id": number,
        "name": f"customer {number % 1000}",
        "amount": f"{number % 10_000}.{number % 100:02d}",
        "at": f"2026-03-{number % 28 + 1:02d}T{number % 24:02d}:30:00+00:00",
        "note": f"order {number} was taken at the counter, paid by card",
    }

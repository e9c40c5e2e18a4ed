"""A depot: the tables, the catalog and the files that tests of file jobs work with."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.integration.batches import body_of
from tests.integration.shop import query
from worker.delivery import Delivery

CATALOG = Path(__file__).with_name("depot_catalog")
TASK = "celeriac.ingest_file"
#: Small, so that a small file has many; FILES cuts no smaller ones.
CHUNK_ROWS = 100


def create_tables(database: str) -> None:
    """Create the depot's tables in a migrated database."""
    query(database, (CATALOG / "tables.sql").read_text())


def write_csv(path: Path, rows: Iterable[Sequence[object]], header: str = "id,weight,note") -> Path:
    """Write a CSV file whose values need no quotes."""
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def parcels(count: int) -> list[tuple[object, ...]]:
    """Return rows that fit."""
    return [(n, n % 50, f"parcel {n}") for n in range(count)]


def arguments(target: str, path: Path, **options: Any) -> dict[str, Any]:
    """Return the arguments of a file job, its chunks small."""
    options = {"chunk_rows": CHUNK_ROWS} | options
    return {"target": target, "url": str(path), "options": options}


def deliver_file(id_: str, target: str, path: Path, **options: Any) -> Delivery:
    """Make the delivery of one file job."""
    return Delivery(id_, TASK, body_of(arguments(target, path, **options)))

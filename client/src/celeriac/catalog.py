"""Know which targets and reports the workers serve, as far as they published it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redis import Redis
from redis.exceptions import ResponseError

from celeriac.errors import BadPayload
from celeriac.server import Server
from celeriac.values import decode

FRESH_SECONDS: Final = 30.0
_SHOWN_NAMES: Final = 10


@dataclass(frozen=True, slots=True)
class Published:
    """What workers said of themselves; ``result_db`` is None when results live elsewhere."""

    targets: frozenset[str]
    reports: frozenset[str]
    result_db: int | None


class Catalog:
    """The published catalog, fetched when needed and kept for a while."""

    def __init__(self, server: Server, key: str) -> None:
        self._server = server
        self._key = key
        # One tuple, replaced whole, so that threads never see half of a change.
        self._kept: tuple[float, Published | None] | None = None

    def published(self) -> Published | None:
        """Return what is published, or None if nothing is or we may not read it."""
        kept = self._kept
        if kept is None or time.monotonic() - kept[0] > FRESH_SECONDS:
            return self._fetch()
        return kept[1]

    def check_target(self, name: str) -> None:
        """Refuse a target that no worker serves; without a catalog, leave it to the worker."""
        known = self.published()
        if known and name not in known.targets:
            # Asked anew before refusing: the target may have come since.
            known = self._fetch()
            _require("target", name, known.targets if known else None)

    def check_report(self, name: str) -> None:
        """Refuse a report that no worker serves; without a catalog, leave it to the worker."""
        known = self.published()
        if known and name not in known.reports:
            known = self._fetch()
            _require("name", name, known.reports if known else None)

    def _fetch(self) -> Published | None:
        found = read_catalog(self._server.ask(f"GET {self._key}", self._get))
        self._kept = (time.monotonic(), found)
        return found

    def _get(self, redis: Redis) -> object:
        try:
            return redis.get(self._key)
        except ResponseError:
            # Producers may be forbidden to read it; then checking is the worker's.
            return None


def read_catalog(raw: object) -> Published | None:
    """Read the published JSON; anything else counts as not published."""
    try:
        found = decode(raw) if isinstance(raw, (bytes, str)) else None
    except ValueError:
        return None
    if not isinstance(found, Mapping):
        return None
    targets, reports = found.get("targets"), found.get("reports")
    if not isinstance(targets, list) or not isinstance(reports, list):
        return None
    result_db = found.get("result_db")
    return Published(
        targets=frozenset(map(str, targets)),
        reports=frozenset(map(str, reports)),
        result_db=result_db if type(result_db) is int else None,
    )


def _require(field: str, name: str, served: frozenset[str] | None) -> None:
    if served is None or name in served:
        return
    names = ", ".join(map(repr, sorted(served)[:_SHOWN_NAMES])) or "none at all"
    more = f" and {len(served) - _SHOWN_NAMES} more" if len(served) > _SHOWN_NAMES else ""
    raise BadPayload(f"{field} {name!r} is not served, workers serve {names}{more}")

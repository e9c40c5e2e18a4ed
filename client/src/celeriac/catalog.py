"""Know which targets and reports the workers serve, as far as they published it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from celeriac.errors import BadPayload, BrokerUnavailable
from celeriac.report_form import Asked, ReportForm, read_form
from celeriac.steps import Ask, Plan
from celeriac.urls import Address
from celeriac.values import decode

FRESH_SECONDS: Final = 30.0
_SHOWN_NAMES: Final = 10


@dataclass(frozen=True, slots=True)
class Published:
    """What workers said of themselves; ``result_db`` is None when results live elsewhere."""

    targets: frozenset[str]
    reports: frozenset[str]
    result_db: int | None
    #: What reports take, of those that said it; workers of an earlier version do not.
    forms: Mapping[str, ReportForm]


class Catalog:
    """The published catalog, fetched when needed and kept for a while."""

    def __init__(self, server: Address, key: str) -> None:
        self._server = server
        self._key = key
        # One tuple, replaced whole, so that threads never see half of a change.
        self._kept: tuple[float, Published | None] | None = None

    def published(self) -> Plan[Published | None]:
        """Return what is published, or None if nothing is or we may not read it."""
        kept = self._kept
        if kept is None or time.monotonic() - kept[0] > FRESH_SECONDS:
            return (yield from self._fetch())
        return kept[1]

    def lets_pass(self, target: str) -> bool:
        """Tell whether a target need not be checked, by what was asked not long ago."""
        kept = self._kept
        if kept is None or time.monotonic() - kept[0] > FRESH_SECONDS:
            return False
        return kept[1] is None or target in kept[1].targets

    def check_target(self, name: str) -> Plan[None]:
        """Refuse a target that no worker serves; without a catalog, leave it to the worker."""
        known = yield from self.published()
        if known and name not in known.targets:
            # Asked anew before refusing: the target may have come since.
            known = yield from self._fetch()
            if known and name not in known.targets:
                raise BadPayload(_not_served("target", name, known.targets))

    def check_report(self, asked: Asked) -> Plan[None]:
        """Refuse what no worker would answer; without a catalog, leave it to the worker."""
        known = yield from self.published()
        if known and _refusal(asked, known):
            known = yield from self._fetch()
            words = _refusal(asked, known) if known else None
            if words:
                raise BadPayload(words)

    def _fetch(self) -> Plan[Published | None]:
        found = read_catalog((yield from self._get()))
        self._kept = (time.monotonic(), found)
        return found

    def _get(self) -> Plan[object]:
        try:
            return (yield Ask(self._server, ("GET", self._key), f"GET {self._key}"))
        except BrokerUnavailable as error:
            # Producers may be forbidden to read it; then checking is the worker's.
            if error.refused:
                return None
            raise


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
    result_db, published = found.get("result_db"), found.get("report_forms")
    forms = published.items() if isinstance(published, Mapping) else ()
    read = {str(name): read_form(form) for name, form in forms}
    return Published(
        targets=frozenset(map(str, targets)),
        reports=frozenset(map(str, reports)),
        result_db=result_db if type(result_db) is int else None,
        forms={name: form for name, form in read.items() if form is not None},
    )


def _refusal(asked: Asked, known: Published) -> str | None:
    if asked.name not in known.reports:
        return _not_served("name", asked.name, known.reports)
    form = known.forms.get(asked.name)
    return form.mistake(asked) if form else None


def _not_served(field: str, name: str, served: frozenset[str]) -> str:
    names = ", ".join(map(repr, sorted(served)[:_SHOWN_NAMES])) or "none at all"
    more = f" and {len(served) - _SHOWN_NAMES} more" if len(served) > _SHOWN_NAMES else ""
    return f"{field} {name!r} is not served, workers serve {names}{more}"

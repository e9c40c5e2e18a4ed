"""Tell clients which targets and reports there are, so that they can check before they send."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from celery import Celery

from celeriac.contract import CATALOG_KEY
from tasks.reports.declared.catalog import DeclaredReport, load_reports
from tasks.reports.declared.parameter import Parameter
from tasks.targets import load_targets
from worker import events

#: What tells two servers apart; behind Sentinel none of it is known.
_SERVER = ("path", "host", "port")


def publish_catalog(app: Celery, catalog: Path) -> None:
    """Write what workers serve under CATALOG_KEY in the broker; a failure is only logged."""
    reports = load_reports(catalog)
    published: dict[str, Any] = {
        "targets": sorted(load_targets(catalog)),
        "reports": sorted(reports),
        "report_forms": {name: form_of(report) for name, report in reports.items()},
    }
    broker = app.connection_for_write()
    try:
        with broker as connection:
            client: Any = connection.default_channel.client
            published["result_db"] = _result_db(_place(client), _place(app.backend.client))
            client.set(CATALOG_KEY, json.dumps(published))
    except (*broker.connection_errors, *broker.channel_errors) as error:
        events.catalog_not_published(reason=str(error))


def form_of(report: DeclaredReport) -> dict[str, Any]:
    """Say what a report takes, so that clients refuse what it would."""
    params = report.header.params
    return {
        "params": {name: _taken(parameter) for name, parameter in params.items()},
        "formats": [one.value for one in report.formats],
    }


def _taken(parameter: Parameter) -> dict[str, Any]:
    low, high = parameter.bounds
    facts = {
        "required": parameter.required or None,
        "values": list(parameter.values) or None,
        "min": low and low.text,
        "max": high and high.text,
        "max_length": parameter.max_length,
    }
    declared = {name: fact for name, fact in facts.items() if fact is not None}
    return {"type": parameter.type, **declared}


def _place(client: Any) -> Mapping[str, Any]:
    """Return where a client connects, all defaults filled in by its library."""
    place: Mapping[str, Any] = client.connection_pool.connection_kwargs
    return place


def _result_db(broker: Mapping[str, Any], results: Mapping[str, Any]) -> int | None:
    """Return the database number of the results if they live on the broker's server."""
    servers = [tuple(place.get(part) for part in _SERVER) for place in (broker, results)]
    known = any(servers[0])
    return int(results["db"]) if known and servers[0] == servers[1] else None

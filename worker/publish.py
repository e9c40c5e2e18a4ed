"""Tell clients which targets and reports there are, so that they can check names."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from celery import Celery

from celeriac.contract import CATALOG_KEY
from tasks.reports.catalog import load_reports
from tasks.targets import load_targets
from worker import events

#: What tells two servers apart; behind Sentinel none of it is known.
_SERVER = ("path", "host", "port")


def publish_catalog(app: Celery, catalog: Path) -> None:
    """Write the names under CATALOG_KEY in the broker; a failure is only logged."""
    published: dict[str, Any] = {
        "targets": sorted(load_targets(catalog)),
        "reports": sorted(load_reports(catalog)),
    }
    broker = app.connection_for_write()
    try:
        with broker as connection:
            client: Any = connection.default_channel.client
            published["result_db"] = _result_db(_place(client), _place(app.backend.client))
            client.set(CATALOG_KEY, json.dumps(published))
    except (*broker.connection_errors, *broker.channel_errors) as error:
        events.catalog_not_published(reason=str(error))


def _place(client: Any) -> Mapping[str, Any]:
    """Return where a client connects, all defaults filled in by its library."""
    place: Mapping[str, Any] = client.connection_pool.connection_kwargs
    return place


def _result_db(broker: Mapping[str, Any], results: Mapping[str, Any]) -> int | None:
    """Return the database number of the results if they live on the broker's server."""
    servers = [tuple(place.get(part) for part in _SERVER) for place in (broker, results)]
    known = any(servers[0])
    return int(results["db"]) if known and servers[0] == servers[1] else None

"""Tell clients which targets and reports there are, so that they can check names."""

import json
from pathlib import Path
from typing import Any

from celery import Celery
from redis.exceptions import RedisError

from celeriac.contract import CATALOG_KEY
from tasks.report_catalog import load_reports
from tasks.targets import load_targets
from worker import events


def publish_catalog(app: Celery, catalog: Path) -> None:
    """Write the names under CATALOG_KEY in the broker; a failure is only logged."""
    published = {
        "targets": sorted(load_targets(catalog)),
        "reports": sorted(load_reports(catalog)),
        "result_db": _result_db(app),
    }
    try:
        with app.connection_for_write() as connection:
            client: Any = connection.default_channel.client
            client.set(CATALOG_KEY, json.dumps(published))
    except (RedisError, OSError, *app.connection_for_write().connection_errors) as error:
        events.catalog_not_published(reason=str(error))


def _result_db(app: Celery) -> int | None:
    """Return the database number of the results if they live on the broker's server."""
    broker = app.connection_for_read()
    parameters = app.backend.connparams
    same = (
        parameters.get("path") == broker.hostname
        if "path" in parameters
        else (parameters.get("host"), parameters.get("port")) == (broker.hostname, broker.port)
    )
    return int(parameters["db"]) if same else None

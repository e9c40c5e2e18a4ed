"""Copy the file of a report without holding up the loop."""

import asyncio
from collections.abc import Mapping
from threading import Event
from typing import TYPE_CHECKING, Any

from celeriac.download import fetch

if TYPE_CHECKING:
    from pathlib import Path


async def fetch_in_thread(result: Mapping[str, Any], to: Any) -> "Path | None":
    """Do as :func:`celeriac.download.fetch` in a thread; one that is cancelled soon stops."""
    given_up = Event()
    try:
        return await asyncio.to_thread(fetch, result, to, given_up.is_set)
    except asyncio.CancelledError:
        given_up.set()
        raise

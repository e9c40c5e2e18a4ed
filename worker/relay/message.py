"""Write a job of the outbox as kombu pushes it: Celery's message, protocol 2."""

import base64
import os
import uuid
from collections.abc import Mapping
from socket import gethostname
from typing import Any

import msgspec

from postgres.relay import DueJob
from worker.message import RELAYED

_EMBED = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Writer:
    """Writes the messages of one relay."""

    def __init__(self) -> None:
        self._origin = f"relay{os.getpid()}@{gethostname()}"

    def write(self, job: DueJob, queue: str) -> tuple[int, bytes]:
        """Return the job's priority and its message."""
        options = _decode(job.options) if job.options else {}
        properties = {"correlation_id": job.id, "priority": options.get("priority", 0)}
        properties |= options.get("properties", {})
        properties |= {
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        }
        body = job.body if job.body is not None else f"[[], {job.kwargs}, {_EMBED}]"
        message = {
            "body": base64.b64encode(body.encode("utf-8")).decode("ascii"),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": self._headers(job, options),
            "properties": properties,
        }
        return properties["priority"], _encode(message)

    def _headers(self, job: DueJob, options: Mapping[str, Any]) -> dict[str, Any]:
        headers: dict[str, Any] = {
            "lang": "py",
            "task": job.task,
            "id": job.id,
            "shadow": None,
            "eta": None,
            "expires": options.get("expires"),
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": job.id,
            "parent_id": None,
            "argsrepr": "()",
            "kwargsrepr": "",
            "origin": self._origin,
            "ignore_result": not options.get("track", True),
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        }
        # A parked message keeps what it came with; who it is and when it runs is settled here.
        headers |= options.get("headers", {})
        headers |= {"id": job.id, "task": job.task, "eta": None, RELAYED: True}
        return headers

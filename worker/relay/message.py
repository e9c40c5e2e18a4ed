"""Write a job of the outbox as kombu pushes it: Celery's message, protocol 2."""

import os
from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from socket import gethostname
from typing import Any

import msgspec

from celeriac.contract import GROUP
from postgres.relay import DueJob

#: Header of a message that came by the outbox: the job's commit takes it out of there.
RELAYED = "relayed"

_EMBED = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'
#: Stand in a form for what differs from job to job; jsonb holds no NUL, so no options can be these.
_ID, _BODY, _TAG = "\0id", "\0body", "\0tag"
#: Forms are kept for options as applications repeat them, for so many at most.
_KEPT_CHARACTERS, _KEPT_FORMS = 100, 64
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class _Form:
    """What messages of jobs with the same task and options have in common."""

    priority: int
    #: A message with places for what differs.
    text: bytes
    #: What follows the arguments in a body that is made here.
    embed: str


class Writer:
    """Writes the messages of one relay."""

    def __init__(self) -> None:
        self._origin = f"relay{os.getpid()}@{gethostname()}"
        self._forms: dict[tuple[str, str, str | None], _Form] = {}

    def write(self, job: DueJob, queue: str) -> tuple[int, bytes]:
        """Return the job's priority and its message."""
        form = self._forms.get((job.task, queue, job.options)) or self._form(job, queue)
        body = job.body if job.body is not None else f"[[], {job.kwargs}, {form.embed}]"
        message = form.text % {
            b"id": _encode(job.id),
            b"body": b2a_base64(body.encode("utf-8"), newline=False),
            b"tag": _new_tag(),
        }
        return form.priority, message

    def _form(self, job: DueJob, queue: str) -> _Form:
        options = _decode(job.options) if job.options else {}
        properties = {"correlation_id": _ID, "priority": options.get("priority", 0)}
        properties |= options.get("properties", {})
        # As kombu reads one of its producer, who may have sent anything.
        properties["priority"] = _priority(properties["priority"])
        properties |= {
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
            "delivery_tag": _TAG,
        }
        message = {
            "body": _BODY,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": self._headers(job.task, options),
            "properties": properties,
        }
        form = _Form(properties["priority"], _with_places(_encode(message)), _embed(options))
        # Options of parked jobs and of groups hardly come again.
        if len(job.options or "") <= _KEPT_CHARACTERS:
            if len(self._forms) >= _KEPT_FORMS:
                self._forms.clear()
            self._forms[job.task, queue, job.options] = form
        return form

    def _headers(self, task: str, options: Mapping[str, Any]) -> dict[str, Any]:
        headers: dict[str, Any] = {
            "lang": "py",
            "task": task,
            "id": _ID,
            "shadow": None,
            "eta": None,
            "expires": options.get("expires"),
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": _ID,
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
        headers |= {"id": _ID, "task": task, "eta": None, RELAYED: True}
        return headers


def _with_places(text: bytes) -> bytes:
    """Turn the stand-ins of a message into places of a bytes format."""
    text = text.replace(b"%", b"%%").replace(_encode(_ID), b"%(id)b")
    for name, stand_in in (("body", _BODY), ("tag", _TAG)):
        text = text.replace(_encode(stand_in), b'"%%(%b)b"' % name.encode())
    return text


def _new_tag() -> bytes:
    """Make a random UUID, as kombu names each delivery."""
    digits = os.urandom(16).hex()
    tag = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
    return tag.encode()


def _embed(options: Mapping[str, Any]) -> str:
    """Write what follows the job: nothing, but what follows its group."""
    group = options.get("group")
    if group is None:
        return _EMBED
    return f'{_EMBED[:-1]}, "{GROUP}": {_encode(group).decode()}}}'


def _priority(given: object) -> int:
    try:
        return max(0, min(9, int(given)))  # type: ignore[call-overload,no-any-return]
    except (TypeError, ValueError, OverflowError):
        return 0

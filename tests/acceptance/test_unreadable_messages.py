"""What is no job of ours is buried with its words and kept, whatever it is; the worker lives."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.site import TASK, Site
from tests.waiting import wait_for
from tests.workers import Worker

pytestmark = pytest.mark.usefixtures("worker")

BODY = json.dumps([[], {"target": "alpha", "rows": [{"n": 1}]}, None])
PROPERTIES = {
    "body_encoding": "base64",
    "delivery_info": {"exchange": "", "routing_key": TASK},
    "delivery_tag": "tag",
}


def message(
    id_: str = "", *, text: str = BODY, without: str = "", **changes: Any
) -> dict[str, Any]:
    """Return a message as kombu's Redis transport pushes it, with something wrong in it."""
    headers = {"lang": "py", "task": TASK, "id": id_, "ignore_result": False}
    headers.pop(without, None)
    return {
        "body": base64.b64encode(text.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": PROPERTIES | {"delivery_tag": str(uuid4())},
        **changes,
    }


READABLE = {
    "pickle": (message("m1", **{"content-type": "application/x-python-serialize"}), "Refusing"),
    "unknown content type": (message("m2", **{"content-type": "application/x-tea"}), "Refusing"),
    "body is no JSON": (message("m3", text="no JSON"), "body must be"),
    "body is no list": (message("m4", text='"text"'), "body must be"),
    "body is too short": (message("m5", text="[[]]"), "body must be"),
    "arguments are no list": (message("m6", text='["ab", {}, null]'), "body must be"),
    "no id": (message("m7", without="id"), "id must be text"),
    "id is a number": (message("m8", headers={"task": TASK, "id": 5}), "id must be text"),
    "id cannot be stored": (message("lone \ud800"), "no message of Celery"),
    "no task": (message("m9", without="task"), "no Celery task"),
    "unknown task": (message("m10", headers={"task": "shop.sell", "id": "m10"}), "unknown task"),
    "no headers": (message("m11", headers={}), "no Celery task"),
    "eta is no time": (message("m12", headers={"task": TASK, "id": "m12", "eta": "soon"}), ""),
    "eta is after all time": (
        message("m16", headers={"task": TASK, "id": "m16", "eta": "9999-12-31T23:59:59-14:00"}),
        "cannot be waited for",
    ),
    "expires is no time": (
        message("m13", headers={"task": TASK, "id": "m13", "expires": "never"}),
        "",
    ),
    "expires is a list": (message("m14", headers={"task": TASK, "id": "m14", "expires": []}), ""),
    "task is a list": (message("m15", headers={"task": [], "id": "m15"}), ""),
    "body is no base64": (message("m20", body="%%% no base64 %%%"), "body must be"),
    "body is not text": (message("m21", body="/w=="), "body must be JSON"),
    "half of base64": (message("m30", body="YWJ"), "body must be base64"),
    "not compressed": (
        message("m23", headers={"task": TASK, "id": "m23", "compression": "zlib"}),
        "cannot be decoded",
    ),
}
NO_MESSAGES = {
    "no JSON": "this is no JSON",
    "bytes": b"\x80\x04\xff\x00",
    "nothing": b"",
    "a list": [],
    "a number": 5,
    "an empty object": {},
    "no properties": {"body": "", "headers": {}},
    "unknown encoding": message("m31", properties=PROPERTIES | {"body_encoding": "base32"}),
    "no delivery tag": message("m32", properties={"delivery_info": {}}),
    "headers are no object": message("m33", headers=[1]),
    "properties are no object": message("m34", properties=[1]),
    "body is an object": message("m35", body={"a": 1}),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("case", READABLE)
def test_message_that_is_no_job_is_buried(site: Site, worker: Worker, case: str) -> None:
    """A message that Celery would delete is dead in the ledger, with words, and kept whole."""
    given, words = READABLE[case]

    assert words in bury(site, worker, given)


@pytest.mark.parametrize("case", NO_MESSAGES)
def test_what_is_no_message_is_buried(site: Site, worker: Worker, case: str) -> None:
    """Even what kombu cannot take apart is dead in the ledger, and kept; the next job commits."""
    assert bury(site, worker, NO_MESSAGES[case]).startswith("no message of Celery: ")


def test_unknown_task_fails_at_its_producer(site: Site) -> None:
    """A stock producer of a task that nobody knows gets the worker's words."""
    result = site.send_task("shop.unknown", kwargs={"a": 1})

    with pytest.raises(
        Exception, match=r"unknown task 'shop.unknown'; known are: .*celeriac.ingest"
    ):
        result.get(timeout=60)


def bury(site: Site, worker: Worker, given: object) -> str:
    """Push it; return why it was buried, after making sure that the worker goes on."""
    before = dead(site)

    site.push(given)

    wait_for(lambda: dead(site) != before or not worker.is_running, what="a job to be buried")
    new = dead(site).items() - before.items()
    ((id_, (error, payload)),) = new
    assert payload
    site.wait_until_settled()
    site.send(f"after {id_}", "alpha", [{"n": 1}])
    site.wait_for_state(f"after {id_}", "committed")
    return error


def dead(site: Site) -> dict[str, tuple[str, str]]:
    """Read the buried jobs: reason and payload by id."""
    found = site.query("SELECT id, error, payload FROM celeriac.job WHERE state = 'dead'")
    return {id_: (error, payload) for id_, error, payload in found}

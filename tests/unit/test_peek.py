"""What is seen of a message without opening its job."""

import json
from binascii import a2b_base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.transport.peek import read_message, read_slab

TASK = "celeriac.ingest"


def message(body: str) -> bytes:
    """Return a plain job as stock Celery writes it, around any text for a body."""
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"id": "a", "task": TASK, "ignore_result": True},
            "properties": {"body_encoding": "base64"},
        }
    ).encode()


@given(st.text("ABZabz019+/=\n-_ é", max_size=24))
def test_base64_is_read_as_celery_reads_it(text: str) -> None:
    """What the decoder makes of a body is what Celery would; else it is left to the child."""
    job = read_message(message(text), 1, 0, {TASK})

    assert job is not None
    if isinstance(job.body, bytes):
        assert a2b_base64(text) == job.body
    else:
        assert text == job.body


def test_lax_base64_does_not_pass_with_a_slab() -> None:
    """A slab in which one body is no strict base64 is read one by one."""
    lax, strict = message("W10\n="), message("W10=")

    with pytest.raises(ValueError, match="base64"):
        read_slab(b",".join([strict, lax]), 2, 1, {TASK})

    found = [read_message(raw, 1, at, {TASK}) for at, raw in enumerate((strict, lax))]
    assert [b"[]", "W10\n="] == [job and job.body for job in found]

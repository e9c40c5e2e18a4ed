"""What a message says of its group is read the same by every way, and a misfit is found."""

import base64
import json
from typing import Any

import pytest

from celeriac.contract import GROUP, INGEST
from celeriac.message import write_body
from postgres.insert_rows import OnConflict
from postgres.job_group import Standing
from tasks.ingest import Ingest
from tasks.kind import BadPayload
from tasks.targets import Target
from worker.accept import accept
from worker.delivery import Delivery, Parcel
from worker.group import Group, misfits, read_group
from worker.unpack import PlainReader

THEN = {"task": "celeriac.report", "kwargs": {"name": "sold", "params": {"a": 1, "b": [2.50]}}}
SAID = {"id": "g", "size": 3, "then": THEN}
ARGUMENTS = '{"target": "orders", "rows": [{"id": 1}]}'


def ingest() -> Ingest:
    kind = Ingest()
    kind.targets = {"orders": Target("orders", "public", "orders", (), OnConflict.ERROR)}
    return kind


def read(said: Any) -> Group:
    found = read_group(json.dumps(said).encode())
    assert found is not None
    return found


def test_only_jobs_of_no_group_go_the_short_way() -> None:
    """A job of a group is left to the careful path, which counts it; null is no group."""
    bodies = [write_body(ARGUMENTS), write_body(ARGUMENTS, json.dumps(SAID))]
    texts = [base64.b64encode(body.encode()).decode() for body in [*bodies, bodies[0]]]
    null = write_body(ARGUMENTS, "null").encode()

    plain = PlainReader(ingest()).read(Parcel(INGEST, list("abcd"), [*texts, null]))

    assert [0, 2, 3] == plain.positions


def test_a_group_is_no_part_of_the_payload() -> None:
    """A job has the same digest in a group and without: sent again it is the same job."""
    kinds = {INGEST: ingest()}
    plain, grouped = (
        accept(Delivery("a", INGEST, write_body(ARGUMENTS, said).encode()), kinds)
        for said in (None, json.dumps(SAID))
    )

    assert plain.ask == grouped.ask
    assert (None, read(SAID)) == (plain.group, grouped.group)


def test_what_follows_keeps_its_text() -> None:
    """The arguments go on as they came, number by number."""
    kwargs = '{"n": 1.10, "big": 12345678901234567890123}'

    group = read_group(
        f'{{"id": "g", "size": 1, "then": {{"task": "t", "kwargs": {kwargs}}}}}'.encode()
    )

    assert group is not None
    entry = group.following()
    assert ("g:then", "t") == (entry.id, entry.task)
    assert entry.body.startswith(f"[[],{kwargs},")


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"then": THEN | {"id": "g:then"}}, True),
        ({"then": {"kwargs": {"params": {"b": [2.5], "a": 1}, "name": "sold"}} | THEN}, True),
        ({"size": 4}, False),
        ({"then": THEN | {"id": "other"}}, False),
        ({"then": THEN | {"task": "own"}}, False),
        ({"then": THEN | {"kwargs": {"name": "bought"}}}, False),
    ],
)
def test_sameness_is_of_values(changes: dict[str, Any], is_same: bool) -> None:
    """Groups are the same if size and continuation are, however they are written."""
    assert is_same == (read(SAID).digest == read(SAID | changes).digest)


@pytest.mark.parametrize("said", [b"", b"null"])
def test_no_group_is_none(said: bytes) -> None:
    """Messages of all other producers say nothing, and pay nothing."""
    assert read_group(said) is None


@pytest.mark.parametrize(
    "said",
    [
        SAID | {"id": "a\0b"},
        SAID | {"id": ""},
        SAID | {"id": "x" * 196},
        SAID | {"more": 1},
        SAID | {"size": True},
        SAID | {"size": 100_001},
        SAID | {"then": THEN | {"task": "a\0b"}},
        SAID | {"then": THEN | {"task": "x" * 201}},
        SAID | {"then": THEN | {"id": "x" * 201}},
        SAID | {"then": THEN | {"id": "a\nb"}},
    ],
)
def test_bad_groups_are_refused(said: Any) -> None:
    """What PostgreSQL could not keep, or nobody could mean, buries its job."""
    with pytest.raises(BadPayload, match="group: "):
        read(said)


def test_misfits_are_those_that_come_later() -> None:
    """Seats are taken in order, after those whose jobs have committed; groups are apart."""
    full, open_, other = read(SAID), read(SAID | {"id": "h"}), read(SAID | {"id": "h", "size": 2})
    standings = {"g": Standing(3, 3, full.digest), "h": Standing(3, 1, open_.digest)}
    jobs = [("a", full), ("b", open_), ("c", other), ("d", open_), ("e", open_)]

    found = misfits(jobs, standings)

    assert ["a", "c", "e"] == list(found)
    assert "has its 3 jobs already" in found["a"]
    assert "another size or continuation" in found["c"]


def test_the_header_has_its_name_from_the_contract() -> None:
    """The field that workers read is the one that producers write."""
    assert GROUP == "celeriac_group"
    assert f'"{GROUP}": {{}}' in write_body("{}", "{}")

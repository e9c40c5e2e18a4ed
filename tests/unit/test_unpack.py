"""Opening a parcel: plain jobs are read as by the careful way; odd ones are left to that."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.contract import INGEST
from postgres import Cursor
from postgres.insert_rows import OnConflict
from postgres.whole import text_array
from tasks.ingest import Ingest
from tasks.kind import Job, Kind, Limits, Outcome
from tasks.targets import Target
from worker.accept import accept
from worker.delivery import Delivery, Parcel, Remarks
from worker.unpack import PlainJobs, PlainReader, deliveries, neighbours

NO_CANVAS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
PLAIN = [[], {"target": "orders", "rows": [{"id": 1}]}, NO_CANVAS]


class Choice(msgspec.Struct):
    """A payload of which one part may be left out."""

    first: int
    second: str = ""


class Choosing(Kind[Choice]):
    """A kind that is only read, never run."""

    name = "shop.choose"
    queue = "shop.choose"
    payload = Choice
    limits = Limits(jobs=1, rows=1, body_bytes=1000, seconds=1)

    def subject(self, payload: Choice) -> str:
        """The second part."""
        return payload.second

    def run(self, jobs: Sequence[Job[Choice]], cursor: Cursor) -> list[Outcome]:
        """Never happens here."""
        raise NotImplementedError


def ingest() -> Ingest:
    kind = Ingest()
    kind.targets = {"orders": Target("orders", "public", "orders", (), OnConflict.ERROR)}
    return kind


def read(*bodies: str | bytes, kind: Kind[Any] | None = None, **more: Any) -> PlainJobs:
    """Read jobs with these bodies, and ids of 0, 1, 2, …."""
    ids = [str(number) for number in range(len(bodies))]
    return PlainReader(kind or ingest()).read(Parcel(INGEST, ids, list(bodies), **more))


def body(*parts: object) -> bytes:
    return json.dumps(list(parts)).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


rows_of_json = st.lists(st.dictionaries(st.text(), json_values, max_size=3), min_size=1, max_size=3)


@given(rows=rows_of_json, spaced=st.booleans())
def test_plain_is_read_as_by_the_careful_way(rows: list[Any], spaced: bool) -> None:
    """Payload, rows and digest of a plain job are what accept makes of the same bytes."""
    kind = ingest()
    text = json.dumps(
        [[], {"rows": rows, "target": "orders"}, NO_CANVAS],
        ensure_ascii=spaced,
        separators=None if spaced else (",", ":"),
    ).encode("utf-8", "surrogatepass")
    accepted = accept(Delivery("0", INGEST, text), {INGEST: kind})

    jobs = read(base64.b64encode(text).decode(), kind=kind)

    if jobs.positions:
        assert accepted.job is not None
        assert [accepted.ask.digest] == jobs.digests
        assert (["orders"], [len(rows)]) == (jobs.subjects, jobs.rows)
        assert [bytes(row) for row in accepted.job.payload.rows] == [
            bytes(row) for row in jobs.payloads[0].rows
        ]


def test_plain_is_plain() -> None:
    """What producers ordinarily send is read by the short way, its members in any order."""
    jobs = read(
        body(*PLAIN),
        base64.b64encode(body(*PLAIN)).decode(),
        body([], {"rows": [{}], "target": "orders"}),
        body([], {"rows": [{"é": "ü"}], "target": "orders"}, None),
    )

    assert [0, 1, 2, 3] == jobs.positions
    assert ["orders"] * 4 == jobs.subjects


@pytest.mark.parametrize(
    "odd",
    [
        body(["orders"], {"rows": [{}]}),
        body([], {"target": "orders", "rows": [{}], "more": 1}),
        body([], {"target": "orders"}),
        body([], {"target": "nowhere", "rows": [{}]}),
        body([], {"target": "orders", "rows": [1]}),
        body([], {"target": "orders", "rows": []}),
        body([], PLAIN[1], {"chain": [{}]}),
        body([], PLAIN[1], {"callbacks": [{}]}),
        body([], {"target": "orders", "rows": [{"d": {"__type__": "date", "__value__": "2024"}}]}),
        body([], {"target": "orders", "rows": [{"n": float("nan")}]}),
        body(*PLAIN).replace(b"orders", b"ord\xffers"),
        b"",
        b"{}",
        "no base64",
        "ü",
    ],
)
def test_odd_is_left_out(odd: str | bytes) -> None:
    """What takes more than reading is not read; its neighbours are."""
    jobs = read(odd, body(*PLAIN))

    assert [1] == jobs.positions


@pytest.mark.parametrize(
    ("remarks", "expected"),
    [
        (Remarks(), [0]),
        (Remarks(may_wait=False), [0]),
        (Remarks(attempts=2), []),
        (Remarks(cancelled="revoked"), []),
        (Remarks(buried="died"), []),
    ],
)
def test_remarks_that_matter_are_odd(remarks: Remarks, expected: list[int]) -> None:
    """Only what changes nothing leaves a job plain."""
    jobs = read(body(*PLAIN), remarks={0: remarks})

    assert expected == jobs.positions


@pytest.mark.parametrize("id_", ["", "x" * 201, "a\0b", "\ud800", "a\nb"])
def test_unusual_ids_are_odd(id_: str) -> None:
    """What may not be storable is left to who checks it."""
    jobs = PlainReader(ingest()).read(Parcel(INGEST, [id_, "ok"], [body(*PLAIN)] * 2))

    assert [1] == jobs.positions


def test_repeated_ids_are_odd() -> None:
    """All jobs that share an id go the careful way together."""
    reader = PlainReader(ingest())

    jobs = reader.read(Parcel(INGEST, ["a", "b", "a"], [body(*PLAIN)] * 3))

    assert [1] == jobs.positions


def test_left_out_argument_is_odd() -> None:
    """A payload is read the short way only if every argument is named."""
    jobs = read(body([], {"first": 1, "second": "x"}), body([], {"first": 1}), kind=Choosing())

    assert ([0], ["x"]) == (jobs.positions, jobs.subjects)


def test_delivery_of_what_is_no_base64_is_buried() -> None:
    """The words say so, and the text is kept."""
    parcel = Parcel(INGEST, ["a", "b"], ["abcde", "W10="])

    broken, good = deliveries(parcel, [0, 1])

    assert b"abcde" == broken.body
    assert (broken.buried or "").startswith("body must be base64 text: ")
    assert (b"[]", None) == (good.body, good.buried)


@given(rows=st.lists(st.integers(0, 12)), most=st.integers(1, 10))
def test_neighbours_stay_within_the_bound(rows: list[int], most: int) -> None:
    """Every place is in one group, in order; a group over the bound has one place."""
    groups = neighbours(rows, most)

    assert list(range(len(rows))) == [place for group in groups for place in group]
    assert all(len(group) == 1 or sum(rows[p] for p in group) <= most for group in groups)
    assert all(groups)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_array_is_read_back(values: list[str]) -> None:
    """An array literal holds just these texts, as PostgreSQL's quoting rules have it."""
    text = text_array(values)

    assert values == unquoted(text)


def unquoted(text: str) -> list[str]:
    """Read an array of quoted texts, a character at a time."""
    assert (text[0], text[-1]) == ("{", "}")
    found: list[str] = []
    rest = iter(text[1:-1])
    for character in rest:
        if character == ",":
            continue
        assert character == '"'
        found.append("".join(_characters(rest)))
    return found


def _characters(rest: Any) -> Any:
    for character in rest:
        if character == '"':
            return
        yield next(rest) if character == "\\" else character


def test_jobs_are_cut_in_order() -> None:
    """Cut at a bound of rows, every column is cut alike."""
    jobs = read(*[body([], {"target": "orders", "rows": [{}] * n}) for n in (2, 1, 1)])

    cut = jobs.within(3)

    assert [[0, 1], [2]] == [part.positions for part in cut]
    assert [["0", "1"], ["2"]] == [part.ids for part in cut]
    assert jobs.digests == [digest for part in cut for digest in part.digests]
    assert [] == read().within(3)

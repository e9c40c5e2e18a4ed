"""Accepting a delivery: a job, or the words under which it is buried."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from celeriac.contract import INGEST, MAX_BODY_BYTES, MAX_ID_CHARACTERS, State
from postgres import Cursor
from postgres.insert_rows import OnConflict
from tasks.ingest import Ingest
from tasks.kind import MAX_REASON_CHARACTERS, Job, Kind, Limits, Outcome
from tasks.targets import Target
from worker.accept import Accepted, accept, conflicting
from worker.delivery import Delivery

ROWS = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
NO_CANVAS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def taken(
    args: list[Any], kwargs: dict[str, Any], embed: object = NO_CANVAS, **fields: Any
) -> Accepted:
    """Accept a delivery with these arguments, at a worker that serves the target ``orders``."""
    return taken_raw(json.dumps([args, kwargs, embed]).encode(), **fields)


def taken_raw(body: bytes, **fields: Any) -> Accepted:
    """Accept a delivery with this body."""
    kind = Ingest()
    kind.targets = {"orders": Target("orders", "public", "orders", (), OnConflict.ERROR)}
    values = {"id": "job-1", "task": INGEST} | fields
    return accept(Delivery(body=body, **values), {INGEST: kind})


def buried(accepted: Accepted) -> str:
    """Return why the delivery can never be a job; fail if it can."""
    assert accepted.job is None
    assert (State.DEAD, 0) == (accepted.ask.state, accepted.ask.rows)
    assert accepted.ask.error
    return accepted.ask.error


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (["orders", ROWS], {}),
        (["orders"], {"rows": ROWS}),
        ([], {"target": "orders", "rows": ROWS}),
        ([], {"rows": ROWS, "target": "orders"}),
    ],
)
def test_arguments_come_by_place_or_by_name(args: list[Any], kwargs: dict[str, Any]) -> None:
    """However the arguments are passed, it is the same job with the same digest."""
    accepted, usual = taken(args, kwargs), taken([], {"target": "orders", "rows": ROWS})

    assert accepted.job is not None
    assert ("job-1", "orders", 2) == (accepted.job.id, accepted.ask.subject, accepted.ask.rows)
    assert State.COMMITTED is accepted.ask.state
    assert usual.ask.digest == accepted.ask.digest


@pytest.mark.parametrize(
    "kwargs",
    [
        {"target": "orders", "rows": ROWS[:1]},
        {"target": "orders", "rows": ROWS[::-1]},
        {"target": "orders", "rows": [{"id": 1, "name": "one"}, {"id": 2, "name": "TWO"}]},
        {"target": "orders2", "rows": ROWS},
    ],
)
def test_digest_tells_payloads_apart(kwargs: dict[str, Any]) -> None:
    """Another row, order, value or target is another payload."""
    usual, other = taken(["orders", ROWS], {}), taken([], kwargs)

    assert usual.ask.digest != other.ask.digest


class Choice(msgspec.Struct):
    """A payload whose fields may be left out."""

    first: int | None = None
    second: int | None = None


class Choosing(Kind[Choice]):
    """A kind that is only accepted, never run."""

    name = "shop.choose"
    queue = "shop.choose"
    payload = Choice
    limits = Limits(jobs=1, rows=1, body_bytes=1000, seconds=1)

    def subject(self, payload: Choice) -> str:
        """There is none."""
        return ""

    def run(self, jobs: Sequence[Job[Choice]], cursor: Cursor) -> list[Outcome]:
        """Never happens here."""
        raise NotImplementedError


def test_digest_knows_which_argument_a_value_belongs_to() -> None:
    """The same values for other arguments are another payload; an argument's place is its name."""
    bodies = (b'[[], {"first": 5}]', b'[[], {"second": 5}]', b"[[5], {}]", b"[[], {}]")
    kinds = {Choosing.name: Choosing()}

    first, second, placed, none = (
        accept(Delivery("job", Choosing.name, body), kinds).ask for body in bodies
    )

    assert first.digest == placed.digest
    assert 3 == len({first.digest, second.digest, none.digest})


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        (["orders"], {"target": "orders", "rows": ROWS}, ["'target'", "given twice"]),
        (["orders", ROWS, 5], {}, ["takes 2 arguments, got 3"]),
        ([], {"rows": ROWS}, ["missing", "`target`"]),
        ([], {"target": "orders"}, ["missing", "`rows`"]),
        ([], {}, ["missing"]),
        (["orders", ROWS], {"mode": "fast"}, ["unknown field", "`mode`"]),
        ([5, ROWS], {}, ["Expected `str`, got `int`", "target"]),
        ([None, ROWS], {}, ["Expected `str`, got `null`", "target"]),
        (["orders", {"id": 1}], {}, ["Expected `array`, got `int`", "rows"]),
        (["orders", {"id": []}], {}, ["rows must be a list of objects", "'orders' and an object"]),
        (["*", ROWS], {}, ["an object from targets to such lists", "'*' and a list"]),
        (["*", {"orders": ROWS, "ordres": []}], {}, ["'ordres'", "not in the catalog"]),
        (["*", {"orders": []}], {}, ["rows must be 1 to 10000, got 0"]),
        (["*", {"orders": [{}, 5]}], {}, ["rows must be objects", "row 2"]),
        (["orders", "rows"], {}, ["got `str`", "rows"]),
        (["orders", []], {}, ["rows must be 1 to 10000, got 0"]),
        (["orders", [{}] * 10_001], {}, ["rows must be 1 to 10000, got 10001"]),
        (["orders", [{}, 5]], {}, ["rows must be objects", "row 2", "5"]),
        (["orders", [None]], {}, ["rows must be objects", "row 1", "null"]),
        (["ordres", ROWS], {}, ["'ordres'", "not in the catalog", "orders"]),
    ],
)
def test_wrong_arguments_are_buried_with_words(
    args: list[Any], kwargs: dict[str, Any], words: list[str]
) -> None:
    """The reason names what is wrong: the field, the value, the limit."""
    reason = buried(taken(args, kwargs))

    assert [] == [word for word in words if word not in reason]


def test_too_large_body_is_buried_unread() -> None:
    """The limit on bytes is checked before anything is decoded, and is named."""
    reason = buried(taken_raw(b"[" * (MAX_BODY_BYTES + 1)))

    assert f"body must be at most {MAX_BODY_BYTES} bytes, got {MAX_BODY_BYTES + 1}" == reason


def test_largest_body_is_accepted() -> None:
    """A body that is exactly as large as the limit is a job."""
    frame = b'[["orders", [{"a": ""}]], {}, null]'
    filler = b"x" * (MAX_BODY_BYTES - len(frame))

    accepted = taken_raw(frame.replace(b'""', b'"' + filler + b'"'))

    assert accepted.job is not None


@pytest.mark.parametrize(
    ("embed", "words"),
    [
        ({"callbacks": [{"task": "mail"}]}, "link"),
        ({"errbacks": [{"task": "mail"}]}, "link_error"),
        ({"chain": [{"task": "mail"}]}, "chain"),
        ({"chord": {"task": "mail"}}, "chord"),
        ({"callbacks": [{}], "chain": [{}]}, "link, chain"),
    ],
)
def test_canvas_is_buried_with_words(embed: dict[str, Any], words: str) -> None:
    """What was to follow the task is never dropped in silence."""
    reason = buried(taken(["orders", ROWS], {}, embed))

    assert reason.startswith(f"{words} cannot follow this task")


@pytest.mark.parametrize(
    "unusable",
    ["", "a\0b", "x" * (MAX_ID_CHARACTERS + 1), "\ud800", "id-\udfff"],
    ids=["empty", "NUL", "long", "half a pair", "half a pair at the end"],
)
def test_unusable_id_is_buried_under_another(unusable: str) -> None:
    """An id that PostgreSQL cannot store gets one that it can, the same each time."""
    first = taken(["orders", ROWS], {}, id=unusable)
    again = taken(["orders", ROWS], {}, id=unusable)
    other = taken(["orders", ROWS[:1]], {}, id=unusable)

    reason = buried(first)
    assert reason.startswith(f"id must be 1 to {MAX_ID_CHARACTERS} characters")
    assert first.ask.id.startswith("unusable-id-")
    assert (True, False) == (first.ask.id == again.ask.id, first.ask.id == other.ask.id)
    for stored in (first.ask.id, reason, first.message):
        assert "\0" not in stored.encode("utf-8").decode("utf-8")


@pytest.mark.parametrize(
    "usable",
    ["x" * MAX_ID_CHARACTERS, "import-2024-01", "größe/№ 5", "😀", " ", "a\nb", "unusable-id-1"],
)
def test_any_storable_text_is_an_id(usable: str) -> None:
    """Stock producers may name a job as they like."""
    accepted = taken(["orders", ROWS], {}, id=usable)

    assert accepted.job is not None
    assert usable == accepted.ask.id


@pytest.mark.parametrize("body", [b"\xff\xfe\x00not json", b"", b"[[NaN, 5]]"])
def test_unreadable_body_is_buried_and_kept(body: bytes) -> None:
    """A body that is no JSON comes into the ledger as text that PostgreSQL can store."""
    accepted = taken_raw(body)

    reason = buried(accepted)
    assert reason.startswith("body must be JSON [args, kwargs, embed]")
    assert "\0" not in accepted.message.encode("utf-8").decode("utf-8")


def test_message_is_kept_as_it_came() -> None:
    """What the ledger keeps of a held or dead job can be sent again as it was."""
    body = json.dumps([["orders", [{"n": "größe \u0000"}]], {}, NO_CANVAS]).encode()

    accepted = taken_raw(body)

    assert body == accepted.message.encode("utf-8")


def test_burial_decided_before_is_kept() -> None:
    """A job that proved guilty is buried for that reason, whatever its arguments say."""
    reason = buried(taken(["orders", ROWS], {}, buried="it killed 3 processes"))

    assert "it killed 3 processes" == reason


def test_reason_is_storable() -> None:
    """A reason that quotes a NUL or half of a surrogate pair can still be written."""
    reason = buried(taken(["orders", ROWS], {}, buried="bad \0 and \ud800"))

    assert r"bad \x00 and \ud800" == reason


def test_reason_is_bounded() -> None:
    """A name of megabytes is in its message; the reason tells how it began and ended."""
    reason = buried(taken(["o" * 1_000_000, ROWS], {}))

    assert len(reason) < MAX_REASON_CHARACTERS + 50
    assert reason.startswith("target 'ooo")
    assert "characters …" in reason
    assert reason.endswith("not in the catalog, which has: orders")


def test_cancelled_job_is_claimed_as_cancelled() -> None:
    """Revoked or expired, a job still asks the ledger, which may know that it committed."""
    accepted = taken(["orders", ROWS], {}, cancelled="revoked")

    assert (State.CANCELLED, "revoked") == (accepted.ask.state, accepted.ask.error)


def test_attempts_are_passed_on() -> None:
    """The ledger hears the number of the attempt, of jobs good and bad."""
    good, bad = taken(["orders", ROWS], {}, attempts=3), taken([], {}, attempts=3)

    assert (3, 3) == (good.ask.attempts, bad.ask.attempts)


@pytest.mark.parametrize("id_", ["job-1", "x" * MAX_ID_CHARACTERS])
def test_conflict_gets_an_id_of_its_own(id_: str) -> None:
    """Another payload under a taken id is buried under an id that fits and tells both."""
    accepted = taken(["orders", ROWS], {}, id=id_)

    ask = conflicting(accepted)

    assert ask.id.startswith(id_[:100])
    assert ask.id.endswith(f"!{accepted.ask.digest}")
    assert len(ask.id) <= MAX_ID_CHARACTERS
    assert State.DEAD is ask.state
    assert "the first stays" in (ask.error or "")

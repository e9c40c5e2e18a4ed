"""Options of a call are checked before anything is sent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from celeriac import BadPayload, BadSetting, Client, outbox
from celeriac.options import moment
from celeriac.queues import list_of

NOWHERE = "unix:///nowhere/redis.sock"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"priority": 10}, "priority must be a number from 0 to 9, got 10"),
        ({"track": "no"}, "track must be True or False, got 'no'"),
        ({"id": "celeriac.replay-9"}, "id must not begin as those of replays do, got 'celeriac."),
        ({"run_at": timedelta.max}, "run_at must lie before the year 10000, got 999999999 days"),
        ({"priority": True}, "priority must be a number from 0 to 9, got True"),
        ({"deadline": 0}, "deadline must be a number of seconds above 0, got 0"),
        ({"deadline": float("inf")}, "deadline must be a number of seconds above 0, got inf"),
        ({"deadline": "1"}, "deadline must be a number of seconds above 0, got '1'"),
        ({"max_depth": 0}, "max_depth must be a number from 1, got 0"),
        ({"when_full": "drop"}, "when_full must be 'refuse' or 'wait', got 'drop'"),
        ({"run_at": datetime(2030, 1, 1)}, "run_at must say its zone"),
        ({"run_at": 7}, "run_at must be a datetime or a timedelta, got 7"),
        ({"expires": "soon"}, "expires must be a datetime or a timedelta, got 'soon'"),
        ({"id": 7}, "id must be text, got 7"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    """The words name the option, the value and what it may be."""
    with Client(NOWHERE) as client, pytest.raises(BadPayload, match=words):
        client.ingest("flights", {"a": 1}, **options)


def test_unknown_options_are_the_callers_mistake() -> None:
    """A misspelled option raises, as a misspelled argument does."""
    with Client(NOWHERE) as client, pytest.raises(TypeError, match="priorty"):
        client.ingest("flights", {"a": 1}, priorty=1)  # type: ignore[call-arg]  # what is tried


@pytest.mark.parametrize("rows_per_job", [0, 10_001, True, "1"])
def test_bad_sizes_of_jobs_are_refused(rows_per_job: Any) -> None:
    """A job of many holds 1 to 10,000 rows, in bulk too."""
    with Client(NOWHERE) as client, pytest.raises(BadPayload, match="rows_per_job must be 1 to"):
        client.ingest_many("flights", [{"a": 1}], rows_per_job=rows_per_job)


def test_moments_are_written_with_their_zone() -> None:
    """A datetime keeps its offset, a timedelta counts from now."""
    later = moment("run_at", timedelta(hours=1)) or ""

    assert "2030-01-01T00:00:00+00:00" == moment("run_at", datetime(2030, 1, 1, tzinfo=UTC))
    left = datetime.fromisoformat(later) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


def test_priorities_have_the_lists_of_kombu() -> None:
    """Ten priorities share four lists, the first of them under the queue's own name."""
    found = [list_of("", "q", priority) for priority in range(10)]

    steps = ["q"] * 3 + ["q\x06\x163"] * 3 + ["q\x06\x166"] * 3 + ["q\x06\x169"]
    assert steps == found


@pytest.mark.parametrize("name", ["deadline", "max_depth", "when_full"])
def test_the_outbox_takes_no_options_of_a_broker(name: str) -> None:
    """What only a broker can keep to is refused, not ignored."""

    class Connection:
        """Looks like one of psycopg2, and is never used."""

    Connection.__module__ = "psycopg2.extensions"

    with pytest.raises(BadPayload, match=f"{name} is for a broker"):
        outbox(Connection()).ingest("flights", {"a": 1}, **{name: 1})


def test_the_outbox_names_the_connections_that_it_takes() -> None:
    """A connection of an unknown driver is refused, with the known ones."""
    with pytest.raises(BadSetting, match="psycopg2, psycopg, django, sqlalchemy, asyncpg, got one"):
        outbox(object())

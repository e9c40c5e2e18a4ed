"""A history keeps what its producer knew, also when the producer is killed in the middle."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.history import History, Outcome, SentJob, SentRow, read

JOB = SentJob("a", "celeriac.ingest", "faults_entry", (SentRow(1, 5), SentRow(2, None)), "hash")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the history goes."""
    return tmp_path / "history.jsonl"


def test_what_is_written_is_read(path: Path) -> None:
    """Ids, rows, amounts, bad rows and the outcome come back."""
    with History(path, fsync=True) as history:
        history.attempt(JOB)
        history.ack("a")

    assert {"a": replace(JOB, outcome=Outcome.ACKED)} == read(path)
    assert 1 == read(path)["a"].bad_rows


def test_an_attempt_without_an_answer_is_indeterminate(path: Path) -> None:
    """A producer that died in its send leaves the job in doubt."""
    with History(path) as history:
        history.attempt(JOB)

    assert Outcome.INDETERMINATE is read(path)["a"].outcome


@pytest.mark.parametrize("kept", [1, 20])
def test_a_torn_last_line_counts_for_nothing(path: Path, kept: int) -> None:
    """The reader leaves it out, and a later producer cuts it off and goes on."""
    with History(path) as history:
        history.attempt(JOB)
        end = path.stat().st_size
        history.ack("a")
    path.write_bytes(path.read_bytes()[: end + kept])

    torn = read(path)["a"].outcome
    with History(path) as history:
        history.attempt(replace(JOB, id="b"))

    assert Outcome.INDETERMINATE is torn
    assert ["a", "b"] == list(read(path))


def test_a_broken_line_in_the_middle_is_an_error(path: Path) -> None:
    """Only the last line can be torn; anything else is not a history."""
    path.write_text('{"event":"att\n{}\n')

    with pytest.raises(ValueError, match="line 1"):
        read(path)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (["fail"], Outcome.FAILED),
        (["fail", "fail"], Outcome.INDETERMINATE),
        (["indeterminate", "ack"], Outcome.ACKED),
        (["ack", "indeterminate"], Outcome.ACKED),
        (["indeterminate", "fail"], Outcome.INDETERMINATE),
        (["indeterminate", None], Outcome.INDETERMINATE),
    ],
)
def test_sends_of_one_id_are_taken_together(
    path: Path, answers: list[str | None], outcome: Outcome
) -> None:
    """One ack is enough; without one, several sends are never certain to have failed."""
    with History(path) as history:
        for answer in answers:
            history.attempt(JOB)
            if answer == "ack":
                history.ack("a")
            elif answer:
                getattr(history, answer)("a", "a reason")

    assert (len(answers), outcome) == (read(path)["a"].attempts, read(path)["a"].outcome)


def test_one_id_has_one_payload(path: Path) -> None:
    """A history in which an id stands for two payloads cannot be judged."""
    with History(path) as history:
        history.attempt(JOB)
        history.attempt(replace(JOB, payload_hash="another"))

    with pytest.raises(ValueError, match="two payloads"):
        read(path)


def test_a_file_has_one_writer(path: Path) -> None:
    """A second producer on the same file is refused, so no line is cut off under the first."""
    with History(path), pytest.raises(BlockingIOError):
        History(path)

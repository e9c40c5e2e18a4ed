"""What a line of the log looks like."""

import logging

import pytest

from worker import events


def test_event_is_one_line_whatever_its_facts_hold(caplog: pytest.LogCaptureFixture) -> None:
    """Event first, level last, facts between; neither a break nor a % leaves its place."""
    with caplog.at_level(logging.WARNING):
        events.job_buried(job="a'b", reason="100 %s\nevent='forged'")

    expected = "event='job buried' job=\"a'b\" reason=\"100 %s\\nevent='forged'\" level='warning'"
    assert [("celeriac", logging.WARNING, expected)] == caplog.record_tuples


def test_event_below_the_level_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """Who wants warnings alone gets no news."""
    with caplog.at_level(logging.WARNING):
        events.relay_ready(relay="r")

    assert [] == caplog.record_tuples

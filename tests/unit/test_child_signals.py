"""What the main process tells children through shared memory."""

from worker.progress import Signals


def test_unwanted_jobs_are_known_by_their_ids() -> None:
    """A wish is about one id, whatever characters it has; twice is once."""
    signals = Signals()

    before = signals.is_unwanted("a")
    for id_ in ("a", "a", "é\udc80"):
        signals.unwant(id_)

    assert (False, True, True, False) == (
        before,
        signals.is_unwanted("a"),
        signals.is_unwanted("é\udc80"),
        signals.is_unwanted("b"),
    )


def test_old_wishes_make_room() -> None:
    """Thousands later the first is forgotten, the last is known: memory does not grow."""
    signals = Signals()

    for number in range(5000):
        signals.unwant(f"job-{number}")

    assert (False, True) == (signals.is_unwanted("job-0"), signals.is_unwanted("job-4999"))

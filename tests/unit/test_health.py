"""Signs of life: what a process says of itself, and what is made of it."""

from pathlib import Path
from threading import Event

import pytest

from postgres.errors import PoolExhausted
from worker.health.sign import Sign, SignsOfLife, judge, read_sign
from worker.relay.relay import Relay


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that nobody has written yet."""
    return tmp_path / "alive"


@pytest.fixture
def signs(path: Path, clock: Clock) -> SignsOfLife:
    """A relay's signs of life, good for ten seconds each."""
    return SignsOfLife(path, "relay", 10.0, clock)


@pytest.mark.parametrize(
    ("sign", "words"),
    [
        (Sign("relay", 100.0, 10.0, ""), ""),
        (Sign("relay", 90.0, 10.0, ""), ""),
        (Sign("relay", 89.0, 10.0, ""), "its last sign of life is 11 s old, more than 10 s"),
        (Sign("relay", 5_000.0, 10.0, ""), "stands still"),
        (Sign("relay", 100.0, 10.0, "PostgreSQL is away"), "the relay: PostgreSQL is away"),
        (Sign("relay", 95.0, 10.0, "it is starting"), "the relay: it is starting"),
        (Sign("relay", 40.0, 10.0, "it is starting"), "starting for 60 s: it waits for a server"),
        (Sign("worker", 100.0, 10.0, ""), "of a worker"),
        (None, "has not started, or it has ended"),
    ],
    ids=[
        "new",
        "just in time",
        "old",
        "of another start",
        "trouble",
        "starts",
        "waits",
        "of another",
        "none",
    ],
)
def test_sign_is_judged(sign: Sign | None, words: str) -> None:
    """A young sign without trouble is well; any other is told in a sentence."""
    found = judge(sign, "relay", 100.0)

    assert bool(words) == bool(found)
    assert words in found


def test_process_tells_how_it_does(signs: SignsOfLife, path: Path, clock: Clock) -> None:
    """It is starting, then well, then in trouble, and in the end gone: each is read at once."""
    signs.start()
    told = [judge(read_sign(path), "relay", clock())]
    for trouble in ("", "the broker is away", ""):
        signs.tell(trouble)
        told.append(judge(read_sign(path), "relay", clock()))
    signs.end()
    told.append(judge(read_sign(path), "relay", clock()))

    assert ["the relay: it is starting", "", "the relay: the broker is away", ""] == told[:4]
    assert "has ended" in told[4]
    assert [] == list(path.parent.iterdir())


def test_same_sign_is_written_once_a_second(signs: SignsOfLife, path: Path, clock: Clock) -> None:
    """A loop that ticks many times a second does not write as often."""
    signs.tell()
    clock.now += 0.9
    signs.tell()
    between = read_sign(path)
    clock.now += 0.2
    signs.tell()

    assert (100.0, clock.now) == (between.at, read_sign(path).at)


def test_file_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    """A process whose file cannot be written says so at its start, and names the setting."""
    signs = SignsOfLife(tmp_path / "no" / "such" / "folder", "relay", 10.0)

    with pytest.raises(SystemExit, match="CELERIAC_ALIVE_FILE"):
        signs.start()


def test_disk_that_fills_up_later_ends_nothing(signs: SignsOfLife, path: Path) -> None:
    """Work goes on without signs; they grow old, and so the process looks stuck."""
    signs.start()
    path.with_name("alive.new").mkdir()

    signs.tell()

    assert "it is starting" == read_sign(path).trouble


def test_half_a_file_is_no_sign(path: Path) -> None:
    """What cannot be read is as good as nothing."""
    path.write_text('{"process": "rel')

    assert read_sign(path) is None


def test_without_a_file_nothing_is_written(tmp_path: Path) -> None:
    """Who names no file gets none."""
    signs = SignsOfLife(None, "relay", 10.0)

    signs.start()
    signs.tell("trouble")
    signs.end()

    assert [] == list(tmp_path.iterdir())


def test_relay_tells_each_turn() -> None:
    """A relay says after each turn how it went, in the words of what it met."""
    stop = Event()
    told: list[str] = []

    def tell(trouble: str) -> None:
        told.append(trouble)
        if len(told) == 2:
            stop.set()

    Relay("r", _NoPool(), None, {}, tell=tell).run(stop)  # type: ignore[arg-type]  # never asked

    assert 2 * ["PostgreSQL is in trouble: all are out"] == told


class _NoPool:
    """Stands for a database whose connections are all taken."""

    def connection(self, **_: bool) -> None:
        raise PoolExhausted("all are out")

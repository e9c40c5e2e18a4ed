"""Workers that are asked to stop twice, the second time in the middle of something."""

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery.worker import state

from tests.faults.entries import Entries
from tests.faults.redis_state import places, redis_client
from tests.faults.storm import Storm
from tests.waiting import wait_for
from tests.workers import Worker
from worker.consumer import Consumer
from worker.last_resort import LastResort, Patience
from worker.pipes import Pipes
from worker.progress import Signals
from worker.stop_signals import StopSignals

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
#: Tells ``tests.faults.interrupted`` which lock.
WHERE = "TEST_INTERRUPTED_AT"
NEVER = Patience(calm_seconds=3600, hurried_seconds=3600)


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Leave the signals, and what Celery notes about them, as they were."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    state.reset_state()
    state.should_stop = state.should_terminate = None


def test_quit_that_comes_while_a_lock_is_held(
    worker_env: dict[str, str], make_worker: Callable[..., Worker]
) -> None:
    """A worker ends, whatever its main thread holds at the moment at which QUIT comes."""
    app = "tests.faults.interrupted"
    workers = [make_worker(worker_env | {WHERE: one}, app=app) for one in ("signal", "hub")]
    for worker in workers:
        worker.start(wait=False)
    for worker in workers:
        worker.wait_ready()

    for worker in workers:
        os.kill(worker.pid, signal.SIGTERM)

    wait_for(lambda: not any(worker.is_running for worker in workers), what="the end")
    logs = [worker.log for worker in workers]
    assert [1, 1] == [log.count("Cold shutdown") for log in logs]
    assert [0, 0] == [log.count("ended by force") for log in logs]


class Heard:
    """What is done at a signal, in its order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        #: What comes while the first stop is announced.
        self.meanwhile: Callable[[], object] = lambda: None

    def cancel_active_requests(self) -> None:
        """Note that running batches are ended, and that nothing else can start by then."""
        self.told.append(f"killed, terminates: {state.should_terminate}")

    def announce(self, sig: str, how: str, exitcode: int) -> None:
        """Be interrupted."""
        self.told.append(f"begins {sig} {how} {exitcode}, stops: {state.should_stop}")
        if how == "Warm":
            self.meanwhile()
        self.told.append(f"ends {how}")


@pytest.fixture
def heard(own_signals: None) -> Heard:
    """What is told of the signals that this process gets."""
    heard = Heard()
    last_resort = LastResort(NEVER, is_busy=lambda: False, is_in_vain=lambda: False)
    StopSignals(heard, last_resort, heard.announce).install()
    return heard


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [(signal.SIGTERM, signal.SIGQUIT, 0), (signal.SIGINT, signal.SIGINT, 1)],
)
def test_signals_are_obeyed_in_turn(
    heard: Heard, first: signal.Signals, second: signal.Signals, status: int
) -> None:
    """QUIT, or INT once more, in the middle of a stop waits for its end, and is cold."""
    heard.meanwhile = partial(os.kill, os.getpid(), second)

    os.kill(os.getpid(), first)

    begin = f"begins {first.name} Warm {status}, stops: {status}"
    cold = ["killed, terminates: 1", f"begins SIGQUIT Cold 1, stops: {status}", "ends Cold"]
    assert [begin, "ends Warm", *cold] == heard.told


def test_the_second_interrupt_is_cold(heard: Heard) -> None:
    """INT waits for what runs, once; the second one does not."""
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)

    assert ["ends Warm", "ends Cold"] == [one for one in heard.told if one.startswith("ends")]


def test_what_fails_at_a_signal_stays_there(heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    """The main thread gets no exception from the middle of nowhere, and the next one is obeyed."""
    heard.meanwhile = partial(int, "nothing")

    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGQUIT)

    assert 1 == caplog.text.count("a signal to stop was not obeyed in full")
    assert (0, 1) == (state.should_stop, state.should_terminate)
    assert "ends Cold" == heard.told[-1]


class EndOfLoop:
    """Notes that the loop was ended."""

    def __init__(self) -> None:
        self.ends = 0

    def stop(self, _parent: object) -> None:
        """Count it."""
        self.ends += 1


def test_an_end_that_no_signal_asked_for() -> None:
    """Children are asked, the last resort too, and the loop ends whatever its pipes raise."""
    asked: list[str] = []
    children = Signals()
    consumer = Consumer.__new__(Consumer)
    consumer.app = SimpleNamespace(child_signals=children)
    consumer.on_stopping = partial(asked.append, "last resort")
    consumer.pool, consumer.pipes = SimpleNamespace(_pool=object()), Pipes()
    consumer.blueprint, consumer._reservation = EndOfLoop(), None

    with pytest.raises(AttributeError):
        consumer.stop()

    assert (["last resort"], True, 1) == (asked, children.is_stopping(), consumer.blueprint.ends)


def test_a_cold_stop_once_the_pool_has_gone() -> None:
    """A batch that no child took is no reason to look for children that are no more."""
    consumer = Consumer.__new__(Consumer)
    consumer.dispatcher = SimpleNamespace(running_jobs=lambda: [(None, None, None)])
    consumer.pool = SimpleNamespace(_pool=None)

    consumer.cancel_active_requests()


def _last_resort(patience: Patience, **states: bool) -> tuple[LastResort, list[int], list[bool]]:
    busy, ended = [states.get("busy", False)], []
    is_in_vain = states.get("in_vain", False)
    resort = LastResort(patience, lambda: busy[0], lambda: is_in_vain, end=ended.append)
    resort.start()
    return resort, ended, busy


def test_last_resort_waits_for_what_runs() -> None:
    """A worker that waits for its batches is left alone; nothing runs, and it does not end: now."""
    resort, ended, busy = _last_resort(Patience(calm_seconds=0.5, hurried_seconds=3600), busy=True)
    idle, idle_ended, _ = _last_resort(Patience(calm_seconds=0.5, hurried_seconds=3600))

    resort.ask(hurry=False)
    idle.ask(hurry=False)
    wait_for(lambda: idle_ended == [1], what="the end of the idle one")
    ended_while_busy = list(ended)
    busy[0] = False

    assert [] == ended_while_busy
    wait_for(lambda: ended == [1], what="the end of the other")


def test_last_resort_hurries() -> None:
    """Whoever asks twice waits neither for batches nor, in vain, for a broker."""
    resort, ended, _ = _last_resort(Patience(3600, hurried_seconds=0.5), busy=True)
    silent = Patience(calm_seconds=3600, hurried_seconds=3600, in_vain_seconds=0.5)
    in_vain, in_vain_ended, _ = _last_resort(silent, in_vain=True)

    for one in (resort, in_vain):
        one.ask(hurry=False)
        one.ask(hurry=True)

    wait_for(lambda: ended == in_vain_ended == [1], what="their end")


def _half_written(storm: Storm, entries: Entries, worker: Worker) -> int:
    """Send a job that fills the pipe to a child that stands still; return the child's id."""
    worker.wait_ready()
    (child,) = worker.children()
    os.kill(child, signal.SIGSTOP)
    entries.send(note_bytes=1 << 20)
    with redis_client(storm.broker_url) as client:
        wait_for(lambda: any(client.scan_iter("celeriac:running:*")), what="its dispatch")
    return child


def test_stop_in_the_middle_of_a_batch_that_is_written(
    worker_env: dict[str, str], tmp_path: Path
) -> None:
    """A batch that is half in its pipe gets there and is settled, or goes back, if in a hurry."""
    with Storm(tmp_path, worker_env) as storm:
        entries = Entries(storm, tmp_path / "entries.jsonl")
        first, second = (Worker(storm.crew.env, app=storm.crew.app) for _ in range(2))
        storm.crew.workers += [first, second]

        _half_written(storm, entries, first.start())
        os.kill(first.pid, signal.SIGTERM)
        os.kill(first.pid, signal.SIGQUIT)
        wait_for(lambda: not first.is_running, what="the end of the first")
        given_back = places(storm.broker_url)
        second.start()
        wait_for(lambda: storm.ended() == 1, what="its job, by the second")
        wait_for(lambda: not any(places(storm.broker_url)), what="the word of it")
        child = _half_written(storm, entries, second)
        os.kill(second.pid, signal.SIGTERM)
        os.kill(child, signal.SIGCONT)
        wait_for(lambda: not second.is_running, what="the end of the second")

        assert (1, 0) == given_back
        assert 2 == storm.ended()
        assert (0, 0) == places(storm.broker_url)
        assert 0 == sum(worker.log.count("ended by force") for worker in (first, second))
        storm.judge().assert_clean()

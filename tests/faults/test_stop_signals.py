"""Workers that are asked to stop twice, the second time in the middle of something."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery.worker import state

from tests.faults.entries import Entries
from tests.faults.redis_state import places, redis_client
from tests.faults.storm import Storm
from tests.waiting import wait_for
from tests.workers import Worker
from worker.last_resort import LastResort, Patience
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
    """What is done at a signal, in its order; what Celery would do takes its time."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def cancel_active_requests(self) -> None:
        """Note that running batches are ended, and that nothing else can start by then."""
        self.told.append(f"killed, terminates: {state.should_terminate}")

    def celery(self, number: int, _frame: object) -> None:
        """Be interrupted by QUIT."""
        self.told.append(f"begins {number}")
        if number == signal.SIGTERM:
            os.kill(os.getpid(), signal.SIGQUIT)
        self.told.append(f"ends {number}")


def _listening() -> Heard:
    heard = Heard()
    for number in SIGNALS:
        signal.signal(number, heard.celery)
    last_resort = LastResort(NEVER, is_busy=lambda: False, is_in_vain=lambda: False)
    StopSignals(heard, last_resort, lambda status: heard.told.append(f"cold {status}")).install()
    return heard


@pytest.mark.usefixtures("own_signals")
def test_signals_are_obeyed_in_turn() -> None:
    """QUIT in the middle of TERM waits for its end, and no batch starts any more by then."""
    heard = _listening()

    os.kill(os.getpid(), signal.SIGTERM)

    term = int(signal.SIGTERM)
    assert [f"begins {term}", f"ends {term}", "killed, terminates: 1", "cold 1"] == heard.told


@pytest.mark.usefixtures("own_signals")
def test_the_second_interrupt_is_cold() -> None:
    """INT waits for what runs, once; the second one does not."""
    heard = _listening()

    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)

    number = int(signal.SIGINT)
    assert [f"begins {number}", f"ends {number}", "killed, terminates: 1", "cold 1"] == heard.told


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

"""Stock Celery and its peers, each by its own command; settings stand in ``bench/peers/``."""

from collections.abc import Callable
from functools import partial

from redis import Redis

from bench.queues import DramatiqQueue, ListQueue, Queue, StreamQueue
from bench.servers import Place
from bench.subjects.subject import Home, Subject
from bench.table_queue import TableQueue

Open = Callable[[Redis, Place], Queue]


def _peer(
    name: str, module: str, command: tuple[str, ...], queue: Open, ready: str, **more: float | int
) -> Subject:
    celery_form = module.startswith("celery")
    return Subject(
        name=name,
        processes=(command,),
        producer=partial(_produce, module.replace("celery_batched", "celery_app")),
        queue=queue,
        env=partial(_env, celery_form),
        ready=ready,
        ready_times=int(more.get("ready_times", 1)),
        share=float(more.get("share", 0.5)),
        far_share=float(more.get("share", 0.5)) / 5,
        home=Home.PEERS,
        schema=("-m", f"bench.peers.{module}", "schema") if name == "procrastinate" else (),
        messages="celery" if celery_form else name,
    )


def _produce(module: str, place: Place, count: int) -> tuple[str, ...]:  # noqa: ARG001
    return ("-m", f"bench.peers.{module}", str(count))


def _env(celery_form: bool, place: Place) -> dict[str, str]:  # noqa: FBT001
    broker = place.celery_url() if celery_form else place.redis_url()
    return {"BENCH_BROKER_URL": broker, "BENCH_DATABASE_URL": place.database_url}


def _celery(module: str, *options: str) -> tuple[str, ...]:
    worker = ("-m", "celery", "-A", f"bench.peers.{module}", "worker", "-Q", "bench")
    # Talk among workers is of no use to one worker (docs.celeryq.dev, userguide/workers).
    return (*worker, "--without-gossip", "--without-mingle", "--loglevel", "WARNING", *options)


def _list(redis: Redis, place: Place) -> Queue:  # noqa: ARG001 - all queues are asked so
    return ListQueue(redis, "bench")


def _dramatiq(redis: Redis, place: Place) -> Queue:  # noqa: ARG001 - the same
    return DramatiqQueue(redis, "dramatiq:bench")


def _stream(redis: Redis, place: Place) -> Queue:  # noqa: ARG001 - the same
    return StreamQueue(redis, "bench")


def _table(redis: Redis, place: Place) -> Queue:  # noqa: ARG001 - the same
    return TableQueue(place.database_url)


_ALL = (
    _peer("celery_prefork", "celery_app", _celery("celery_app", "-c", "2"), _list, "takes jobs",
          share=0.125),
    _peer("celery_threads", "celery_app",
          _celery("celery_app", "-P", "threads", "-c", "8"), _list, "takes jobs", share=0.125),
    _peer("celery_batched", "celery_batched", _celery("celery_batched", "-c", "2"), _list,
          "takes jobs", share=0.125),
    _peer("dramatiq", "dramatiq_app",
          ("-m", "dramatiq", "bench.peers.dramatiq_app", "--processes", "2", "--threads", "8"),
          _dramatiq, "ready for action", ready_times=2),
    _peer("taskiq", "taskiq_app",
          ("-m", "taskiq", "worker", "bench.peers.taskiq_app:broker", "--workers", "2",
           "--ack-type", "when_executed", "--log-level", "WARNING"),
          _stream, "takes jobs", ready_times=2),
    _peer("procrastinate", "procrastinate_app",
          ("-m", "procrastinate", "--app", "bench.peers.procrastinate_app.app",
           "--log-level", "warning", "worker",
           "--queues", "bench", "--concurrency", "20"),
          _table, "", share=0.025),
)  # fmt: skip
PEERS = {subject.name: subject for subject in _ALL}

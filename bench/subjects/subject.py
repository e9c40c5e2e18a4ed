"""What the harness must know of a subject to run it like all others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from redis import Redis

from bench.queues import Queue
from bench.servers import Place

ROOT = Path(__file__).resolve().parents[2]


class Home(Enum):
    """Whose Python and whose files a subject runs on."""

    #: This tree.
    BENCH = "bench"
    #: The tree of the product that is measured: this one, unless another is named.
    PRODUCT = "product"
    #: The peers' own environment, which holds nothing of the product.
    PEERS = "peers"


@dataclass(frozen=True, slots=True)
class Subject:
    """One way to run the jobs: its processes, its queue, who writes its messages."""

    name: str
    #: The main processes, each as the arguments of its Python.
    processes: tuple[tuple[str, ...], ...]
    #: Arguments of the producer's Python, without the number of jobs.
    producer: Callable[[Place, int], tuple[str, ...]]
    queue: Callable[[Redis, Place], Queue]
    env: Callable[[Place], Mapping[str, str]]
    #: What a main process prints when it takes jobs, and how often; empty where one process
    #: says nothing, and only its first jobs show that it works.
    ready: str
    ready_times: int = 1
    #: Part of the jobs of a full drain: slow ones are not waited for longer than fast ones.
    share: float = 1.0
    #: The same where every round trip takes longer.
    far_share: float = 1.0
    home: Home = Home.BENCH
    #: Who asks for the SQL that the subject's own tables need.
    schema: tuple[str, ...] = ()
    #: Subjects with the same messages share them.
    messages: str = ""

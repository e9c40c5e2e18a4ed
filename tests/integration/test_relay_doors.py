"""The relay behind the broker's other doors: TLS and Sentinel, each opened by a real one."""

import socket
from pathlib import Path

import pytest

from tests.faults.sentinel import MASTER, Sentinel
from tests.faults.tls_front import TlsFront, can_make_certificates
from tests.integration.relays import enqueue, outbox, queued, relay_on, turns
from worker.embedded import EmbeddedValkey

Env = dict[str, str]


def push_and_lose(env: Env, door: str, valkey: EmbeddedValkey) -> None:
    """Push through a door, lose it all, push it again; Redis is looked at from outside."""
    enqueue(env, 20)
    with relay_on(env | {"CELERIAC_BROKER_URL": door}) as relay:
        turns(relay)
        assert (20, (0, 20)) == (queued(env), outbox(env))
        with valkey.client() as redis:
            redis.flushall()
        relay._check_at = 0.0
        turns(relay)

    assert (20, (0, 20)) == (queued(env), outbox(env))


@pytest.mark.skipif(not can_make_certificates(), reason="openssl is not installed")
def test_relay_behind_tls(worker_env: Env, valkey_server: EmbeddedValkey, tmp_path: Path) -> None:
    """``rediss://``: what is due is pushed over encrypted connections, and again after a loss."""
    with TlsFront(str(valkey_server.socket), tmp_path) as tls:
        push_and_lose(worker_env, tls.url(0), valkey_server)

        assert tls.handshakes >= 1


def test_relay_behind_sentinel(
    worker_env: Env, valkey_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """``sentinel://``: what is due goes to the master that Sentinel names."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Sentinel(valkey_server, port, tmp_path) as sentinel:
        push_and_lose(worker_env, f"{sentinel.url()}?master_name={MASTER}", valkey_server)

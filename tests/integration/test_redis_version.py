"""Servers that are too old are refused in words, before anything is reserved."""

from typing import Any

import pytest

from worker.embedded import EmbeddedValkey
from worker.transport.server import ServerTooOld, refuse_old


@pytest.mark.parametrize("version", ["2.8.19", "5.0.14", "6.0.16"])
def test_old_redis_is_refused(version: str) -> None:
    """The message names version, place, limit and what to do."""
    with pytest.raises(ServerTooOld) as refused:
        refuse_old({"redis_version": version}, "broker:6379")

    words = str(refused.value)
    assert words.startswith(f"Redis {version} at broker:6379 is too old: 6.2 or newer, or Valkey")
    assert "CELERIAC_BROKER_URL" in words


@pytest.mark.parametrize(
    "info",
    [
        {"redis_version": "6.2.0"},
        {"redis_version": "6.2.14"},
        {"redis_version": "8.0.1"},
        {"redis_version": "10.0.0"},
        {"redis_version": 7.2},
        {"redis_version": "255.255.255"},
        {"redis_version": "7.2.4", "valkey_version": "9.0.1", "server_name": "valkey"},
        {},
    ],
)
def test_new_enough_is_accepted(info: dict[str, Any]) -> None:
    """Redis from 6.2 on, Valkey, and who says nothing of Redis's versions, are accepted."""
    refuse_old(info, "broker:6379")


def test_real_server_is_accepted(valkey_server: EmbeddedValkey) -> None:
    """What a real Valkey says of itself is understood."""
    with valkey_server.client() as client:
        info = client.info("server")

    refuse_old(info, "here")

    assert "valkey_version" in info

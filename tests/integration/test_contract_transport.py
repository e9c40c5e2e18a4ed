"""What our channel uses of kombu's Redis transport and virtual channels beside their public API.

Each test names its hook: when one fails after an upgrade, that hook broke.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kombu import Connection, Queue
from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from kombu.transport.redis import MultiChannelPoller
from kombu.utils.imports import symbol_by_name

from worker.transport import broker_settings
from worker.transport.channel import Channel, SentinelChannel, SentinelTransport, Transport

QUEUE = Queue("contract", exchange="", routing_key="contract")


@contextmanager
def stock_channel(url: str, **options: Any) -> Iterator[Any]:
    """Open a channel of kombu's own."""
    TRANSPORT_ALIASES["stock"] = "kombu.transport.redis:Transport"
    address = url.replace("redis+socket", "stock+socket")
    with Connection(address, transport_options=options) as connection:
        yield connection.default_channel


@pytest.mark.parametrize(
    ("caller", "call"),
    [
        (MultiChannelPoller.on_poll_start, "channel.qos.can_consume()"),
        (MultiChannelPoller.on_poll_start, "self._register_BRPOP(channel)"),
        (MultiChannelPoller._register_BRPOP, "if not channel._in_poll"),
        (MultiChannelPoller._register_BRPOP, "channel._brpop_start()"),
        (MultiChannelPoller.on_readable, "chan.qos.can_consume()"),
        (MultiChannelPoller.on_readable, "chan.handlers[type]()"),
        (MultiChannelPoller.maybe_check_brpop_health, "channel._brpop_sent_at"),
        (MultiChannelPoller.maybe_restore_messages, "qos.restore_visible("),
        (MultiChannelPoller.maybe_refresh_binding_expiry, "channel.maybe_refresh_binding_expiry()"),
        (redis.Transport.register_with_event_loop, "1, cycle.maybe_refresh_binding_expiry"),
        (virtual.Channel.queue_bind, "self._queue_bind(exchange, *meta)"),
        (redis.Channel.__init__, "'BRPOP': self._brpop_read"),
        (redis.Channel.close, "self._brpop_read()"),
        (redis.Channel._brpop_start, "self._queue_cycle.consume(len(self.active_queues))"),
        (redis.Channel._brpop_start, "self._q_for_pri(queue, pri) for pri in self.priority_steps"),
        (redis.Channel._brpop_start, "self._in_poll = self.client.connection"),
        (redis.Channel._brpop_start, "self.client.connection.send_command("),
        (redis.Channel._brpop_read, "self.client.parse_response("),
        (redis.Channel._brpop_read, "except self.connection_errors"),
        (redis.Channel._brpop_read, "self.client.connection.disconnect()"),
        (redis.Channel._brpop_read, "rsplit(self.sep, 1)[0]"),
        (redis.Channel._brpop_read, "self._queue_cycle.rotate(dest)"),
        (redis.Channel._brpop_read, "self.connection._deliver("),
        (redis.Channel._brpop_read, "self._in_poll = None"),
        (redis.Channel._brpop_read, "self._flush_brpop_reauth()"),
        (redis.Channel.client.func, "self._create_client("),
        (virtual.Channel.basic_consume, "self.qos.append(message, message.delivery_tag)"),
        (virtual.Channel.basic_ack, "self.qos.ack(delivery_tag)"),
        (virtual.Channel.basic_reject, "self.qos.reject(delivery_tag, requeue=requeue)"),
        (virtual.Channel.basic_qos, "self.qos.prefetch_count = prefetch_count"),
        (virtual.Channel.close, "self._qos.restore_unacked_once()"),
        (virtual.Channel.qos.fget, "self.QoS(self"),
    ],
)
def test_the_calls_that_ours_stands_in_for(caller: Callable[..., Any], call: str) -> None:
    """Poller, channel and books call each other by the names that our channel relies on."""
    assert call in inspect.getsource(caller)


@pytest.mark.parametrize(
    ("hook", "parameters"),
    [
        (redis.Channel._brpop_start, ["self", "timeout"]),
        (redis.Channel._brpop_read, ["self", "options"]),
        (redis.Channel.basic_consume, ["self", "queue", "args", "kwargs"]),
        (redis.Channel._q_for_pri, ["self", "queue", "pri"]),
        (redis.Channel._queue_bind, ["self", "exchange", "routing_key", "pattern", "queue"]),
        (redis.Channel.maybe_refresh_binding_expiry, ["self"]),
        (redis.Channel._connparams, ["self", "asynchronous"]),
        (redis.Channel._get_pool, ["self", "asynchronous"]),
        (redis.Channel.conn_or_acquire, ["self", "client"]),
        (virtual.Transport._deliver, ["self", "message", "queue"]),
        (virtual.QoS.can_consume, ["self"]),
        (virtual.QoS.can_consume_max_estimate, ["self"]),
        (virtual.QoS.append, ["self", "message", "delivery_tag"]),
        (virtual.QoS.ack, ["self", "delivery_tag"]),
        (virtual.QoS.reject, ["self", "delivery_tag", "requeue"]),
        (virtual.QoS.restore_unacked, ["self"]),
        (virtual.QoS.restore_unacked_once, ["self", "stderr"]),
        (redis.QoS.restore_visible, ["self", "start", "num", "interval"]),
    ],
)
def test_hooks_keep_their_parameters(hook: Callable[..., Any], parameters: list[str]) -> None:
    """What ours overrides or calls takes the arguments that it took."""
    assert parameters == list(inspect.signature(hook).parameters)


def test_names_of_lists_and_places(broker_url: str) -> None:
    """_q_for_pri, priority_steps, sep, global_keyprefix, _connparams: where jobs wait."""
    with stock_channel(broker_url, global_keyprefix="p:") as channel:
        place = channel._connparams()

        assert (0, 3, 6, 9) == tuple(channel.priority_steps)
        assert "contract" == channel._q_for_pri("contract", 0)
        assert f"contract{channel.sep}3" == channel._q_for_pri("contract", 3)
        assert "p:" == channel.global_keyprefix
        assert {"path", "db"} <= place.keys()
        assert {
            "socket_timeout",
            "retry_on_timeout",
        } <= channel._get_pool().connection_kwargs.keys()


def test_active_queues_are_those_that_are_consumed(broker_url: str) -> None:
    """active_queues and _queue_cycle know a queue from basic_consume on; rotate moves it back."""
    with stock_channel(broker_url) as channel:
        for name in ("one", "two"):
            channel.queue_declare(name)
            channel.basic_consume(name, no_ack=False, callback=len, consumer_tag=name)

        assert {"one", "two"} == set(channel.active_queues)
        first = channel._queue_cycle.consume(2)
        channel._queue_cycle.rotate(first[0])
        assert first[::-1] == channel._queue_cycle.consume(2)


def test_transport_options_are_known() -> None:
    """A channel takes every option that we give it; a wrong name would be passed over."""
    options = broker_settings("redis://", lease_seconds=1, prefetch_bytes=1, key_prefix="p")

    given = options["broker_transport_options"].keys()
    assert given <= set(Channel.from_transport_options)
    assert given <= set(SentinelChannel.from_transport_options)


@pytest.mark.parametrize(
    ("scheme", "stock", "ours"),
    [
        ("redis", redis.Transport, Transport),
        ("rediss", redis.Transport, Transport),
        ("sentinel", redis.SentinelTransport, SentinelTransport),
    ],
)
def test_each_scheme_leads_to_our_transport(scheme: str, stock: type, ours: type) -> None:
    """Ours is kombu's of that scheme, tells Celery that it is Redis, and has our channel."""
    found = symbol_by_name(TRANSPORT_ALIASES[scheme])

    assert ours is found
    assert issubclass(found, stock)
    assert "redis" == found.driver_type
    assert issubclass(found.Channel, Channel | stock.Channel)
    assert stock.default_port == found.default_port


def test_sentinels_way_to_connect_is_kept() -> None:
    """SentinelChannel: our ways to take messages, kombu's ways to find the master."""
    theirs = redis.SentinelChannel

    for name in ("_brpop_start", "_brpop_read", "basic_consume", "QoS", "reservation"):
        assert getattr(Channel, name) is getattr(SentinelChannel, name)
    for name in ("_get_pool", "_sentinel_managed_pool", "connection_class", "connection_class_ssl"):
        assert getattr(theirs, name) is getattr(SentinelChannel, name)
    assert set(theirs.from_transport_options) <= set(SentinelChannel.from_transport_options)

"""Reserve: how messages come from the broker, under a lease, and how they are given back.

The one seam between the worker and the broker is :func:`broker_settings`:
another kombu transport over ours is put in by changing what it returns.
"""

from worker.transport.settings import broker_settings

__all__ = ["broker_settings"]

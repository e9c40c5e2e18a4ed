"""``python -m worker up``: everything on one machine, from nothing, and the demo's main job."""

from worker.up.command import up

__all__ = ["up"]

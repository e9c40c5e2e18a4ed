"""Load what a name stands for: commands and kinds are named, and loaded when they are needed."""

from importlib import import_module
from typing import Any


def load(place: str) -> Any:
    """Import what ``package.module:ATTRIBUTE`` stands for."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)

"""One line for every step, with the time since the start."""

import time

_began = time.monotonic()


def say(text: str) -> None:
    """Print one line of progress."""
    minutes, seconds = divmod(int(time.monotonic() - _began), 60)
    print(f"{minutes:3d}:{seconds:02d}  {text}", flush=True)

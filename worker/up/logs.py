"""Give the lines of each process a file of their own, and notice who is ready."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TextIO

TAIL_LINES = 15


class Message(Protocol):
    """What Honcho hands to its printer."""

    name: str
    data: bytes | str


class Logs:
    """Stands where Honcho expects a printer to the screen.

    ``signs`` says by which words each process shows that it is ready.
    """

    width = 0  # Honcho sets it, for a screen

    def __init__(
        self, folder: Path, signs: Mapping[str, str], on_start: Callable[[], None]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ready = threading.Event()
        self._folder = folder
        self._signs = dict(signs)
        self._on_start: Callable[[], None] | None = on_start
        self._files: dict[str, TextIO] = {}
        self._tails: dict[str, deque[str]] = {}

    def write(self, message: Message) -> None:
        """Take the lines of one process; Honcho calls this in the main thread."""
        self._tell_start()
        data = message.data
        text = data.decode(errors="replace") if isinstance(data, bytes) else data
        file = self._file(message.name)
        for line in text.splitlines():
            print(line, file=file, flush=True)
            self._tails[message.name].append(line)
            self._look_for_sign(message.name, line)

    def waiting(self) -> list[str]:
        """Return the processes that are not ready yet."""
        return sorted(self._signs)

    def tail(self, name: str) -> str:
        """Return the last words of a process."""
        return "\n".join(self._tails.get(name, ()))

    def path(self, name: str) -> Path:
        """Return where the log of a process is."""
        return self._folder / f"{name}.log"

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()

    def _tell_start(self) -> None:
        # The first line comes when all processes are forked: threads may start from now on.
        if self._on_start is not None:
            start, self._on_start = self._on_start, None
            start()

    def _look_for_sign(self, name: str, line: str) -> None:
        if name in self._signs and self._signs[name] in line:
            del self._signs[name]
            if not self._signs:
                self.ready.set()

    def _file(self, name: str) -> TextIO:
        if name not in self._files:
            self._files[name] = self.path(name).open("a", encoding="utf-8")
            self._tails[name] = deque(maxlen=TAIL_LINES)
        return self._files[name]

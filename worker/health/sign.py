"""Signs of life: a file in which a process says how it does, for who asks from outside.

Written by the part of the process that must not stand still, so that a sign that
grows old says that it does.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

#: A sign that says nothing new is not written more often.
_PAUSE_SECONDS = 1.0
_STARTING = "it is starting"

#: Who wants to know how a round went: an empty text, or what is wrong.
Tell = Callable[[str], None]


class Sign(msgspec.Struct, frozen=True):
    """What a process said last of itself."""

    process: str
    #: By the clock that all processes of a machine share and nobody sets.
    at: float
    #: So old a sign may be before it means that the process stands still.
    within_seconds: float
    #: What is wrong; empty if nothing is.
    trouble: str
    #: Whether it needs the database that reports are read from, beside the one of the ledger.
    reads_reports: bool = True


def tell_nobody(_trouble: str) -> None:
    """Take a sign of life that nobody asked for."""


class SignsOfLife:
    """Keeps one process's sign of life up to date; without a path, does nothing."""

    def __init__(
        self,
        path: Path | None,
        process: str,
        within_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: What its signs say of that; to be set before the first.
        self.reads_reports = True
        self._path = path
        self._process = process
        self._within_seconds = within_seconds
        self._clock = clock
        self._written: Sign | None = None

    def start(self) -> None:
        """Say that the process is starting; ends it if the file cannot be written."""
        try:
            self._write(self._sign(_STARTING))
        except OSError as error:
            raise SystemExit(
                f"signs of life cannot be written: {error}; "
                "let CELERIAC_ALIVE_FILE name a file in a folder that this process may write to"
            ) from error

    def tell(self, trouble: str = "") -> None:
        """Say how the process does; a sign that cannot be written is one that does not come."""
        sign, last = self._sign(trouble), self._written
        if last and last.trouble == trouble and sign.at - last.at < _PAUSE_SECONDS:
            return
        try:
            self._write(sign)
        except OSError:
            return

    def end(self) -> None:
        """Take the sign back: the process ends because it was asked to."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()

    def _sign(self, trouble: str) -> Sign:
        return Sign(self._process, self._clock(), self._within_seconds, trouble, self.reads_reports)

    def _write(self, sign: Sign) -> None:
        if self._path is None:
            return
        # Beside it and renamed: who asks must never find half a sign.
        draft = self._path.with_name(f"{self._path.name}.new")
        draft.write_bytes(msgspec.json.encode(sign))
        draft.replace(self._path)
        self._written = sign


def read_sign(path: Path) -> Sign | None:
    """Return the last sign of life; None if there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sign)
    except (OSError, msgspec.DecodeError):
        return None


def judge(sign: Sign | None, process: str, now: float) -> str:
    """Say what is wrong with a process, going by its sign of life; empty if nothing is."""
    if sign is None:
        return f"the {process} gives no sign of life: it has not started, or it has ended"
    if sign.process != process:
        return f"the sign of life is of a {sign.process}: ask for its health, or give each its file"
    age_seconds = now - sign.at
    if sign.trouble == _STARTING and age_seconds > sign.within_seconds:
        # It says no more until its servers answer, and a restart would not make them.
        return (
            f"the {process} has been starting for {age_seconds:.0f} s: "
            "it waits for a server, its log says for which"
        )
    # A sign from before the machine started has the later time.
    if not 0 <= age_seconds <= sign.within_seconds:
        return (
            f"the {process} stands still: its last sign of life is {abs(age_seconds):.0f} s old, "
            f"more than {sign.within_seconds:g} s; see its log, then restart it"
        )
    return f"the {process}: {sign.trouble}" if sign.trouble else ""

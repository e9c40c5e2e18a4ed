"""Where the reading of a file stands, and what file it was."""

from dataclasses import asdict, dataclass
from typing import Any

from tasks.files.errors import FileChanged


@dataclass(frozen=True, slots=True)
class Position:
    """The end of a chunk: all before it is done.

    Reading goes on from here in another process too: keep ``to_json`` with the
    chunk's rows. ``offset`` counts the bytes of the text as UTF-8, decompressed
    (Parquet: rows). The first ``read_bytes`` of the file as it is stored, which
    may reach further, have the hash ``sha256``: that is how a change is noticed.
    """

    offset: int = 0
    records: int = 0
    lines: int = 0
    read_bytes: int = 0
    sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Position":
        """Return the position that was kept."""
        return cls(**value)


START = Position()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file looks like from outside; None where its place does not tell."""

    size_bytes: int | None = None
    modified: str | None = None
    etag: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Fingerprint":
        """Return the fingerprint that was kept."""
        return cls(**value)

    def refuse_change(self, earlier: "Fingerprint", url: str) -> None:
        """Raise :class:`FileChanged` unless this is the file that it was."""
        for what, was, now in (
            ("size was {} bytes", earlier.size_bytes, self.size_bytes),
            ("etag was {}", earlier.etag, self.etag),
            ("time of change was {}", earlier.modified, self.modified),
        ):
            if was != now:
                raise FileChanged(
                    f"{url}: the file was changed while its rows went in: its {what.format(was)}, "
                    f"now {now}; send the new file as a job of its own"
                )

"""Compare the files of reports with what PostgreSQL says of them, byte for byte."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from postgres.report_files import Chosen, CountedFile, is_counted, page_counted
from postgres.transaction import Lender, transaction
from tasks.reports.artifacts.archive import Archive
from tasks.stores import StoreTrouble

_BLOCK_BYTES = 1 << 20


class Fault(StrEnum):
    """What may be wrong with a file."""

    MISSING = "missing"
    CHANGED = "changed"
    ELSEWHERE = "elsewhere"
    UNREADABLE = "unreadable"
    UNCOUNTED = "uncounted"


@dataclass(frozen=True, slots=True)
class Finding:
    """A file with which something is wrong."""

    fault: Fault
    url: str
    words: str
    report: str = ""
    job_id: str = ""


def verify(
    chosen: Chosen, archive: Archive, pool: Lender, tell: Callable[[int], None]
) -> Iterator[Finding]:
    """Read every file that counts and yield what is wrong; ``tell`` hears of each file."""
    after = ""
    while True:
        with transaction(pool) as cursor:
            page = page_counted(chosen, after, cursor)
        if not page:
            return
        for one in page:
            finding = _compared(one, archive)
            if finding is not None and _still_counts(one, pool):
                yield finding
            tell(1)
        after = page[-1].job_id


def _compared(file: CountedFile, archive: Archive) -> Finding | None:
    place = archive.place(file.url)
    if place is None:
        return _finding(file, Fault.ELSEWHERE, "not below ARTIFACTS as this machine has it")
    try:
        size_bytes, sha256 = _read(archive, place)
    except FileNotFoundError:
        return _finding(file, Fault.MISSING, "there is no such file")
    except StoreTrouble as error:
        return _finding(file, Fault.UNREADABLE, str(error))
    if size_bytes != file.bytes:
        return _finding(file, Fault.CHANGED, f"{size_bytes} bytes, not {file.bytes}")
    if sha256 != file.sha256:
        return _finding(file, Fault.CHANGED, f"sha256 {sha256}, not {file.sha256}")
    return None


def _read(archive: Archive, place: str) -> tuple[int, str]:
    """Hash a file block by block; memory stays flat."""
    hashed, size_bytes = hashlib.sha256(), 0
    for block in archive.blocks(place, _BLOCK_BYTES):
        hashed.update(block)
        size_bytes += len(block)
    return size_bytes, hashed.hexdigest()


def _still_counts(file: CountedFile, pool: Lender) -> bool:
    """Ask again: it may have been removed by age while others were read."""
    with transaction(pool) as cursor:
        return is_counted(file.job_id, cursor)


def _finding(file: CountedFile, fault: Fault, words: str) -> Finding:
    return Finding(fault, file.url, words, file.report, file.job_id)

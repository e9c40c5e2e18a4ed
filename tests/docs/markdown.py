"""Read the documentation: its pages, their code blocks, code words and tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.workers import ROOT

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE_SPAN = re.compile(r"``\s(.+?)\s``|`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code, and where it begins."""

    page: Path
    line: int
    info: str
    text: str

    @property
    def name(self) -> str:
        """Say where it is, for a test's id."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every page of documentation."""
    found = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    found += [ROOT / "client" / "README.md", *(ROOT / "docs").rglob("*.md")]
    return sorted([*found, *(ROOT / "examples").rglob("*.md")])


def guides() -> list[Path]:
    """Return the pages whose Python examples have to run."""
    return sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match["info"].strip(), match["text"])
        for match in _FENCE.finditer(text)
    ]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def code(page: Path) -> Iterator[str]:
    """Yield what a page shows as code: each line of each block, each code word."""
    for block in blocks(page):
        yield from block.text.splitlines()
    for match in _CODE_SPAN.finditer(prose(page)):
        yield match[1] or match[2]


def table(page: Path, header: str) -> list[list[str]]:
    """Return the cells of the table under this header line."""
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = []
    for line in lines[lines.index(header) + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows

# ruff: noqa: INP001 - docs is a folder of pages, no package
"""Write docs/map.md from the first sentence of each file.

python docs/generate_map.py
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "map.md"
FOLDERS = ("worker", "tasks", "postgres", "client/src/celeriac")
SUFFIXES = (".py", ".lua")
HEAD = """\
# Map

<!-- Written by docs/generate_map.py from the first sentence of each file: change it there. -->

Every file of the product, in its own words; [architecture](architecture.md) names them in the order
a job meets them. `config.py` alone sees the environment. Statements are files in `postgres/sql`,
one each, and `postgres/migrations` holds those that make the schema.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the page as it should be."""
    return HEAD + "".join(_section(folder) for folder in _folders())


def _folders() -> Iterator[Path]:
    for name in FOLDERS:
        top = ROOT / name
        inside = (one for one in top.rglob("*") if one.is_dir() and any(_files(one)))
        yield from (top, *sorted(inside))


def _section(folder: Path) -> str:
    lines = [f"\n## {folder.relative_to(ROOT)}\n"]
    lines += ["| file | what it does |", "| --- | --- |"]
    lines += [f"| `{file.name}` | {_first_sentence(file)} |" for file in sorted(_files(folder))]
    return "\n".join(lines) + "\n"


def _files(folder: Path) -> Iterator[Path]:
    for file in folder.iterdir():
        if file.suffix in SUFFIXES and file.name != "__init__.py":
            yield file


def _first_sentence(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".lua":
        words = " ".join(line.removeprefix("--").strip() for line in text.splitlines()[:4])
        return words.partition(". ")[0].rstrip(".").replace("|", "\\|") + "."
    docstring = ast.get_docstring(ast.parse(text)) or ""
    return docstring.partition("\n")[0].replace("|", "\\|")


if __name__ == "__main__":
    main()

"""The catalog and the tables that the pages declare between them."""

from pathlib import Path

from tests.docs.markdown import blocks, guides
from tests.workers import ROOT

ALL_BLOCKS = [block for page in guides() for block in blocks(page)]


def lay_out_catalog(folder: Path) -> str:
    """Write the pages' targets and reports into a folder; return the SQL that makes the tables."""
    (folder / "targets.toml").write_text(texts("toml"))
    (folder / "reports").mkdir()
    for block in ALL_BLOCKS:
        _, _, file = block.info.partition(" report ")
        if file:
            (folder / "reports" / file).write_text(block.text)
    return (ROOT / "catalog" / "tables.sql").read_text() + texts("sql")


def texts(info: str) -> str:
    """Return all blocks of one sort, one after the other."""
    return "\n".join(block.text for block in ALL_BLOCKS if block.info == info)

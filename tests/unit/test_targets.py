"""The catalog of targets: read whole, or refused with every mistake named."""

from pathlib import Path

import pytest

from postgres.insert_rows import OnConflict
from tasks.targets import BadCatalog, Target, load_targets
from tests.workers import ROOT


def write(folder: Path, text: str) -> Path:
    """Write a catalog of targets."""
    (folder / "targets.toml").write_text(text, encoding="utf-8")
    return folder


def test_declarations_are_read(tmp_path: Path) -> None:
    """A table with its schema, its key and its policy; the schema is public unless named."""
    catalog = write(
        tmp_path,
        """
        [plain]
        table = "orders"
        [full]
        table = "shop.OrderLines"
        key = ["order", "line"]
        on_conflict = "update"
        """,
    )

    targets = load_targets(catalog)

    expected = {
        "plain": Target("plain", "public", "orders", (), OnConflict.ERROR),
        "full": Target("full", "shop", "OrderLines", ("order", "line"), OnConflict.UPDATE),
    }
    assert expected == targets


def test_empty_catalog_has_no_targets(tmp_path: Path) -> None:
    """A file without a declaration opens nothing."""
    targets = load_targets(write(tmp_path, "# nothing yet\n"))

    assert {} == targets


def test_every_mistake_is_named(tmp_path: Path) -> None:
    """One message names the file, and each wrong target with what is wrong about it."""
    catalog = write(
        tmp_path,
        """
        stray = 5
        [no_table]
        key = ["id"]
        [three_parts]
        table = "a.b.c"
        [spaces]
        table = "a b"
        [no_key]
        table = "t"
        on_conflict = "ignore"
        [policy]
        table = "t"
        on_conflict = "replace"
        [misspelt]
        table = "t"
        on_conflicts = "error"
        [key_type]
        table = "t"
        key = "id"
        [fine]
        table = "t"
        """,
    )

    with pytest.raises(BadCatalog) as caught:
        load_targets(catalog)

    message = str(caught.value)
    wrong = ["stray", "no_table", "three_parts", "spaces", "no_key", "policy", "misspelt"]
    assert str(tmp_path / "targets.toml") in message
    assert [*wrong, "key_type"] == [name for name in [*wrong, "key_type"] if f"[{name}]" in message]
    assert "[fine]" not in message
    for words in ("'a.b.c'", "'a b'", "needs a key", "'replace'", "on_conflicts", "`table`"):
        assert words in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[open\n", "targets.toml"),
        (b'[a]\ntable = "x"\n[a]\ntable = "y"\n', "targets.toml"),
        (b'[caf\xe9]\ntable = "x"\n', "targets.toml"),
    ],
)
def test_unreadable_catalog_names_its_file(tmp_path: Path, content: bytes, words: str) -> None:
    """What is no TOML, repeats a target, or is no UTF-8 is refused with the file's name."""
    (tmp_path / "targets.toml").write_bytes(content)

    with pytest.raises(BadCatalog, match=words):
        load_targets(tmp_path)


def test_missing_catalog_names_the_setting(tmp_path: Path) -> None:
    """A folder without the file says which setting names the folder."""
    with pytest.raises(BadCatalog, match="set CELERIAC_CATALOG to the folder"):
        load_targets(tmp_path)


def test_shipped_catalog_loads() -> None:
    """What the demo declares is in order."""
    targets = load_targets(ROOT / "catalog")

    assert targets

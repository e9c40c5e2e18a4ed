"""Pages that speak of tables in the code say the same as the code."""

import ast
import runpy

from celeriac.contract import MOVES
from postgres.decision import decide
from postgres.errors import Phase
from tests.docs.markdown import blocks, guides, table
from tests.workers import ROOT
from worker.transport.keys import Keys

DOCS = ROOT / "docs"
QUOTED_FILE = "python file="


def test_states_page_lists_every_move() -> None:
    """docs/states.md has one row for each move of the contract, and no other."""
    rows = table(DOCS / "states.md", "| from | to | when |")

    named = [(source.strip("`"), target.strip("`")) for source, target, _ in rows]

    moves = [(str(source), str(target)) for source, targets in MOVES.items() for target in targets]
    assert sorted(moves) == sorted(named)


def test_decision_table_is_that_of_the_code() -> None:
    """Each line of the table in docs/architecture.md is what decide() answers."""
    header = "| SQLSTATE | phase | one job | several jobs | because |"
    for codes, phases, alone, together, _ in table(DOCS / "architecture.md", header):
        for code in codes.split(", "):
            for phase in map(Phase, phases.split(", ")):
                sqlstate = None if code == "none" else code

                decided = [str(decide(sqlstate, phase, jobs)) for jobs in (1, 2)]

                assert [alone, together] == decided, (code, phase)


def test_every_event_is_explained() -> None:
    """docs/operations.md has a line for each event of the log, with its level."""
    rows = table(DOCS / "operations.md", "| event | level | meaning | what to do |")

    explained = {(name.strip("`").strip(), level) for name, level, *_ in rows}

    assert _events() == explained


def test_every_key_in_redis_is_explained() -> None:
    """docs/operations.md has a line for each key that workers keep in Redis, and no other."""
    rows = table(DOCS / "operations.md", "| key | type | what it holds |")

    keys = Keys("", "<owner>")
    named = {keys.owners, keys.suspects, keys.slabs, keys.running, keys.recovered, keys.told}
    named |= {f"{keys.slab_prefix}<n>", keys.cancelled, keys.nothing}
    assert named == {key.strip("`") for key, *_ in rows}


def test_settings_page_is_current() -> None:
    """docs/settings.md is what docs/generate_settings.py writes today."""
    generator = runpy.run_path(str(DOCS / "generate_settings.py"))

    assert generator["page"]() == (DOCS / "settings.md").read_text(encoding="utf-8")


def test_map_is_current() -> None:
    """docs/map.md names every file of the product, as docs/generate_map.py writes it today."""
    generator = runpy.run_path(str(DOCS / "generate_map.py"))

    assert generator["page"]() == (DOCS / "map.md").read_text(encoding="utf-8")


def test_quoted_files_are_quoted_whole() -> None:
    """A code block that names a file holds that file."""
    quotes = [one for page in guides() for one in blocks(page) if one.info.startswith(QUOTED_FILE)]

    assert quotes
    for block in quotes:
        assert (ROOT / block.info.removeprefix(QUOTED_FILE)).read_text() == block.text


def _events() -> set[tuple[str, str]]:
    tree = ast.parse((ROOT / "worker" / "events.py").read_text())
    found = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        method = call.func
        if isinstance(method, ast.Attribute) and ast.unparse(method.value) == "_log":
            found.add((ast.literal_eval(call.args[0]), method.attr))
    return found

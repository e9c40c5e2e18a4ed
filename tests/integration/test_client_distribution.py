"""The client stands alone: what it imports, what its wheel holds."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import celeriac
from tests.workers import ROOT

SOURCE = ROOT / "client" / "src"
STRANGERS = {"celery", "django", "kombu", "psycopg2", "config", "tasks", "worker", "postgres"}
BUILD_SECONDS = 120

ALONE = """
import sys
sys.path.insert(0, {source!r})
import celeriac
celeriac.Client("redis://localhost").close()
assert celeriac.__file__.startswith({source!r}), celeriac.__file__
print(*sorted({strangers!r} & set(sys.modules)))
"""


def test_the_client_imports_nothing_of_ours(tmp_path: Path) -> None:
    """In an interpreter of its own, neither Celery, nor a driver, nor our code comes with it."""
    code = ALONE.format(source=str(SOURCE), strangers=STRANGERS)

    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "", "") == (done.returncode, done.stdout.strip(), done.stderr)


def test_what_is_not_used_is_not_imported(tmp_path: Path) -> None:
    """The package alone, and its contract, cost no import of redis-py."""
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import celeriac, celeriac.contract;"
        " print('redis' in sys.modules, sorted(set(celeriac.__all__) - set(dir(celeriac))) != [])"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert "False True" == done.stdout.strip()


def test_every_name_that_is_offered_is_there() -> None:
    """Names that are fetched when asked for are found, and an unknown one is not."""
    found = {name: getattr(celeriac, name) for name in celeriac.__all__}

    assert [] == [name for name, value in found.items() if value.__name__ != name]
    assert not hasattr(celeriac, "nothing")


def test_the_wheel_holds_the_client_alone(tmp_path: Path) -> None:
    """The wheel brings the package celeriac, typed, asks for redis-py, and nothing else."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path)]

    subprocess.run([*command, str(ROOT / "client")], check=True, timeout=BUILD_SECONDS)

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read("celeriac-0.1.0.dist-info/METADATA").decode()
    sources = {
        path.relative_to(SOURCE).as_posix()
        for path in (SOURCE / "celeriac").rglob("*.*")
        if "__pycache__" not in path.parts and path.is_file()
    }
    assert "celeriac/py.typed" in sources
    assert sources == {name for name in names if ".dist-info/" not in name}
    needed = re.findall(r"^Requires-Dist: (\w+)[^;\n]*(.*)$", metadata, re.MULTILINE)
    assert [("redis", ""), ("django", "; extra == 'django'")] == needed

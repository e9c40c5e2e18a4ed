"""The client stands alone: what it imports, what its wheel holds."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import celeriac
from tests.workers import ROOT

SOURCE = ROOT / "client" / "src"
STRANGERS = {"celery", "django", "kombu", "psycopg2", "config", "tasks", "worker", "postgres"}
BUILD_SECONDS = 120
OLDEST = (3, 10)
#: What a producer on any Python does without a server.
USE = """
import sys
import celeriac
from celeriac import BadPayload, BrokerUnavailable, Client, outbox
assert sys.version_info[:2] == {version}
for name in celeriac.__all__:
    getattr(celeriac, name)
with Client("unix:///nowhere/redis.sock") as client:
    group = client.group(id="g")
    print(*group.ingest_many("alpha", [{{"n": 1}}, {{"n": 2}}], rows_per_job=1))
    try:
        client.ingest("alpha", {{"n": 1}})
    except BrokerUnavailable as error:
        print(type(error).__name__)
"""

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


def pythons(minor: int) -> list[str]:
    """Return the interpreters of a version that are at hand."""
    found = [str(path) for path in Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")]
    found += filter(None, [shutil.which(f"python3.{minor}")])
    asked = [subprocess.run([one, "-c", ""], capture_output=True, check=False) for one in found]
    # pyenv's shims are there for versions that are switched off, too.
    return [one for one, done in zip(found, asked, strict=True) if done.returncode == 0]


@pytest.mark.parametrize("minor", [10, 12, 13])
def test_the_client_runs_on_each_python(tmp_path: Path, minor: int) -> None:
    """On each version that it promises and that is at hand, everything is imported and works."""
    if not pythons(minor):
        pytest.skip(f"no Python 3.{minor} is at hand")
    redis = find_spec("redis")
    assert redis is not None
    assert redis.origin is not None
    (tmp_path / "redis").symlink_to(Path(redis.origin).parent)
    # redis-py imports it on Python 3.10; here nobody waits for anything with it.
    (tmp_path / "async_timeout.py").write_text("timeout = None")
    paths = f"import sys; sys.path[:0] = [{str(SOURCE)!r}, {str(tmp_path)!r}]"

    done = subprocess.run(
        [pythons(minor)[0], "-IB", "-c", paths + USE.format(version=(3, minor))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "g:1 g:2\nBrokerUnavailable\n") == (done.returncode, done.stdout), done.stderr


def test_the_client_is_written_for_the_oldest_python() -> None:
    """No file of it has a word that Python 3.10 cannot read."""
    for path in (SOURCE / "celeriac").rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=OLDEST)


def test_the_wheel_holds_the_client_alone(tmp_path: Path) -> None:
    """The wheel brings the package celeriac, typed, asks for redis-py, and nothing else."""
    # With the builder that is installed here: nothing is fetched for it.
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]

    subprocess.run(
        [*command, "-w", str(tmp_path), str(ROOT / "client")], check=True, timeout=BUILD_SECONDS
    )

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

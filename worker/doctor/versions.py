"""Whether the libraries are those that this version was made for."""

import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType

from worker.doctor.finding import Finding, ok, problem

_PYTHON = ((3, 11), (3, 13))
#: Held to one minor version: the transport and the accumulator use hooks that are no public API.
_HELD: Mapping[str, str] = MappingProxyType({"celery": "5.7", "kombu": "5.7"})
_NEEDED = ("redis", "psycopg2-binary", "flower")


def look_at_versions() -> Iterator[Finding]:
    """Tell which Python and which libraries this process runs on."""
    yield _python()
    for package, wanted in _HELD.items():
        found = _version(package)
        if found is None or not found.startswith(f"{wanted}."):
            yield problem(
                package,
                f"{package} is {found or 'not installed'}, but {wanted}.x is needed",
                "pip install -r requirements.txt",
            )
        else:
            yield ok(package, found)
    missing = [package for package in _NEEDED if _version(package) is None]
    if missing:
        yield problem(
            "packages",
            f"{', '.join(missing)} cannot be found",
            "pip install -r requirements.txt",
        )


def _python() -> Finding:
    oldest, newest = (".".join(map(str, one)) for one in _PYTHON)
    found = platform.python_version()
    if not _PYTHON[0] <= sys.version_info[:2] <= _PYTHON[1]:
        sentence = f"Python {found} is not among those that are tested, {oldest} to {newest}"
        return problem("Python", sentence, f"rm -rf .venv && make install PYTHON=python{newest}")
    return ok("Python", found)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

"""Copy the file of a report to where its asker wants it, and make sure that it is that file."""

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from socket import gethostname
from typing import Any, Final

from celeriac.errors import DownloadFailed
from celeriac.shown import shown

_BLOCK_BYTES: Final = 1 << 20
_HEX: Final = re.compile(r"[0-9a-f]{64}")


def _never() -> bool:
    return False


def fetch(
    result: Mapping[str, Any], to: Any, is_given_up: Callable[[], bool] = _never
) -> "Path | None":
    """Copy the file that a report's result names; return where it is, None if ``to`` is a file.

    ``is_given_up`` is asked now and then. Raises :class:`DownloadFailed`;
    nothing is then left under the final name that was not there before.
    """
    url, sha256 = _facts(result)
    if hasattr(to, "write"):
        _copy(url, sha256, to.write, is_given_up)
        return None
    final = _final(to, url)
    draft = final.with_name(f".{final.name}.{secrets.token_hex(8)}")
    try:
        with _written(final, draft) as file:
            _copy(url, sha256, file.write, is_given_up)
        draft.replace(final)
    finally:
        draft.unlink(missing_ok=True)
    return final


def _facts(result: Mapping[str, Any]) -> tuple[str, str]:
    url, sha256 = result.get("url"), result.get("sha256")
    if not isinstance(url, str) or not isinstance(sha256, str):
        names = ", ".join(sorted(map(str, result))) or "nothing"
        raise DownloadFailed(f"only reports have a file; this job's result holds {names}")
    if not _HEX.fullmatch(sha256):
        raise DownloadFailed(f"sha256 of {url} must be 64 digits in hex, got {shown(sha256)}")
    return url, sha256


def _final(to: Any, url: str) -> Path:
    path = Path(to)
    if path.is_dir() or os.fspath(to).endswith(os.sep):
        path /= url.rpartition("/")[2]
    return path


def _written(final: Path, draft: Path) -> Any:
    try:
        return draft.open("xb")
    except OSError as error:
        raise DownloadFailed(f"cannot write beside {final}: {error.strerror}") from error


def _copy(
    url: str, sha256: str, write: Callable[[bytes], Any], is_given_up: Callable[[], bool]
) -> None:
    hashed = hashlib.sha256()
    for block in _blocks(url):
        if is_given_up():
            raise DownloadFailed(f"the copy of {url} was given up")
        hashed.update(block)
        write(block)
    if hashed.hexdigest() != sha256:
        raise DownloadFailed(
            f"{url} is not what the worker wrote: its sha256 is {hashed.hexdigest()}, not {sha256}"
        )


def _blocks(url: str) -> Iterator[bytes]:
    """Yield what a URL holds; errors of reading it, and no others, become ours."""
    try:
        opened = _open_here(url) if _is_of_a_machine(url) else _open_in_store(url)
    except DownloadFailed:
        raise
    except Exception as error:
        raise DownloadFailed(f"cannot open {url}: {_words(error)}") from error
    with opened as file:
        while True:
            try:
                block = file.read(_BLOCK_BYTES)
            except Exception as error:
                raise DownloadFailed(f"cannot read {url}: {_words(error)}") from error
            if not block:
                return
            yield block


def _is_of_a_machine(url: str) -> bool:
    return url.startswith("file://") or "://" not in url


def _open_here(url: str) -> Any:
    path = Path(url.removeprefix("file://"))
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise DownloadFailed(
            f"there is no {path} on this machine ({gethostname()}): the worker wrote on its own, "
            "or it was removed by age; share the folder of CELERIAC_ARTIFACTS under the same path, "
            "or make it an object store"
        ) from error


def _open_in_store(url: str) -> Any:
    try:
        # Late, and only if it is there: the client itself needs redis-py alone.
        return import_module("fsspec.core").open(url, "rb")
    except ImportError as error:
        raise DownloadFailed(
            f"cannot read {url} here ({error}): pip install fsspec and what knows the store, "
            "such as s3fs"
        ) from error


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

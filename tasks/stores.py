"""Where files lie beyond this machine's own folders: fsspec's file systems, by URL.

fsspec is loaded with the first URL that needs it: most processes never see one.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def file_system_of(url: str) -> tuple["AbstractFileSystem", str]:
    """Return the file system of a URL, and the file's path there.

    Raises ValueError or ImportError if none is installed for it.
    """
    files, path = import_module("fsspec.core").url_to_fs(url)
    return files, str(path)


def is_of_this_machine(files: "AbstractFileSystem") -> bool:
    """Tell whether a file system is that of this machine's folders."""
    return isinstance(files, import_module("fsspec.implementations.local").LocalFileSystem)

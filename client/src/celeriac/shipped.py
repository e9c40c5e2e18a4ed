"""Read what is shipped beside the modules: scripts for Redis, statements for PostgreSQL."""

# Not importlib.resources: on most Pythons it brings zipfile, tempfile and more, which takes
# longer to import than all of this package.
from pkgutil import get_data


def shipped(name: str) -> str:
    """Return the text of a file of this package."""
    found = get_data(__package__, name)
    if found is None:
        raise FileNotFoundError(f"{name} is missing beside {__file__}, install the package anew")
    return found.decode("utf-8")

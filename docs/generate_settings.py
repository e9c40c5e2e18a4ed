# ruff: noqa: INP001 - docs is a folder of pages, no package
"""Write docs/settings.md from config.py.

python docs/generate_settings.py
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "settings.md"
sys.path.insert(0, str(ROOT))

from config import PREFIX, Settings  # noqa: E402 - the tree is found only now

HEAD = """\
# Settings

<!-- Written by docs/generate_settings.py from config.py: change it there. -->

All settings are environment variables. `python -m config` prints them as they are, secrets hidden,
or lists every mistake at once; a worker with a mistake does not start. A name that begins with
`CELERIAC_` and is no setting is a mistake too.

"""
TAIL = """
## What has to fit together

- The broker and the results need different databases.
- A child that runs reports needs two connections where both databases are one:
  `CELERIAC_POOL_SIZE` of 2 or more.
- `CELERIAC_PREFETCH_JOBS` covers a full batch for each child and one more.
- `CELERIAC_LOCK_SECONDS` < `CELERIAC_STATEMENT_SECONDS` < `CELERIAC_BATCH_SECONDS`.
- `CELERIAC_ARTIFACTS` and `CELERIAC_INBOX` are different folders.

Not checked, because no process knows the others' settings:

- `CELERIAC_KEY_PREFIX` is the same for producers and workers.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the page as it should be."""
    lines = ["| setting | default | bounds | what it is |", "| --- | --- | --- | --- |"]
    lines += [_line(name, field) for name, field in Settings.model_fields.items()]
    return HEAD + "\n".join(lines) + "\n" + TAIL


def _line(name: str, field: Any) -> str:
    cells = (f"`{PREFIX}{name.upper()}`", _default(field), _bounds(field), field.description)
    return f"| {' | '.join(cells)} |"


def _default(field: Any) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default()
    return "" if value in (None, (), "") else f"`{value}`"


def _bounds(field: Any) -> str:
    words = []
    for one in field.metadata:
        for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            bound = getattr(one, attribute, None)
            if bound is not None:
                words.append(f"{sign} {bound}")
    return ", ".join(words)


if __name__ == "__main__":
    main()

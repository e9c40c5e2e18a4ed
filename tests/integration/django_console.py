"""Run Django's commands and code one after another, in a process that has loaded it once.

``python -m tests.integration.django_console``, in the environment of ``manage.py``: reads a
JSON list a line, the arguments of ``manage.py`` or ``["run", code]``, and answers each with
one of the exit code and what was said.
"""

import io
import json
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import django
from django.core.management import ManagementUtility


def answer(arguments: list[str]) -> tuple[int, str]:
    """Do what is asked, and return what the process would have ended with and said."""
    said = io.StringIO()
    code = 0
    with redirect_stdout(said), redirect_stderr(said):
        try:
            if arguments[0] == "run":
                exec(arguments[1], {})
            else:
                ManagementUtility(["manage.py", *arguments]).execute()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except Exception:  # noqa: BLE001 - what went wrong is the answer
            traceback.print_exc()
            code = 1
    return code, said.getvalue().strip()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(sys.argv[1])))
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    django.setup()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)

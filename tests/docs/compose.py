"""Read docker-compose.yml and Dockerfile as an engine would, as far as the tests need it."""

import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.workers import ROOT

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
#: A variable that has to be given.
NEEDED = re.compile(r"\$\{(\w+):\?[^}]*\}")

Service = dict[str, Any]


@cache
def services() -> dict[str, Service]:
    """Return the services as they are written."""
    found: dict[str, Service] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def ours() -> dict[str, Service]:
    """Return the services that run from this project's image."""
    (image,) = {one["image"] for one in services().values() if "build" in one}
    return {name: one for name, one in services().items() if one["image"] == image}


def arguments(command: str | list[str]) -> list[str]:
    """Return a command as it is run: no shell stands before it."""
    return shlex.split(command) if isinstance(command, str) else command


def health_arguments(service: Service) -> list[str]:
    """Return the command of a service's health check."""
    kind, *words = service["healthcheck"]["test"]
    return {"CMD": words, "CMD-SHELL": ["/bin/sh", "-c", *words]}[kind]


def seconds(duration: str) -> int:
    """Return a duration in seconds; this project writes no other unit."""
    return int(duration.removesuffix("s"))


def stages() -> list[str]:
    """Return the stages of the image, with continued lines joined and comments left out."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    return [f"FROM {stage}" for stage in text.replace("\\\n", " ").split("FROM ")[1:]]


def instructions(stage: str, name: str) -> list[str]:
    """Return what stands behind an instruction, each time it is used in a stage."""
    return re.findall(rf"^{name} (.+)$", stage, re.MULTILINE)


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    words = shlex.split(" ".join(instructions(stages()[-1], "ENV")))
    return dict(word.split("=", 1) for word in words)


def copied(stage: str) -> list[str]:
    """Return what a stage copies from the tree."""
    found = [words.split() for words in instructions(stage, "COPY")]
    return [source for *sources, _ in found if "--from" not in sources[0] for source in sources]


def lay_out_image(folder: Path) -> None:
    """Put into a folder what the last stage copies from the tree, less what the build ignores."""
    ignored = [line for line in _lines(".dockerignore") if not line.startswith("#")]

    def ignore(place: str, names: list[str]) -> list[str]:
        inside = Path(place).relative_to(ROOT)
        return [name for name in names if _is_ignored(inside / name, ignored)]

    for source in copied(stages()[-1]):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / source, ignore=ignore)
        else:
            shutil.copy(ROOT / source, folder / source)
    assert "RUN python -m compileall -q ." in stages()[-1]
    subprocess.run([sys.executable, "-m", "compileall", "-q", "."], cwd=folder, check=True)


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    return any(fnmatch(str(path), one) or fnmatch(f"./{path}", one) for one in patterns)


def _lines(name: str) -> list[str]:
    return (ROOT / name).read_text().split("\n")

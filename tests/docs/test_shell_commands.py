"""The shell commands of the pages are commands that exist."""

import importlib.util
import re
import shlex
from collections.abc import Iterator

import pytest
from celery.bin.celery import celery
from celery.worker.control import Panel

from celeriac.contract import QUEUES
from examples.custom_kind.notices import QUEUE
from examples.custom_kind.stock import KIND
from tests.docs.markdown import Block, blocks, pages
from tests.workers import ROOT

SHELL_BLOCKS = [block for page in pages() for block in blocks(page) if block.info == "sh"]
MADE_LATER = {"var/env"}


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=lambda block: block.name)
def test_shell_commands_exist(block: Block) -> None:
    """Each command of a shell block is one that the project, or any shell, has."""
    for command in _commands(block.text):
        assert command[0] in CHECKS, command
        CHECKS[command[0]](command[1:])


def _commands(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        for part in re.split(r";|&&", shlex.join(words).replace("';'", ";").replace("'&&'", "&&")):
            command = shlex.split(part.replace(";", ""))
            if command:
                yield command


def _make(arguments: list[str]) -> None:
    text = (ROOT / "Makefile").read_text()
    for target in (word for word in arguments if "=" not in word):
        assert re.search(rf"^{target}:", text, re.MULTILINE), target


def _python(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        module = arguments[1]
        assert module == "build" or importlib.util.find_spec(module), module
    else:
        assert (ROOT / arguments[0]).is_file(), arguments


def _celery(arguments: list[str]) -> None:
    assert ["-A", "worker.app"] == arguments[:2]
    name, *rest = arguments[2:]
    if name == "flower":
        confs = [word.removeprefix("--conf=") for word in rest]
        assert all((ROOT / conf).is_file() for conf in confs), rest
        return
    if name == "inspect":
        assert ["inspect"] == [Panel.meta[word].type for word in rest], rest
        return
    command = celery.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("-")} <= options, rest
    assert set(rest[rest.index("-Q") + 1].split(",")) <= {*QUEUES.values(), KIND.queue, QUEUE}, rest


def _copy(arguments: list[str]) -> None:
    assert (ROOT / arguments[0]).is_file(), arguments


def _source(arguments: list[str]) -> None:
    assert arguments[0] in MADE_LATER, arguments


def _docker(arguments: list[str]) -> None:
    assert "compose" == arguments[0]
    assert (ROOT / "docker-compose.yml").is_file()


def _nothing(_arguments: list[str]) -> None:
    """The shell's own."""


CHECKS = {
    "make": _make,
    "python": _python,
    ".venv/bin/python": _python,
    "celery": _celery,
    "cp": _copy,
    ".": _source,
    "docker": _docker,
    "set": _nothing,
    "export": _nothing,
}

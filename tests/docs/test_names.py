"""What the pages name exists: links, settings, files, make targets, commands."""

import re
from pathlib import Path

import pytest
from click import Command, Group

from config import PREFIX, Settings
from tests.docs.markdown import code, pages, prose
from tests.workers import ROOT
from worker.__main__ import main
from worker.commands.on_demand import OnDemand


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    """Each relative link leads to a file, and to a heading in it if it names one."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page

            assert target.exists(), link
            assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_named_things_exist(page: Path) -> None:
    """Settings, files, make targets and worker commands that a page names exist."""
    for words in code(page):
        for name in re.findall(rf"{PREFIX}([A-Z_]*[A-Z])", words):
            assert name.lower() in Settings.model_fields, words
        for names in re.findall(r"^\s*make((?: [a-z]+)+)", words):
            assert set(names.split()) <= _make_targets(), words
        for arguments in re.findall(r"python -m worker((?: [a-z]+)*)", words):
            _check_command(arguments.split())
        if re.fullmatch(r"(worker|tasks|postgres|client|docs|tests|examples|\.ci)/[\w./-]+", words):
            assert (ROOT / words).exists() or "verb_noun" in words, words


def _check_command(arguments: list[str]) -> None:
    command: Command = main
    for argument in arguments:
        if not isinstance(command, Group):
            return
        assert argument in command.commands, f"python -m worker {' '.join(arguments)}"
        command = command.commands[argument]
        if isinstance(command, OnDemand):
            command = command.load()


def _make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z]+):", text, re.MULTILINE))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

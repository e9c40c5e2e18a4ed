"""docker-compose.yml and Dockerfile, checked as files: no engine runs here."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from celery.bin.celery import celery

from celeriac.contract import QUEUES
from config import PREFIX, parse
from tests.workers import ROOT
from worker.__main__ import main

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
NEEDED = re.compile(r"\$\{(\w+):\?[^}]*\}")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
OURS = {name: one for name, one in SERVICES.items() if "build" in one}


def test_services_are_those_of_production() -> None:
    """There are both servers, one migration, both workers, relay and Flower, by their commands."""
    commands = {name: one["command"] for name, one in OURS.items()}

    assert {"postgres", "valkey", *commands} == set(SERVICES)
    assert {
        "migrate": "python -m worker migrate",
        "ingest": "celery -A worker.app worker -Q celeriac.ingest",
        "report": "celery -A worker.app worker -Q celeriac.file,celeriac.report",
        "relay": "python -m worker relay",
        "flower": "celery -A worker.app flower",
    } == commands


@pytest.mark.parametrize("name", OURS)
def test_command_exists(name: str) -> None:
    """Each command of ours is one that Celery or the project has, on queues that exist."""
    program, *arguments = shlex.split(OURS[name]["command"])

    if program == "python":
        assert ["-m", "worker"] == arguments[:2]
        assert arguments[2] in main.commands
    else:
        assert ["-A", "worker.app"] == arguments[:2]
        assert arguments[2] in celery.commands
        for queues in arguments[4:]:
            assert set(queues.split(",")) <= set(QUEUES.values())


@pytest.mark.parametrize("name", OURS)
def test_settings_work(name: str) -> None:
    """The settings of each service are known, fit together, and name the other services."""
    environment = _filled(OURS[name]["environment"])

    settings = parse({key: one for key, one in environment.items() if key.startswith(PREFIX)})

    for url in (settings.broker_url, settings.result_url, settings.database_url):
        assert re.search(r"@(\w+):", url.get_secret_value())[1] in SERVICES


def test_every_password_must_be_given() -> None:
    """What .env.example asks for is what the services need; nothing has a default."""
    text = COMPOSE.read_text()
    asked = re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)

    assert {(name, "") for name in NEEDED.findall(text)} == set(asked)
    assert "${" not in NEEDED.sub("", text)
    assert not re.search(r"(?i)password[\"']?: (?![\"']?\$\{)\S", text)


def test_images_are_pinned() -> None:
    """Every image from elsewhere is named with its full version."""
    images = [one["image"] for one in SERVICES.values() if "build" not in one]
    images += [words.split()[0] for words in re.findall(r"^FROM (.+)$", DOCKERFILE, re.MULTILINE)]

    assert images
    for image in images:
        assert re.search(r":\d+\.\d+(\.\d+)?(-\w+)*$", image), image


def test_servers_lose_nothing() -> None:
    """Valkey appends to a file and evicts nothing; both servers keep data in a volume."""
    command = SERVICES["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))

    assert ("yes", "noeviction") == (options["--appendonly"], options["--maxmemory-policy"])
    assert "valkey:/data" in SERVICES["valkey"]["volumes"]
    assert "postgres:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]


def test_mounted_and_copied_files_exist() -> None:
    """Each file that is copied or mounted is in the tree, and not kept out of the build."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [source for source in _copied() if not source.startswith("--from")]
    mounts = [one for service in SERVICES.values() for one in service.get("volumes", ())]
    mounted = [one.split(":")[0] for one in mounts if one.startswith("./")]

    for path in (*copied, *mounted):
        assert (ROOT / path).exists(), path
    assert not {path.strip("./").split("/")[0] for path in copied} & set(ignored)
    assert (ROOT / SERVICES["flower"]["environment"]["FLOWER_CONF"]).is_file()


def test_image_holds_what_workers_import() -> None:
    """Every package of ours that a worker imports is copied into the last stage."""
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]

    copied = set(re.findall(r"^COPY (\S+?)/? ", last_stage, re.MULTILINE))

    assert {"client", "config.py", "postgres", "tasks", "worker", "catalog"} <= copied


def test_image_does_not_run_as_root() -> None:
    """The last stage changes to a user of its own before its command, and there are two stages."""
    stages = DOCKERFILE.split("\nFROM ")
    user = re.search(r"^USER (\S+)$", stages[-1], re.MULTILINE)
    command = re.search(r"^CMD (.+)$", stages[-1], re.MULTILINE)

    assert 2 == len(stages[1:])
    assert "celeriac" == user[1]
    assert user.start() < command.start()
    assert shlex.split(OURS["ingest"]["command"]) == json.loads(command[1])


def _filled(environment: dict[str, str]) -> dict[str, str]:
    return {name: NEEDED.sub("secret", value) for name, value in environment.items()}


def _copied() -> Iterator[str]:
    for words in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        if not words.startswith("--from"):
            yield from words.split()[:-1]

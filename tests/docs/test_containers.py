"""docker-compose.yml and Dockerfile as files: valid, pinned, closed, and true to the tree."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from celery.bin.celery import celery

from celeriac.contract import QUEUES
from config import PREFIX, Settings, parse
from tests.docs.compose import (
    COMPOSE,
    DOCKERFILE,
    NEEDED,
    arguments,
    copied,
    image_environment,
    instructions,
    ours,
    seconds,
    services,
    stages,
)
from tests.docs.markdown import blocks
from tests.workers import ROOT
from worker.__main__ import main

COMMANDS = {
    "migrate": "python -m worker migrate",
    "ingest": "celery -A worker.app worker -Q celeriac.ingest",
    "report": "celery -A worker.app worker -Q celeriac.file,celeriac.report",
    "relay": "python -m worker relay",
    "schedule": "python -m worker schedule",
    "flower": "celery -A worker.app flower",
}
LASTING = sorted(set(services()) - {"migrate"})
PROGRAMS = Path(sys.executable).parent
#: Of programs that check files.
CHECK_SECONDS = 60


def test_services_are_those_of_production() -> None:
    """There are both servers, one migration, both workers and the others, by their commands."""
    commands = {name: one["command"] for name, one in ours().items()}

    assert {"postgres", "valkey", *commands} == set(services())
    assert COMMANDS == commands


@pytest.mark.parametrize("name", ours())
def test_command_exists(name: str) -> None:
    """Each command of ours is one that Celery or the project has, on queues that exist."""
    program, *words = arguments(ours()[name]["command"])

    if program == "python":
        assert ["-m", "worker"] == words[:2]
        assert words[2] in main.commands
    else:
        assert ["-A", "worker.app"] == words[:2]
        assert words[2] in celery.commands
        for queues in words[4:]:
            assert set(queues.split(",")) <= set(QUEUES.values())


@pytest.mark.parametrize("name", ours())
def test_settings_work(name: str) -> None:
    """The settings of each service are known, fit together, and name the other services."""
    settings = settings_of(name)

    for url in (settings.broker_url, settings.result_url, settings.database_url):
        assert re.search(r"@(\w+):", url.get_secret_value())[1] in services()


def test_file_is_valid() -> None:
    """The compose file is one by the compose specification's own schema."""
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE))

    assert 0 == done.returncode, done.stdout


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose here")
def test_file_is_resolved_as_it_is_read_here() -> None:
    """docker-compose resolves commands, variables, conditions and places as these tests do."""
    given = dict.fromkeys(NEEDED.findall(COMPOSE.read_text()), "secret")
    done = run("docker-compose", "--file", str(COMPOSE), "config", **given)

    resolved = yaml.safe_load(done.stdout)["services"]

    for name, one in services().items():
        found = resolved[name]
        assert filled(one.get("environment", {})) == found.get("environment", {})
        words = [NEEDED.sub("secret", word) for word in arguments(one.get("command", ""))]
        assert words == arguments(found.get("command", ""))
        for part in ("depends_on", "read_only", "init", "tmpfs"):
            assert one.get(part) == found.get(part)
        assert one.get("healthcheck", {}).get("test") == found.get("healthcheck", {}).get("test")


def test_image_passes_the_linter() -> None:
    """Hadolint, which also reads the shell in RUN, finds nothing in the Dockerfile."""
    done = run("hadolint", str(DOCKERFILE))

    assert (0, "") == (done.returncode, done.stdout)


def test_every_password_must_be_given() -> None:
    """What .env.example asks for is what the services need; nothing has a default."""
    text = COMPOSE.read_text()
    asked = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert "celeriac" == asked.pop("COMPOSE_PROJECT_NAME")
    assert dict.fromkeys(NEEDED.findall(text), "") == asked
    assert "${" not in NEEDED.sub("", text)
    assert not re.search(r"(?i)(password|auth)[\"']?: (?![\"']?\$\{)\S", text)


def test_images_are_pinned() -> None:
    """Every image from elsewhere is named with its full version."""
    images = [one["image"] for name, one in services().items() if name not in ours()]
    images += [instructions(stage, "FROM")[0].split()[0] for stage in stages()]

    assert 4 == len(images)
    for image in images:
        assert re.search(r":\d+\.\d+(\.\d+)?(-\w+)*$", image), image


def test_image_is_built_once() -> None:
    """One service builds the image that all of ours run from, and all others wait for it."""
    builders = [name for name, one in ours().items() if "build" in one]

    assert ["migrate"] == builders
    for name, one in ours().items():
        assert name == "migrate" or "migrate" in one["depends_on"], name


def test_servers_lose_nothing() -> None:
    """Valkey appends to a file and evicts nothing; both servers keep data in a volume."""
    command = services()["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))

    assert ("yes", "noeviction") == (options["--appendonly"], options["--maxmemory-policy"])
    assert "valkey:/data" in services()["valkey"]["volumes"]
    assert "postgres:/var/lib/postgresql" in services()["postgres"]["volumes"]


@pytest.mark.parametrize("name", LASTING)
def test_service_is_asked_and_awaited(name: str) -> None:
    """Each lasting service has a health check with limits, and a time in which it may end."""
    check = services()[name]["healthcheck"]

    assert 0 < seconds(check["timeout"])
    assert 0 < seconds(check["interval"])
    assert 0 < seconds(check["start_period"])
    assert 0 < seconds(services()[name]["stop_grace_period"])


def test_grace_is_longer_than_what_runs() -> None:
    """Workers get longer to end than their longest batch may take."""
    grace = {name: seconds(ours()[name]["stop_grace_period"]) for name in ("ingest", "report")}

    assert grace["ingest"] > settings_of("ingest").batch_seconds
    assert grace["report"] > settings_of("report").long_job_seconds


def test_everybody_waits_for_the_migration() -> None:
    """The migration waits for PostgreSQL, the others for its end and for the broker."""
    migrated = {"migrate": {"condition": "service_completed_successfully"}}
    broker = {"valkey": {"condition": "service_healthy"}}

    awaited = {name: one["depends_on"] for name, one in ours().items()}

    assert {"postgres": {"condition": "service_healthy"}} == awaited.pop("migrate")
    assert dict.fromkeys(awaited, migrated | broker) == awaited


@pytest.mark.parametrize("name", services())
def test_container_is_closed(name: str) -> None:
    """A container's root is read-only and gains no rights; ours have none and forward signals."""
    service = services()[name]

    assert service["read_only"]
    assert "no-new-privileges:true" in service["security_opt"]
    if name in ours():
        assert (True, ["ALL"]) == (service["init"], service["cap_drop"])
        assert not re.search(r"[|&;<>]|\bsh\b", str(service["command"])), "a shell hears no TERM"


@pytest.mark.parametrize("name", ours())
def test_what_is_written_has_a_place(name: str) -> None:
    """Where settings let a process write, there is a volume or memory; the inbox is read alone."""
    settings = settings_of(name)
    mounts = {one.split(":")[1]: one.split(":")[2:] for one in ours()[name]["volumes"]}

    memory = {one.split(":")[0] for one in ours()[name]["tmpfs"]}

    assert [] == mounts[settings.artifacts.removeprefix("file://")]
    assert ["ro"] == mounts[str(settings.inbox)]
    assert {str(settings.alive_file.parent), image_environment()["HOME"]} == memory
    # Reports and Parquet files are put together on disk.
    assert (name == "report") == (ours()[name]["environment"].get("TMPDIR") in mounts)


def test_copied_and_mounted_files_exist() -> None:
    """Each file that is copied or mounted is in the tree, and not kept out of the build."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    sources = [source for stage in stages() for source in copied(stage)]
    mounts = [one for service in services().values() for one in service.get("volumes", ())]
    mounted = {one.split(":")[0] for one in mounts if one.startswith("./")}

    for path in (*sources, *mounted - {"./var/inbox"}):
        assert (ROOT / path).exists(), path
    assert not {path.strip("./").split("/")[0] for path in sources} & set(ignored)
    assert (ROOT / ours()["flower"]["environment"]["FLOWER_CONF"]).is_file()


def test_image_does_not_run_as_root() -> None:
    """The last stage, without compiler or pip's cache, changes to a user of its own."""
    first, last = stages()

    (user,) = instructions(last, "USER")
    (command,) = instructions(last, "CMD")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert last.index("USER ") < last.index("CMD ")
    assert COMMANDS["ingest"].split() == json.loads(command)
    assert "pip install" in first
    assert "pip" not in last
    assert "apt" not in last


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose here")
def test_override_fits(tmp_path: Path) -> None:
    """What docs/deploy.md puts beside the compose file goes together with it."""
    override = tmp_path / "override.yml"
    override.write_text(example("yaml"))
    given = dict.fromkeys(NEEDED.findall(COMPOSE.read_text()), "secret")

    done = run("docker-compose", "-f", str(COMPOSE), "-f", str(override), "config", **given)
    resolved = yaml.safe_load(done.stdout)["services"]

    settings = of_ours(resolved["ingest"]["environment"])
    mounts = [one.split(":")[1] for one in resolved["ingest"]["volumes"]]
    assert 4 == settings.concurrency
    assert str(settings.catalog) in mounts
    assert resolved["ingest"]["environment"] == resolved["schedule"]["environment"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_unit_is_valid(tmp_path: Path) -> None:
    """systemd finds nothing wrong with the unit of docs/deploy.md but that nobody installed it."""
    unit = tmp_path / "celeriac-ingest.service"
    unit.write_text(example("ini").replace("/srv/celeriac/.venv/bin", str(PROGRAMS)))

    done = run("systemd-analyze", "verify", str(unit))

    assert (0, "") == (done.returncode, done.stdout)
    assert f"TimeoutStopSec={seconds(ours()['ingest']['stop_grace_period'])}" in example("ini")


def example(info: str) -> str:
    """Return the one block of that sort in docs/deploy.md."""
    (block,) = (one for one in blocks(ROOT / "docs" / "deploy.md") if one.info == info)
    return block.text


def settings_of(name: str) -> Settings:
    """Return the settings of a service."""
    return of_ours(filled(ours()[name]["environment"]))


def of_ours(environment: dict[str, str]) -> Settings:
    """Return the settings that an environment makes."""
    return parse({key: one for key, one in environment.items() if key.startswith(PREFIX)})


def filled(environment: dict[str, str]) -> dict[str, str]:
    """Give every variable that has to be given the same word."""
    return {name: NEEDED.sub("secret", value) for name, value in environment.items()}


def run(program: str, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program of this environment or of the system, and return what it said."""
    return subprocess.run(
        [program, *words],
        env=os.environ | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"} | environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=CHECK_SECONDS,
        check=False,
    )

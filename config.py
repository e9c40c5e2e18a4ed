"""The settings of Celeriac: the only module that sees the environment.

Every setting is an environment variable with the prefix ``CELERIAC_``.
``python -m config`` prints them, secrets hidden, or says what is wrong: all mistakes in one
message, each with its remedy. What they name is looked at by ``python -m worker doctor``.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, Secret, ValidationError, field_validator

PREFIX = "CELERIAC_"

# Up to the last @: a password may hold whatever a URL is made of.
_PASSWORD = re.compile(r"(://[^:@/]*:).*(?=@)|([?&][^=&]*password=)[^&]*", re.IGNORECASE)
_BROKER_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel")
_DATABASE_SCHEMES = ("postgresql", "postgres")


class BadConfig(Exception):
    """The process cannot start; the message lists every mistake with its remedy."""


class Url(Secret[str]):
    """A URL that prints without its password."""

    def _display(self) -> str:
        return _PASSWORD.sub(r"\1\2***", self.get_secret_value())


class Settings(BaseModel):
    """All settings, checked; nothing reads the environment after this."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    broker_url: Url = Field(description="Redis or Valkey that carries the jobs")
    result_url: Url = Field(description="Redis database for results; not the broker's")
    database_url: Url = Field(description="PostgreSQL that is written to")
    report_database_url: Url | None = Field(
        None, description="PostgreSQL that reports read; default: DATABASE_URL"
    )
    catalog: Path = Field(Path("catalog"), description="folder with targets.toml and reports/")
    kinds: tuple[str, ...] = Field(
        (), description="further kinds, package.module:KIND, separated by commas"
    )
    artifacts: str = Field("var/artifacts", description="where report files go (an fsspec URL)")
    artifact_days: float = Field(90, gt=0, description="then a report's file is removed")
    artifact_runs: int | None = Field(None, ge=1, description="most files kept of a report")
    inbox: Path | None = Field(None, description="folder that file jobs may read from")
    file_prefixes: tuple[str, ...] = Field((), description="URLs below which they may read too")
    file_max_bytes: int = Field(1 << 40, ge=1, description="largest file, decompressed")
    key_prefix: str = Field("", description="prefix of every Redis key")
    alive_file: Path | None = Field(
        None, description="file for one process's signs of life, see `python -m worker health`"
    )

    concurrency: int = Field(2, ge=1, le=256, description="child processes of a worker")
    pool_size: int = Field(2, ge=1, le=64, description="PostgreSQL connections of one child")
    pool_wait_seconds: float = Field(5, gt=0, le=300, description="wait for a free connection")
    connection_max_age_seconds: float = Field(3600, ge=1, description="then it is replaced")
    connection_idle_check_seconds: float = Field(
        30, ge=0, description="idle longer than this, a connection is tried before use"
    )
    connect_seconds: int = Field(5, ge=1, le=60, description="limit for connecting")
    lock_seconds: float = Field(2, gt=0, description="limit for waiting on a lock")
    statement_seconds: float = Field(10, gt=0, description="limit of one statement of a batch")
    dead_peer_seconds: int = Field(10, ge=2, description="then an unreachable peer is given up")

    batch_jobs: int = Field(1_000, ge=1, le=10_000, description="most jobs in one transaction")
    batch_rows: int = Field(20_000, ge=1, le=1_000_000, description="most rows in one transaction")
    batch_bytes: int = Field(1 << 24, ge=1024, description="most payload bytes in one transaction")
    prefetch_jobs: int = Field(4_000, ge=1, description="most jobs that a worker has reserved")
    batch_seconds: float = Field(120, gt=0, description="then the child is taken for lost")
    report_seconds: float = Field(200, gt=0, description="limit of one report")
    report_lock_seconds: float = Field(2, gt=0, description="limit of a report's wait for a lock")
    report_work_mem: str | None = Field(
        None, pattern=r"^\d+ ?([kMGT]?B)?$", description="work_mem of reports, such as 64MB"
    )
    report_role: str | None = Field(None, description="role of reports, one that can only read")
    linger_seconds: float = Field(
        0, ge=0, le=10, description="how long jobs wait for company although a child is free"
    )
    lease_seconds: float = Field(
        15, ge=1, le=3600, description="a worker silent for so long is dead; others get its jobs"
    )
    crash_limit: int = Field(
        3, ge=1, le=100, description="a job that killed so many processes, alone, is buried"
    )
    busy_hold_seconds: float = Field(300, ge=0, description="a target locked for longer is held")
    result_expires_seconds: int = Field(86_400, ge=1, description="lifetime of a result")
    events_per_second: int = Field(
        1_000, ge=0, description="jobs of a worker that Flower is told of; failures always"
    )
    dedupe_days: float = Field(30, ge=1, description="for so long a job that comes again is known")
    quarantine_days: float | None = Field(None, gt=0, description="then undecided rows are dropped")
    missed_ticks: Literal["skip", "last", "all"] = Field(
        "last", description="ticks that no scheduler saw to: which of them are made up for"
    )
    event_buffer: int = Field(500, ge=1, description="events sent to Flower at a time")

    @field_validator("kinds", "file_prefixes", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        return tuple(filter(None, map(str.strip, names)))

    @field_validator("kinds")
    @classmethod
    def _name_objects(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(r"[\w.]+:\w+", name):
                raise ValueError(f"{name!r} must be package.module:KIND")
        return value

    @field_validator("broker_url", "result_url")
    @classmethod
    def _redis(cls, value: Url) -> Url:
        return _with_scheme(value, _BROKER_SCHEMES)

    @field_validator("database_url", "report_database_url")
    @classmethod
    def _postgres(cls, value: Url | None) -> Url | None:
        return value and _with_scheme(value, _DATABASE_SCHEMES)

    @property
    def long_job_seconds(self) -> float:
        """When a child with a single long job is taken for lost: after its own limit."""
        return self.report_seconds * 1.25

    @property
    def prefetch_bytes(self) -> int:
        """How much of large jobs a worker reserves: a batch for each child, and one to follow."""
        # A message is text in base64; a batch counts what that stands for.
        return self.batch_bytes * 4 // 3 * (self.concurrency + 1)

    @property
    def reports_share_the_database(self) -> bool:
        """Whether a report child's two connections come from one pool."""
        return self.report_database_url in (None, self.database_url)


def _with_scheme(url: Url, schemes: tuple[str, ...]) -> Url:
    if urlsplit(url.get_secret_value()).scheme not in schemes:
        raise ValueError(f"must start with {' or '.join(f'{one}://' for one in schemes)}")
    return url


def _reports_need_two(settings: Settings) -> str | None:
    if settings.pool_size > 1 or not settings.reports_share_the_database:
        return None
    return (
        f"POOL_SIZE is {settings.pool_size}, but a report needs 2 connections "
        "(its snapshot and its results): set POOL_SIZE=2 or more"
    )


def _prefetch_feeds_batches(settings: Settings) -> str | None:
    needed = settings.batch_jobs * (settings.concurrency + 1)
    if settings.prefetch_jobs >= needed:
        return None
    return (
        f"PREFETCH_JOBS is {settings.prefetch_jobs}, but {settings.concurrency} children with "
        f"batches of {settings.batch_jobs} jobs need {needed} to stay busy: "
        f"set PREFETCH_JOBS={needed} or lower BATCH_JOBS"
    )


def _broker_and_results_differ(settings: Settings) -> str | None:
    if _place(settings.broker_url) == _place(settings.result_url):
        return (
            "RESULT_URL names the same database as BROKER_URL, where emptying results would "
            "empty the queues: give results another database number, such as …/1"
        )
    return None


def _artifacts_are_a_place_of_their_own(settings: Settings) -> str | None:
    artifacts = settings.artifacts.removeprefix("file://")
    if _PASSWORD.search(settings.artifacts):
        return "ARTIFACTS holds a password: leave it to the environment or fsspec's configuration"
    if settings.inbox is not None and Path(artifacts).absolute() == settings.inbox.absolute():
        return "ARTIFACTS and INBOX are the same folder: reports could be ingested; separate them"
    return None


def _limits_are_nested(settings: Settings) -> str | None:
    if settings.lock_seconds >= settings.statement_seconds:
        return (
            f"LOCK_SECONDS ({settings.lock_seconds:g}) must be below STATEMENT_SECONDS "
            f"({settings.statement_seconds:g}), or a locked target looks like a slow one"
        )
    if settings.statement_seconds >= settings.batch_seconds:
        return (
            f"STATEMENT_SECONDS ({settings.statement_seconds:g}) must be below BATCH_SECONDS "
            f"({settings.batch_seconds:g}), or a child is killed before PostgreSQL may answer"
        )
    return None


#: Each check, and the settings that it needs to be valid first.
_CROSS_CHECKS: Mapping[Callable[[Settings], str | None], set[str]] = {
    _reports_need_two: {"pool_size", "database_url", "report_database_url"},
    _prefetch_feeds_batches: {"prefetch_jobs", "batch_jobs", "concurrency"},
    _broker_and_results_differ: {"broker_url", "result_url"},
    _artifacts_are_a_place_of_their_own: {"artifacts", "inbox"},
    _limits_are_nested: {"lock_seconds", "statement_seconds", "batch_seconds"},
}


@cache
def read() -> Settings:
    """Return the settings of this process; the same object each time.

    Raises :class:`BadConfig` with every mistake.
    """
    return parse(os.environ)


def environment() -> dict[str, str]:
    """Return the whole environment, for processes that this one starts to inherit."""
    return dict(os.environ)


def parse(environment: Mapping[str, str]) -> Settings:
    """Check an environment; raises :class:`BadConfig` with every mistake."""
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    unknown = sorted(given.keys() - Settings.model_fields.keys())
    values = {name: value for name, value in given.items() if name not in unknown}
    settings, wrong = _build(values)
    mistakes = [*map(_unknown, unknown), *wrong.values(), *_cross_check(settings, wrong.keys())]
    if mistakes:
        raise BadConfig("\n".join(f"{PREFIX}{mistake}" for mistake in mistakes))
    return settings


def _build(values: dict[str, str]) -> tuple[Settings, dict[str, str]]:
    """Return settings, and the mistakes by setting; a wrong one is left out of the settings."""
    try:
        return Settings.model_validate(values), {}
    except ValidationError as error:
        wrong = {str(one["loc"][0]): _mistake(one) for one in error.errors()}
    stand_ins = {"broker_url": "redis://-/0", "result_url": "redis://-/1"}
    stand_ins |= {"database_url": "postgresql://-/-"}
    right = {name: value for name, value in values.items() if name not in wrong}
    return Settings.model_validate(stand_ins | right), wrong


def _cross_check(settings: Settings, wrong: Iterable[str]) -> list[str]:
    found = (check(settings) for check, needs in _CROSS_CHECKS.items() if needs.isdisjoint(wrong))
    return [mistake for mistake in found if mistake]


def _mistake(error: Any) -> str:
    name = str(error["loc"][0])
    field = Settings.model_fields[name]
    if error["type"] == "missing":
        return f"{name.upper()} is not set: {field.description}"
    words = error["msg"].removeprefix("Value error, ")
    default = "" if field.is_required() else f", default {field.get_default()!r}"
    return f"{name.upper()} is wrong: {words}; {field.description}{default}"


def _unknown(name: str) -> str:
    return f"{name.upper()} is no setting: remove it, or see `python -m config` for their names"


def _place(url: Url) -> tuple[str, int | None, str]:
    """Return what tells two Redis databases apart: server, port, database number."""
    parts = urlsplit(url.get_secret_value())
    number = re.search(r"(?:virtual_host|db)=(\d+)", parts.query)
    if parts.scheme == "redis+socket":
        return parts.path, None, number[1] if number else "0"
    return parts.hostname or "", parts.port or 6379, parts.path.strip("/") or "0"


def main() -> int:
    """Print the settings, or what is wrong with them; the exit status says which."""
    try:
        settings = read()
    except BadConfig as error:
        print(f"these settings do not work:\n{error}", file=sys.stderr)
        return 1
    for name, field in Settings.model_fields.items():
        print(f"{PREFIX}{name.upper()}={getattr(settings, name)}  # {field.description}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

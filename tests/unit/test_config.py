"""The settings: read once, checked whole, shown without secrets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from config import BadConfig, Settings, parse
from tests.workers import ROOT

URLS = {
    "CELERIAC_BROKER_URL": "redis://:broker-secret@localhost:6379/0",
    "CELERIAC_RESULT_URL": "redis://:result-secret@localhost:6379/1",
    "CELERIAC_DATABASE_URL": "postgresql://app:database-secret@localhost/shop",
}
SECRETS = ("broker-secret", "result-secret", "database-secret", "report-secret")


def settings(**changed: object) -> Settings:
    """Return the settings of an environment that is sound but for these."""
    return parse(environment(**changed))


def environment(**changed: object) -> dict[str, str]:
    """Return a sound environment with some settings changed, named in lower case."""
    return URLS | {f"CELERIAC_{name.upper()}": str(value) for name, value in changed.items()}


def mistakes(**changed: object) -> list[str]:
    """Return the lines that say what is wrong."""
    with pytest.raises(BadConfig) as caught:
        parse(environment(**changed))
    return str(caught.value).splitlines()


def run_config(env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m config`` under an environment of its own."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    return subprocess.run(
        [sys.executable, "-m", "config"],
        cwd=ROOT,
        env={"PYTHONPATH": path, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_three_urls_are_enough() -> None:
    """All other settings have defaults that fit together."""
    found = settings()

    assert found.report_database_url is None
    assert found.reports_share_the_database


def test_foreign_variables_are_none_of_ours() -> None:
    """Only names with our prefix are settings, and only in capitals do they count."""
    found = parse(URLS | {"HOME": "/root", "CELERY_BROKER_URL": "amqp://", "PGHOST": "elsewhere"})

    assert settings() == found


def test_all_mistakes_are_reported_together() -> None:
    """Missing, unknown, wrong and contradicting settings come in one message, one a line."""
    with pytest.raises(BadConfig) as caught:
        parse(
            {
                "CELERIAC_BROKER_URL": "amqp://localhost",
                "CELERIAC_DATABASE_URL": "postgresql://localhost/shop",
                "CELERIAC_POOL_SISE": "3",
                "CELERIAC_CONCURRENCY": "many",
                "CELERIAC_LOCK_SECONDS": "20",
                "CELERIAC_STATEMENT_SECONDS": "10",
            }
        )

    lines = str(caught.value).splitlines()
    named = sorted(line.split()[0] for line in lines)
    expected = [
        "CELERIAC_BROKER_URL",
        "CELERIAC_CONCURRENCY",
        "CELERIAC_LOCK_SECONDS",
        "CELERIAC_POOL_SISE",
        "CELERIAC_RESULT_URL",
    ]
    assert expected == named


def test_unknown_setting_says_where_the_names_are() -> None:
    """A misspelt setting is refused, not ignored."""
    (line,) = mistakes(batch_job=5)

    assert line.startswith("CELERIAC_BATCH_JOB is no setting")
    assert "python -m config" in line


@pytest.mark.parametrize(
    ("changed", "setting", "words"),
    [
        ({"broker_url": "amqp://localhost"}, "BROKER_URL", "redis://"),
        ({"result_url": "localhost"}, "RESULT_URL", "redis://"),
        ({"database_url": "mysql://localhost/shop"}, "DATABASE_URL", "postgresql://"),
        ({"report_database_url": "sqlite://"}, "REPORT_DATABASE_URL", "postgresql://"),
        ({"concurrency": 0}, "CONCURRENCY", "1"),
        ({"pool_size": 1000}, "POOL_SIZE", "64"),
        ({"batch_rows": "many"}, "BATCH_ROWS", "integer"),
        ({"lock_seconds": -1}, "LOCK_SECONDS", "0"),
        ({"kinds": "shop.kinds"}, "KINDS", "package.module:KIND"),
        ({"report_work_mem": "64MB; DROP TABLE job"}, "REPORT_WORK_MEM", "64MB"),
    ],
)
def test_wrong_value_names_setting_and_remedy(
    changed: dict[str, object], setting: str, words: str
) -> None:
    """A value out of its range or form is refused with what would be right."""
    (line,) = mistakes(**changed)

    assert line.startswith(f"CELERIAC_{setting} is wrong")
    assert words in line
    assert "Undefined" not in line


@pytest.mark.parametrize(
    ("changed", "setting", "words"),
    [
        ({"pool_size": 1}, "POOL_SIZE", "set POOL_SIZE=2"),
        ({"prefetch_jobs": 2999}, "PREFETCH_JOBS", "set PREFETCH_JOBS=3000"),
        ({"result_url": "redis://localhost/0"}, "RESULT_URL", "another database number"),
        ({"result_url": "redis://localhost:6379"}, "RESULT_URL", "another database number"),
        (
            {"inbox": "/srv/files", "artifacts": "file:///srv/files"},
            "ARTIFACTS",
            "separate them",
        ),
        ({"lock_seconds": 10}, "LOCK_SECONDS", "below STATEMENT_SECONDS"),
        ({"statement_seconds": 120}, "STATEMENT_SECONDS", "below BATCH_SECONDS"),
    ],
)
def test_settings_are_checked_against_each_other(
    changed: dict[str, object], setting: str, words: str
) -> None:
    """Values that are right alone and wrong together are refused with a remedy."""
    (line,) = mistakes(**changed)

    assert line.startswith(f"CELERIAC_{setting}")
    assert words in line


@pytest.mark.parametrize(
    "changed",
    [
        {"prefetch_jobs": 3000},
        {"pool_size": 1, "report_database_url": "postgresql://replica/shop"},
        {"lock_seconds": 9.9},
        {"result_url": "redis://elsewhere/0"},
        {"result_url": "redis://localhost:6380/0"},
        {"broker_url": "redis+socket:///a.sock", "result_url": "redis+socket:///b.sock"},
        {
            "broker_url": "redis+socket:///a.sock?virtual_host=0",
            "result_url": "redis+socket:///a.sock?virtual_host=1",
        },
    ],
)
def test_what_fits_is_accepted(changed: dict[str, object]) -> None:
    """The checks stop where the trouble would."""
    found = settings(**changed)

    assert isinstance(found, Settings)


def test_socket_databases_are_told_apart() -> None:
    """One socket and no number is one database, however it is spelt."""
    (line,) = mistakes(
        broker_url="redis+socket:///a.sock", result_url="redis+socket:///a.sock?virtual_host=0"
    )

    assert line.startswith("CELERIAC_RESULT_URL names the same database")


def test_a_wrong_setting_is_not_blamed_twice() -> None:
    """Checks that need a wrong setting are left out: its own mistake is enough."""
    lines = mistakes(pool_size="two", lock_seconds="long")

    assert 2 == len(lines)


def test_kinds_are_split_at_commas() -> None:
    """Several kinds come in one setting; empty parts are nothing."""
    found = settings(kinds="shop.kinds:RECOUNT, shop.kinds:MAIL,")

    assert ("shop.kinds:RECOUNT", "shop.kinds:MAIL") == found.kinds


def test_settings_are_frozen() -> None:
    """Nobody changes a setting after it was read."""
    found = settings()

    with pytest.raises(ValidationError, match="frozen"):
        found.concurrency = 9  # type: ignore[misc]  # that is the claim


def test_secrets_do_not_show() -> None:
    """Neither repr nor text nor JSON of the settings holds a password."""
    found = settings(report_database_url="postgresql://r:report-secret@replica/shop")

    shown = f"{found!r} {found} {found.model_dump_json()}"

    assert [] == [secret for secret in SECRETS if secret in shown]
    assert "localhost" in shown


@pytest.mark.parametrize("secret", ["p:w@rd", "pass/word", "p#w", "p%40w", "päss", "a b"])
def test_odd_passwords_do_not_show(secret: str) -> None:
    """A password that holds what a URL is made of is hidden whole."""
    found = settings(database_url=f"postgresql://app:{secret}@localhost/shop")

    assert secret not in f"{found.database_url} {found!r}"
    assert "w@rd" not in f"{found.database_url}"


def test_password_in_the_query_does_not_show() -> None:
    """libpq takes a password as a parameter too, and Redis as a query."""
    found = settings(
        database_url="postgresql://localhost/shop?password=query-secret&user=app",
        broker_url="redis+socket:///a.sock?virtual_host=3&password=query-secret",
    )

    assert "query-secret" not in f"{found!r}"
    assert "virtual_host=3" in f"{found!r}"


def test_mistakes_do_not_show_secrets() -> None:
    """A URL that is refused is not repeated with its password."""
    (line,) = mistakes(database_url="mysql://app:database-secret@localhost/shop")

    assert "database-secret" not in line


def test_command_prints_all_settings() -> None:
    """``python -m config`` prints every setting, its secrets hidden, and succeeds."""
    done = run_config(environment(report_database_url="postgresql://r:report-secret@b/shop"))

    names = [line.partition("=")[0] for line in done.stdout.splitlines()]
    assert (0, "") == (done.returncode, done.stderr)
    assert [f"CELERIAC_{name.upper()}" for name in Settings.model_fields] == names
    assert [] == [secret for secret in SECRETS if secret in done.stdout]


def test_command_prints_all_mistakes() -> None:
    """``python -m config`` names every mistake on the error stream, and fails."""
    done = run_config({"CELERIAC_POOL": "9", "CELERIAC_CONCURRENCY": "0"})

    assert (1, "") == (done.returncode, done.stdout)
    for name in ("BROKER_URL", "RESULT_URL", "DATABASE_URL", "POOL", "CONCURRENCY"):
        assert f"CELERIAC_{name} is " in done.stderr


def test_defaults_name_no_place_of_one_machine() -> None:
    """Paths among the defaults are relative to where a process is started."""
    found = settings()

    assert not found.catalog.is_absolute()
    assert not Path(found.artifacts).is_absolute()

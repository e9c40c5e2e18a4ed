"""``manage.py celeriac``: ask and enqueue by the project's settings."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from celeriac.contract import INGEST, QUEUES
from celeriac.django.enqueue import client, report, state, table_of, target_of, ticket
from celeriac.django.settings import read_settings
from celeriac.errors import CeleriacError


class Command(BaseCommand):  # type: ignore[misc]  # Django brings no types
    """Ask for the state of jobs, enqueue reports, measure queues, propose targets."""

    help = "Ask Celeriac for jobs and queues, enqueue reports, propose targets for models."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add a parser for each thing that can be asked."""
        asked = parser.add_subparsers(dest="asked", required=True)
        one = asked.add_parser("state", help="say where a job is")
        one.add_argument("id")
        one = asked.add_parser("wait", help="wait for a job's result and print it as JSON")
        one.add_argument("id")
        one.add_argument("--timeout", type=float, default=30.0, help="seconds")
        one = asked.add_parser("depth", help="say how many jobs wait")
        one.add_argument("queue", nargs="?", default=QUEUES[INGEST])
        one = asked.add_parser("report", help="enqueue a report and print the job's id")
        one.add_argument("name")
        one.add_argument("params", nargs="*", metavar="name=value")
        one.add_argument("--format", dest="report_format")
        one = asked.add_parser("targets", help="propose entries of targets.toml for models")
        one.add_argument("models", nargs="+", metavar="app_label.Model")

    def handle(self, *_: Any, **options: Any) -> None:
        """Answer on one line or more; what goes wrong ends in Django's words for that."""
        try:
            self.stdout.write(_ANSWERS[options["asked"]](options))
        except (CeleriacError, DatabaseError) as error:
            raise CommandError(str(error)) from error


def _state(options: Mapping[str, Any]) -> str:
    return str(state(options["id"]))


def _wait(options: Mapping[str, Any]) -> str:
    return json.dumps(ticket(options["id"]).wait(options["timeout"]))


def _depth(options: Mapping[str, Any]) -> str:
    found = client().depth(options["queue"])
    oldest = "" if found.oldest_seconds is None else f", the oldest {found.oldest_seconds:.1f} s"
    return f"{found.queue}: {found.waiting} waiting{oldest}"


def _report(options: Mapping[str, Any]) -> str:
    params = dict(_pair(text) for text in options["params"])
    return report(options["name"], params or None, format=options["report_format"])


def _targets(options: Mapping[str, Any]) -> str:
    return "\n\n".join(map(_entry, options["models"]))


def _entry(label: str) -> str:
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise CommandError(f"{label!r} is no installed model: {error}") from error
    table = table_of(model._meta)
    place = table if "." in table else f"public.{table}"
    name = json.dumps(target_of(model, read_settings()))
    return f"[{name}]\ntable = {json.dumps(place)}"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandError(f"a parameter is written name=value, got {text!r}")
    return name, value


_ANSWERS = {
    "depth": _depth,
    "report": _report,
    "state": _state,
    "targets": _targets,
    "wait": _wait,
}

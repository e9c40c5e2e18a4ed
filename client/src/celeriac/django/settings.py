"""Read ``CELERIAC`` from Django's settings; every mistake is found, not only the first."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from django.conf import settings as django_settings
from django.db import DEFAULT_DB_ALIAS

from celeriac.errors import BadSetting
from celeriac.shown import shown
from celeriac.urls import parse_url

NAME: Final = "CELERIAC"


class Style(str, Enum):
    """How a job leaves the application; ``docs/django.md`` says what each one promises."""

    OUTBOX = "outbox"
    ON_COMMIT = "on_commit"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project chose; its text shows no URL, since these hold passwords."""

    broker_url: str | None = field(default=None, repr=False)
    result_url: str | None = field(default=None, repr=False)
    style: Style = Style.OUTBOX
    using: str = DEFAULT_DB_ALIAS
    timeout: float = 2.0
    key_prefix: str = ""
    targets: Mapping[str, str] = field(default_factory=dict, hash=False)


class Mistake(NamedTuple):
    """What is wrong, and what to write instead."""

    words: str
    hint: str


def read_settings() -> Settings:
    """Return the project's settings, or raise :class:`BadSetting` with all mistakes."""
    found = getattr(django_settings, NAME, {})
    mistakes = list(mistakes_in(found))
    if mistakes:
        raise BadSetting("; ".join(mistake.words for mistake in mistakes))
    values = {key.lower(): value for key, value in found.items()}
    return Settings(**values | {"style": style_of(values.get("style", Style.OUTBOX))})


def mistakes_in(found: Any) -> Iterator[Mistake]:
    """Find what can never work in the value of ``CELERIAC``."""
    if not isinstance(found, Mapping):
        yield Mistake(f"{NAME} must be a dict, got {shown(found)}", f"write {NAME} = {{…}}")
        return
    for key, value in found.items():
        find = _FINDERS.get(key)
        if find is None:
            known = ", ".join(_FINDERS)
            yield Mistake(f"{NAME} has no entry {shown(key)}", f"write one of {known}")
        else:
            yield from find(key, value)
    if found.get("STYLE") == Style.ON_COMMIT and not found.get("BROKER_URL"):
        yield Mistake(
            f"{NAME} needs BROKER_URL for the style 'on_commit'",
            "write the URL of Redis that workers have as CELERIAC_BROKER_URL",
        )


def style_of(value: Any) -> Style:
    """Return the style of that name, or raise :class:`BadSetting`."""
    try:
        return Style(value)
    except ValueError:
        raise BadSetting(f"the style must be {_STYLES}, got {shown(value)}") from None


def _find_in_url(key: str, value: Any) -> Iterator[Mistake]:
    hint = "write it as redis://host:6379/0, or leave it out"
    if not isinstance(value, str):
        # What is no text may hold a password all the same.
        yield Mistake(f"{NAME}[{key!r}] must be text, got a {type(value).__qualname__}", hint)
        return
    try:
        parse_url(value)
    except BadSetting as error:
        yield Mistake(f"{NAME}[{key!r}]: {error}", hint)


def _find_in_style(key: str, value: Any) -> Iterator[Mistake]:
    try:
        style_of(value)
    except BadSetting:
        words = f"{NAME}[{key!r}] must be {_STYLES}, got {shown(value)}"
        yield Mistake(words, "'outbox' loses nothing; 'on_commit' needs no schema in the database")


def _find_in_using(key: str, value: Any) -> Iterator[Mistake]:
    if value not in django_settings.DATABASES:
        words = f"{NAME}[{key!r}] must be an alias of DATABASES, got {shown(value)}"
        yield Mistake(words, f"write one of {', '.join(django_settings.DATABASES)}")


def _find_in_timeout(key: str, value: Any) -> Iterator[Mistake]:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number and value > 0 and math.isfinite(value)):
        words = f"{NAME}[{key!r}] must be a number of seconds above 0, got {shown(value)}"
        yield Mistake(words, "leave it out for 2 seconds")


def _find_in_prefix(key: str, value: Any) -> Iterator[Mistake]:
    if not isinstance(value, str):
        words = f"{NAME}[{key!r}] must be text, got {shown(value)}"
        yield Mistake(words, "write the deployment's global_keyprefix, or leave it out")


def _find_in_targets(key: str, value: Any) -> Iterator[Mistake]:
    is_mapping = isinstance(value, Mapping)
    if not is_mapping or not all(isinstance(one, str) for pair in value.items() for one in pair):
        words = f"{NAME}[{key!r}] must be a dict of texts, got {shown(value)}"
        yield Mistake(words, "write {'shop.Product': 'the name of its target'}")


_STYLES: Final = " or ".join(repr(style.value) for style in Style)
_FINDERS: Final[Mapping[str, Callable[[str, Any], Iterator[Mistake]]]] = MappingProxyType(
    {
        "BROKER_URL": _find_in_url,
        "RESULT_URL": _find_in_url,
        "STYLE": _find_in_style,
        "USING": _find_in_using,
        "TIMEOUT": _find_in_timeout,
        "KEY_PREFIX": _find_in_prefix,
        "TARGETS": _find_in_targets,
    }
)

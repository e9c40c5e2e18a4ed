"""Enqueue jobs by the settings of a Django project, in the transaction of its connection."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, transaction
from django.db.models import Model

from celeriac.catalog import Catalog
from celeriac.client import Client
from celeriac.contract import CATALOG_KEY, State
from celeriac.django.model_rows import model_rows
from celeriac.django.settings import NAME, Settings, Style, read_settings, style_of
from celeriac.entries import enqueue
from celeriac.errors import BadPayload, BadSetting
from celeriac.in_transaction import Outbox
from celeriac.jobs import Job, ingest_job, report_job
from celeriac.message import new_id, write_body
from celeriac.options import Options, moment
from celeriac.payload import HasId, check_body, check_id
from celeriac.shown import shown
from celeriac.steps import Plan
from celeriac.ticket import Ticket

if TYPE_CHECKING:
    from typing import Unpack

    from celeriac.options import Given

_READ_STATE: Final = (files("celeriac.django") / "read_state.sql").read_text(encoding="utf-8")


def ingest(  # noqa: PLR0913 - all but two of them by name, and seldom
    model: "type[Model] | str | Mapping[Any, Any]",
    row_or_rows: Any = (),
    *,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    style: Style | str | None = None,
    using: str | None = None,
    **options: "Unpack[Given]",
) -> str:
    """Enqueue rows of a model as one atomic job, 1 to 10,000 of them; return its id.

    Rows are instances, a queryset or mappings; they are read and checked now. The
    target is ``target``, what ``TARGETS`` of the settings says of the model, or
    called as its table. In place of a model, the name of a target will do; for
    several targets in one job pass a dict from models or names to rows. ``style``
    and ``using`` stand for those of the settings. Raises :class:`BadPayload`.
    """
    settings = read_settings()
    if isinstance(model, Mapping):
        if target is not None:
            raise BadPayload("target is for one model, not for a dict of several")
        several = {target_of(key, settings): _rows(key, rows, None) for key, rows in model.items()}
        if len(several) < len(model):
            raise BadPayload(f"each of several models needs a target of its own, got {several!r}")
        made = ingest_job(several, row_or_rows, columns)
    else:
        is_named = isinstance(model, str)
        rows = _rows(model, row_or_rows, columns)
        made = ingest_job(target or target_of(model, settings), rows, columns if is_named else None)
    return _enqueue(made, settings, style, using, options)


def report(  # noqa: PLR0913 - all but two of them by name, and seldom
    name: str,
    params: Mapping[str, Any] | None = None,
    *,
    format: str | None = None,
    fresh_for: float | None = None,
    after: "str | HasId | None" = None,
    style: Style | str | None = None,
    using: str | None = None,
    **options: "Unpack[Given]",
) -> str:
    """Enqueue a report, asked once the transaction has committed; return the job's id."""
    made = report_job(name, params, format, fresh_for, after)
    return _enqueue(made, read_settings(), style, using, options)


def ticket(id: str) -> Ticket:
    """Return the ticket of a job, to wait for its result; needs BROKER_URL."""
    return client().ticket(id)


def state(id: str, using: str | None = None) -> State:
    """Say where a job is: in the outbox style what PostgreSQL knows, else what Redis does."""
    settings = read_settings()
    if settings.style is Style.ON_COMMIT:
        return ticket(id).state()
    with connections[using or settings.using].cursor() as cursor:
        cursor.execute(_READ_STATE, [check_id(id)])
        (found,) = cursor.fetchone()
    return State(found)


def client() -> "ProjectClient":
    """Return the client of the settings, one for a process; raises :class:`BadSetting`."""
    return _client(read_settings())


class ProjectClient(Client):
    """The client of a project, which can do two things more."""

    def send(self, job: Job, options: Options) -> None:
        """Send a job that was made before."""
        self._enqueue(_ready(job), options)

    def check_target(self, name: str) -> None:
        """Raise :class:`BadPayload` for a target that workers said they do not serve."""
        catalog = Catalog(self._producer.broker, self._producer.prefix + CATALOG_KEY)
        self._edge.run(catalog.check_target(name))


class _ModelOutbox(Outbox):
    """An outbox that also writes jobs by their plans."""

    def write(self, made: Plan[Job], options: Mapping[str, Any]) -> str:
        return self._run(enqueue(made, options))


def _enqueue(
    made: Plan[Job],
    settings: Settings,
    style: Style | str | None,
    using: str | None,
    options: Mapping[str, Any],
) -> str:
    alias = using or settings.using
    if (settings.style if style is None else style_of(style)) is Style.OUTBOX:
        return _ModelOutbox(connections[alias]).write(made, options)
    chosen = Options(**options)
    chosen = replace(chosen, id=chosen.id or new_id())
    for field in ("run_at", "expires"):
        moment(field, getattr(chosen, field))
    # All that can be refused is refused now, while the transaction can still be rolled back.
    sender, job = _client(settings), _finished(made)
    transaction.on_commit(partial(sender.send, job, chosen), using=alias)
    return str(chosen.id)


def _client(settings: Settings) -> ProjectClient:
    if settings.broker_url is None:
        raise BadSetting(f"{NAME} has no BROKER_URL, which asking Redis takes, write it there")
    return _open_client(
        settings.broker_url, settings.result_url, settings.timeout, settings.key_prefix
    )


# By value, so that settings overridden in a test get a client of their own.
@lru_cache(maxsize=8)
def _open_client(url: str, result_url: str | None, timeout: float, prefix: str) -> ProjectClient:
    return ProjectClient(url, result_url, timeout=timeout, key_prefix=prefix)


def target_of(model: Any, settings: Settings) -> str:
    """Name the target of a model; a text names one itself."""
    if isinstance(model, str):
        return model
    concrete = getattr(getattr(model, "_meta", None), "concrete_model", None)
    if not isinstance(model, type) or concrete is None or concrete._meta.abstract:
        raise BadPayload(f"rows go to a model or to a named target, got {shown(model)}")
    return settings.targets.get(concrete._meta.label) or table_of(concrete._meta)


def table_of(meta: Any) -> str:
    """Return the table of a model without the quotes that name a schema in ``db_table``."""
    return str(meta.db_table).replace('"', "")


def _rows(model: Any, rows: Any, columns: Sequence[str] | None) -> Any:
    is_model = isinstance(model, type) and issubclass(model, Model)
    return model_rows(model, rows, columns) if is_model else rows


def _finished(made: Plan[Job]) -> Job:
    """Make a job at once; its pauses are for others, who do not wait here."""
    try:
        while True:
            next(made)
    except StopIteration as ended:
        job: Job = ended.value
    check_body(write_body(job.arguments))
    return job


def _ready(job: Job) -> Plan[Job]:
    yield from ()
    return job

"""What may be wrong with PostgreSQL, the schema in it, and the outbox."""

from collections.abc import Iterator
from functools import partial

from config import Settings, Url
from postgres import Cursor
from postgres.errors import PostgresError, Refused
from postgres.holds import held_targets
from postgres.migrate import applied_migrations, migrations
from postgres.pool import Pool, PoolLimits
from postgres.server import ServerFacts, look_at_outbox, look_at_server, tasks_in_outbox
from postgres.transaction import transaction
from tasks.targets import BadCatalog, load_targets
from worker.commands.layout import counted, moment
from worker.commands.target_check import problems_of
from worker.doctor.finding import Finding, ok, problem, warning

_ABOUT = "PostgreSQL"
_OLDEST = 140_000
#: Classes of SQLSTATE by which a server says that nobody can ask it now: connection, start and
#: stop, name and password, no room for one more.
_UNREACHABLE = ("08", "57", "28", "3D", "53")
_FORBIDDEN = "42501"
#: A relay looks twenty times a second; what waits for longer does not get through.
_PATIENCE_SECONDS = 30.0


def look_at_database(settings: Settings) -> Iterator[Finding]:
    """Tell about the database that is written to, its schema, the targets and the outbox."""
    pool = _pool(settings.database_url)
    try:
        with transaction(pool) as cursor:
            yield from of_server(look_at_server(cursor))
            yield (schema := _schema(applied_migrations(cursor)))
        if schema.remedy is not None:
            return
        for look in (partial(_targets, settings), _held, _outbox):
            # What one look may not see must not keep the next from looking.
            try:
                with transaction(pool) as cursor:
                    yield from look(cursor)
            except PostgresError as error:
                yield refused(_ABOUT, str(settings.database_url), "DATABASE_URL", error)
    except PostgresError as error:
        yield refused(_ABOUT, str(settings.database_url), "DATABASE_URL", error)
    finally:
        pool.close()


def seen_by_workers(settings: Settings) -> tuple[ServerFacts | None, frozenset[str]]:
    """Return what the server says of itself, and the tasks of its outbox, as far as it answers."""
    facts, tasks = None, frozenset[str]()
    pool = _pool(settings.database_url)
    try:
        with transaction(pool) as cursor:
            facts = look_at_server(cursor)
            tasks = tasks_in_outbox(cursor)
    except PostgresError:
        return facts, tasks  # Its own look says so.
    finally:
        pool.close()
    return facts, tasks


def _pool(url: Url) -> Pool:
    return Pool(url.get_secret_value(), PoolLimits(size=1))


def of_server(facts: ServerFacts) -> Iterator[Finding]:
    """Tell what a server says of itself."""
    if facts.version_number < _OLDEST:
        sentence = f"PostgreSQL {facts.version} is too old: 14 or newer is needed"
        yield problem(_ABOUT, sentence, "upgrade it, or point CELERIAC_DATABASE_URL at another")
    else:
        yield ok(_ABOUT, facts.version)
    if facts.is_replica or facts.is_read_only:
        sentence = "it is a replica" if facts.is_replica else "its transactions are read-only"
        yield problem(
            _ABOUT,
            f"{sentence}: no job can be committed there",
            "point CELERIAC_DATABASE_URL at the primary; reports may read from a replica "
            "by CELERIAC_REPORT_DATABASE_URL",
        )
    if not facts.fsync:
        yield problem(
            _ABOUT,
            "fsync is off: a crash of the machine can destroy committed jobs",
            "in psql: ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();",
        )
    if not facts.synchronous_commit:
        yield warning(
            _ABOUT,
            "synchronous_commit is off: a crash can take back what was told as committed",
            "in psql: ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();",
        )


def _schema(applied: set[int]) -> Finding:
    shipped = {one.number for one in migrations()}
    missing = sorted(shipped - applied)
    if missing:
        sentence = f"{counted(len(missing), 'migration')} missing, the first is {missing[0]:04}"
        return problem("schema", sentence, "python -m worker migrate")
    newest = max(shipped)
    if later := sorted(applied - shipped):
        sentence = f"the database is at {later[-1]:04}, this version knows {newest:04}"
        return ok("schema", f"{sentence}: a later version migrated it")
    return ok("schema", f"at {newest:04}, as this version needs it")


def _targets(settings: Settings, cursor: Cursor) -> Iterator[Finding]:
    try:
        targets = load_targets(settings.catalog)
    except BadCatalog as error:
        remedy = f"correct {settings.catalog / 'targets.toml'}: python -m worker targets check"
        yield problem("catalog", str(error), remedy)
        return
    bad = 0
    for name, target in targets.items():
        for sentence in problems_of(target, cursor):
            bad += 1
            remedy = f"mend that, then: python -m worker targets check {name}"
            yield problem(f"target {name}", sentence, remedy)
    if not bad:
        yield ok("catalog", f"{counted(len(targets), 'target')} fit the database")


def _held(cursor: Cursor) -> Iterator[Finding]:
    for one in held_targets(cursor):
        yield warning(
            f"target {one.target}",
            f"is held since {moment(one.since)}, {counted(one.jobs, 'job')} waiting: {one.reason}",
            f"python -m worker targets resume {one.target}",
        )


def _outbox(cursor: Cursor) -> Iterator[Finding]:
    facts = look_at_outbox(cursor)
    relays = counted(facts.relays, "relay")
    if not facts.relays and facts.jobs:
        sentence = f"no relay runs, and {counted(facts.jobs, 'job')} wait for one"
        yield problem("outbox", sentence, "start one: python -m worker relay")
    elif not facts.relays:
        sentence = "no relay runs: what comes by the outbox would wait"
        yield warning("outbox", sentence, "start one: python -m worker relay")
    elif facts.due and facts.oldest_seconds > _PATIENCE_SECONDS:
        sentence = (
            f"{counted(facts.due, 'job')} due and in no queue, the first for "
            f"{facts.oldest_seconds:,.0f} s, with {relays}"
        )
        yield problem("outbox", sentence, "see Redis below, and the relay's log")
    else:
        yield ok("outbox", f"{counted(facts.jobs, 'job')} in it, none late, {relays}")


def refused(about: str, url: str, setting: str, error: PostgresError) -> Finding:
    """Say what a server refused: to be reached at all, or something it was asked."""
    sqlstate = error.sqlstate if isinstance(error, Refused) else None
    if sqlstate is None or sqlstate[:2] in _UNREACHABLE:
        return problem(
            about, f"cannot be asked at {url}: {error}", f"start it, or correct CELERIAC_{setting}"
        )
    if sqlstate == _FORBIDDEN:
        remedy = "docs/operations.md lists what the role of that setting needs: GRANT it"
        return problem(about, f"the role at {url} may not look: {error}", remedy)
    return problem(about, f"refused to tell, at {url}: {error}", "its log says more")

"""Decide what follows from a refusal: by SQLSTATE, phase and batch size.

A pure table. Never by SQLSTATE alone: ``lock_not_available`` means "somebody
else runs this job" while claiming and "this target is locked" while its rows
go in; ``query_canceled`` in a batch says nothing about any one of its jobs,
and ``read_only_sql_transaction`` says that the server is a replica now, except
in a report, whose transaction is always read-only. Where code of others speaks,
which may raise any code at will, "the disk is full" is a claim to be looked into.
Codes: PostgreSQL's appendix "Error Codes".
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from postgres.errors import Phase


class Decision(StrEnum):
    """What to do with the jobs of a refused transaction."""

    #: The server or the way to it is in trouble: nothing is counted, wait.
    WAIT = "wait"
    #: A collision with somebody else: the same batch again, soon.
    AGAIN = "again"
    #: The target is closed by its schema or its rights: hold its jobs.
    HOLD = "hold"
    #: Something these jobs need is locked for now: they go later, the others go on.
    BUSY = "busy"
    #: Some rows are bad: find them.
    ROWS = "rows"
    #: One of the jobs is guilty: run each alone.
    ALONE = "alone"
    #: A lone job that can never succeed.
    BURY = "bury"


#: Trouble of the server, or so it says: classes, then single codes.
_TROUBLE_CLASSES = frozenset({"08", "28", "3D", "53", "57", "58", "F0", "XX"})
_TROUBLE_CODES = frozenset({"25006", "25P03", "55P02"})

#: Codes of a trouble class that one job can cause all by itself.
_OWN_DOING = frozenset({"57014", "53400"})

#: What extensions raise over values that they cannot read: of rows, where rows go in.
_OF_AN_EXTENSION = frozenset({"XX000"})

#: Trouble that passes by itself, as a whole server's does: no target is held for it.
_PASSING_CLASSES = frozenset({"53"})
_PASSING_CODES = frozenset({"25006", "57P01", "57P02", "57P03"})

#: What in a report's snapshot is the report's own: it tries to write, or takes too much.
#: Its time is declared, and so long that a second try would outlast the child.
_REPORTS_DOING = frozenset({"25006", "53400", "57014"})

_COLLISIONS = frozenset({"40001", "40P01", "40003"})
_LOCKED = frozenset({"55P03", "55006"})

#: Schema and permission trouble of the target, by code, else by class.
_CLOSED_CODES = frozenset({"55000", "0A000"})
_CLOSED_CLASSES = frozenset({"42", "3F"})

#: Codes of a closed class that a row's own content brings about.
_CONTENT: Mapping[str, Decision] = MappingProxyType(
    {"428C9": Decision.ROWS, "CE004": Decision.HOLD}
)

#: Codes by which our own statements refuse what a job brought: its counts, its result.
_BROUGHT_CLASSES = frozenset({"21", "22", "23", "54", "CE"})

_ROW_PHASES = frozenset({Phase.ROWS, Phase.CONSTRAINTS})

#: Phases of a transaction that writes, in which triggers speak.
_TRIGGER_PHASES = _ROW_PHASES | {Phase.COMMIT}

#: Phases in which code and queries of others speak, which may raise any code at will.
_FOREIGN_PHASES = _TRIGGER_PHASES | {Phase.READ}


def decide(sqlstate: str | None, phase: Phase, jobs: int, *, is_last_try: bool = False) -> Decision:
    """Return what to do with ``jobs`` jobs whose transaction was refused.

    On the last try nothing is done AGAIN: see :func:`when_collisions_do_not_end`.
    """
    decision = _decide(sqlstate, phase, jobs)
    if is_last_try and decision is Decision.AGAIN:
        return when_collisions_do_not_end(phase, jobs)
    return decision


def when_collisions_do_not_end(phase: Phase, jobs: int) -> Decision:
    """Return what follows when AGAIN was tried as often as it may be."""
    # A trigger or a report's function may raise any code, 40001 and 57014 too.
    if phase in _ROW_PHASES and jobs == 1:
        return Decision.ROWS
    return _find_the_guilty(jobs) if phase in _FOREIGN_PHASES else Decision.WAIT


def when_the_server_is_well(sqlstate: str | None, phase: Phase, jobs: int) -> Decision:
    """Return what follows where :func:`decide` says WAIT, if the server was asked and is well.

    Then a target has the trouble: a trigger's other database is away, its disk
    is full, its index broken. Its jobs wait, the others go on.
    """
    if sqlstate is None or phase not in _TRIGGER_PHASES:
        return Decision.WAIT
    return Decision.ALONE if jobs > 1 else Decision.BUSY


def passes_by_itself(sqlstate: str | None) -> bool:
    """Tell whether nobody has to be called for it: a full disk, a server that stops or follows."""
    code = sqlstate or ""
    return code in _PASSING_CODES or code[:2] in _PASSING_CLASSES


def _decide(sqlstate: str | None, phase: Phase, jobs: int) -> Decision:
    if sqlstate is None:
        return Decision.WAIT
    if phase is Phase.READ and sqlstate in _REPORTS_DOING:
        return _find_the_guilty(jobs)
    if sqlstate in _OWN_DOING:
        return Decision.ALONE if jobs > 1 else Decision.AGAIN
    if _is_trouble(sqlstate, phase):
        return Decision.WAIT
    if sqlstate in _COLLISIONS:
        return Decision.AGAIN
    if sqlstate in _LOCKED:
        return _when_locked(phase, jobs)
    if phase in _ROW_PHASES:
        return _when_rows_go_in(sqlstate)
    return _in_our_own_statements(sqlstate, phase, jobs)


def _is_trouble(sqlstate: str, phase: Phase) -> bool:
    if sqlstate in _OF_AN_EXTENSION and phase in _TRIGGER_PHASES:
        return False
    return sqlstate in _TROUBLE_CODES or sqlstate[:2] in _TROUBLE_CLASSES


def _when_locked(phase: Phase, jobs: int) -> Decision:
    if phase in _ROW_PHASES:
        return Decision.BUSY
    # Somebody else's transaction holds one of these ids: its neighbours need not wait.
    return Decision.ALONE if jobs > 1 else Decision.BUSY


def _when_rows_go_in(sqlstate: str) -> Decision:
    if sqlstate in _CONTENT:
        return _CONTENT[sqlstate]
    if sqlstate in _CLOSED_CODES or sqlstate[:2] in _CLOSED_CLASSES:
        return Decision.HOLD
    return Decision.ROWS


def _in_our_own_statements(sqlstate: str, phase: Phase, jobs: int) -> Decision:
    # At COMMIT a deferred trigger of a target spoke after every check.
    if phase in _FOREIGN_PHASES or sqlstate[:2] in _BROUGHT_CLASSES:
        return _find_the_guilty(jobs)
    # The ledger itself is missing or forbidden: an operator has to act, no job is to blame.
    return Decision.WAIT


def _find_the_guilty(jobs: int) -> Decision:
    return Decision.ALONE if jobs > 1 else Decision.BURY

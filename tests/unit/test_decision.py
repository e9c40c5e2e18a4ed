"""What follows from a refusal: a table of SQLSTATE, phase and batch size."""

import psycopg2
import pytest

from postgres.decision import (
    Decision,
    decide,
    passes_by_itself,
    when_collisions_do_not_end,
    when_the_server_is_well,
)
from postgres.errors import UNSENT, Phase, Refused, refusals
from postgres.insert_rows import KEPT_OUT

WAIT, AGAIN, HOLD, BUSY = Decision.WAIT, Decision.AGAIN, Decision.HOLD, Decision.BUSY
ROWS, ALONE, BURY = Decision.ROWS, Decision.ALONE, Decision.BURY

MANY = 40

#: Trouble of the server or of the way to it; no job is ever to blame.
TROUBLE = {
    "08000": "connection_exception",
    "08006": "connection_failure",
    "25P03": "idle_in_transaction_session_timeout",
    "28000": "invalid_authorization_specification",
    "28P01": "invalid_password",
    "3D000": "invalid_catalog_name",
    "53000": "insufficient_resources",
    "53100": "disk_full",
    "53200": "out_of_memory",
    "53300": "too_many_connections",
    "55P02": "cant_change_runtime_param",
    "57P01": "admin_shutdown",
    "57P02": "crash_shutdown",
    "57P03": "cannot_connect_now",
    "57P05": "idle_session_timeout",
    "58000": "system_error",
    "58030": "io_error",
    "F0000": "config_file_error",
    "XX001": "data_corrupted",
    "XX002": "index_corrupted",
}

#: Phases in which triggers speak, who may say the same.
TRIGGERS_SPEAK = [Phase.ROWS, Phase.CONSTRAINTS, Phase.COMMIT]

#: What a row brings about itself, as PostgreSQL, a constraint or a trigger says it.
BY_A_ROW = {
    "21000": "cardinality_violation",
    "22003": "numeric_value_out_of_range",
    "22007": "invalid_datetime_format",
    "22021": "character_not_in_repertoire",
    "22P02": "invalid_text_representation",
    "22P05": "untranslatable_character",
    "23000": "integrity_constraint_violation",
    "23502": "not_null_violation",
    "23503": "foreign_key_violation",
    "23505": "unique_violation",
    "23514": "check_violation",
    "23P01": "exclusion_violation",
    "428C9": "generated_always",
    "44000": "with_check_option_violation",
    "54000": "program_limit_exceeded: an index key or a jsonb string too long",
    "54001": "statement_too_complex: JSON too deep",
    "P0001": "raise_exception of a trigger",
    "ZZ999": "a code that a trigger made up",
    KEPT_OUT: "a trigger that kept a row out without a word",
    UNSENT: "a statement that the driver would not send",
}

#: The target's schema or rights: nothing can go in until somebody changes them.
CLOSED = {
    "0A000": "feature_not_supported",
    "3F000": "invalid_schema_name",
    "42501": "insufficient_privilege",
    "42703": "undefined_column",
    "42804": "datatype_mismatch",
    "42883": "undefined_function, of a trigger that was dropped",
    "42P01": "undefined_table",
    "42P10": "invalid_column_reference: no unique index for ON CONFLICT",
    "55000": "object_not_in_prerequisite_state: a view that takes no rows",
}


@pytest.mark.parametrize("sqlstate", [None, *TROUBLE])
@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("jobs", [1, MANY])
def test_trouble_of_the_server_waits(sqlstate: str | None, phase: Phase, jobs: int) -> None:
    """Whatever the phase and however many the jobs: nothing is counted, nothing is buried."""
    decision = decide(sqlstate, phase, jobs)

    assert WAIT == decision


@pytest.mark.parametrize("sqlstate", TROUBLE)
@pytest.mark.parametrize("phase", list(Phase))
def test_trouble_of_a_server_that_is_well(sqlstate: str, phase: Phase) -> None:
    """Where triggers speak it is that of one target, whose jobs wait; nobody else's, ever."""
    decisions = [when_the_server_is_well(sqlstate, phase, jobs) for jobs in (MANY, 1)]

    assert ([ALONE, BUSY] if phase in TRIGGERS_SPEAK else [WAIT, WAIT]) == decisions


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("jobs", [1, MANY])
def test_lost_connection_waits_all_the_same(phase: Phase, jobs: int) -> None:
    """Without a code nobody knows what was done, however well the server is now."""
    decision = when_the_server_is_well(None, phase, jobs)

    assert WAIT == decision


def test_what_passes_by_itself() -> None:
    """No target is held for a full disk or a server that stops; for a broken index one is."""
    passing = {code for code in TROUBLE if passes_by_itself(code)}

    resources = {"53000", "53100", "53200", "53300"}
    assert resources | {"57P01", "57P02", "57P03"} == passing
    assert [True, False] == [passes_by_itself(code) for code in ("25006", None)]


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "57014", "53400"])
@pytest.mark.parametrize("phase", list(Phase))
def test_last_try_does_nothing_again(sqlstate: str, phase: Phase) -> None:
    """Then a collision is a row's where rows go in; elsewhere, what follows if they do not end."""
    decision = decide(sqlstate, phase, 1, is_last_try=True)

    again = decide(sqlstate, phase, 1)
    assert (when_collisions_do_not_end(phase, 1) if again is AGAIN else again) == decision


@pytest.mark.parametrize("sqlstate", BY_A_ROW)
@pytest.mark.parametrize("phase", [Phase.ROWS, Phase.CONSTRAINTS])
@pytest.mark.parametrize("jobs", [1, MANY])
def test_row_is_looked_for(sqlstate: str, phase: Phase, jobs: int) -> None:
    """Anything that the target's own statement raised sends us to find the rows."""
    decision = decide(sqlstate, phase, jobs)

    assert ROWS == decision


@pytest.mark.parametrize("sqlstate", CLOSED)
@pytest.mark.parametrize("jobs", [1, MANY])
def test_closed_target_is_held(sqlstate: str, jobs: int) -> None:
    """Schema and permission trouble while rows go in closes that target, and no job dies."""
    decision = decide(sqlstate, Phase.ROWS, jobs)

    assert HOLD == decision


@pytest.mark.parametrize(
    ("sqlstate", "phase", "of_many", "of_one"),
    [
        # Locked: somebody runs this job, the target is taken, or a report's table is.
        ("55P03", Phase.CLAIM, ALONE, BUSY),
        ("55P03", Phase.ROWS, BUSY, BUSY),
        ("55P03", Phase.CONSTRAINTS, BUSY, BUSY),
        ("55P03", Phase.RECORD, ALONE, BUSY),
        ("55P03", Phase.READ, ALONE, BUSY),
        ("55006", Phase.ROWS, BUSY, BUSY),
        # Collisions: two claims in opposite order, a serialization failure.
        ("40P01", Phase.CLAIM, AGAIN, AGAIN),
        ("40P01", Phase.ROWS, AGAIN, AGAIN),
        ("40001", Phase.ROWS, AGAIN, AGAIN),
        ("40001", Phase.COMMIT, AGAIN, AGAIN),
        ("40001", Phase.READ, AGAIN, AGAIN),
        ("40003", Phase.COMMIT, AGAIN, AGAIN),
        # One slow or greedy job makes all its neighbours late.
        ("57014", Phase.CLAIM, ALONE, AGAIN),
        ("57014", Phase.ROWS, ALONE, AGAIN),
        ("57014", Phase.COMMIT, ALONE, AGAIN),
        ("53400", Phase.ROWS, ALONE, AGAIN),
        # A replica took over while rows go in; a report is read-only by itself.
        ("25006", Phase.CLAIM, WAIT, WAIT),
        ("25006", Phase.ROWS, WAIT, WAIT),
        ("25006", Phase.RECORD, WAIT, WAIT),
        ("25006", Phase.COMMIT, WAIT, WAIT),
        ("25006", Phase.READ, ALONE, BURY),
        # A report over its time or its temporary files: its limits are declared.
        ("57014", Phase.READ, ALONE, BURY),
        ("53400", Phase.READ, ALONE, BURY),
        # An extension that cannot read a value; elsewhere the server's own trouble.
        ("XX000", Phase.CONNECT, WAIT, WAIT),
        ("XX000", Phase.CLAIM, WAIT, WAIT),
        ("XX000", Phase.ROWS, ROWS, ROWS),
        ("XX000", Phase.CONSTRAINTS, ROWS, ROWS),
        ("XX000", Phase.RECORD, WAIT, WAIT),
        ("XX000", Phase.COMMIT, ALONE, BURY),
        ("XX000", Phase.READ, WAIT, WAIT),
        # A report's query that PostgreSQL does not understand, or that fails on the data.
        ("42601", Phase.READ, ALONE, BURY),
        ("42P01", Phase.READ, ALONE, BURY),
        ("42501", Phase.READ, ALONE, BURY),
        ("22012", Phase.READ, ALONE, BURY),
        # A deferred trigger spoke after every check.
        ("23503", Phase.COMMIT, ALONE, BURY),
        ("P0001", Phase.COMMIT, ALONE, BURY),
        # The ledger itself is missing or forbidden: an operator has to act.
        ("42P01", Phase.CLAIM, WAIT, WAIT),
        ("42501", Phase.CLAIM, WAIT, WAIT),
        ("42P01", Phase.RECORD, WAIT, WAIT),
        ("3F000", Phase.CLAIM, WAIT, WAIT),
        # What a job brought does not fit the ledger: counts that do not add up, a NUL.
        ("23514", Phase.RECORD, ALONE, BURY),
        ("22003", Phase.RECORD, ALONE, BURY),
        ("22P05", Phase.RECORD, ALONE, BURY),
        ("54000", Phase.RECORD, ALONE, BURY),
        ("22021", Phase.CLAIM, ALONE, BURY),
        # The driver would not send it: no waiting will help.
        (UNSENT, Phase.CLAIM, ALONE, BURY),
        (UNSENT, Phase.RECORD, ALONE, BURY),
        (UNSENT, Phase.READ, ALONE, BURY),
    ],
)
def test_decision_depends_on_phase_and_batch(
    sqlstate: str, phase: Phase, of_many: Decision, of_one: Decision
) -> None:
    """The same code means one thing here and another there."""
    decisions = (decide(sqlstate, phase, MANY), decide(sqlstate, phase, 1))

    assert (of_many, of_one) == decisions


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("sqlstate", [None, *TROUBLE, *BY_A_ROW, *CLOSED, "55P03", "40001"])
def test_no_batch_is_buried_whole(sqlstate: str | None, phase: Phase) -> None:
    """Only a lone job can be guilty."""
    decisions = {decide(sqlstate, phase, MANY), when_collisions_do_not_end(phase, MANY)}

    assert BURY not in decisions


@pytest.mark.parametrize(
    ("phase", "of_many", "of_one"),
    [
        (Phase.CONNECT, WAIT, WAIT),
        (Phase.CLAIM, WAIT, WAIT),
        (Phase.ROWS, ALONE, ROWS),
        (Phase.CONSTRAINTS, ALONE, ROWS),
        (Phase.RECORD, WAIT, WAIT),
        (Phase.COMMIT, ALONE, BURY),
        (Phase.READ, ALONE, BURY),
    ],
)
def test_collisions_end(phase: Phase, of_many: Decision, of_one: Decision) -> None:
    """Where code of others may raise a collision's code for ever, trying again is bounded."""
    decisions = (when_collisions_do_not_end(phase, MANY), when_collisions_do_not_end(phase, 1))

    assert (of_many, of_one) == decisions


@pytest.mark.parametrize(
    ("error", "phase", "expected"),
    [
        (psycopg2.OperationalError("server closed the connection"), Phase.ROWS, None),
        (psycopg2.InterfaceError("connection already closed"), Phase.RECORD, None),
        (psycopg2.DatabaseError("error with status PGRES_TUPLES_OK"), Phase.CLAIM, None),
        (psycopg2.ProgrammingError("can't execute an empty query"), Phase.READ, UNSENT),
        (psycopg2.DataError("out of range"), Phase.CLAIM, UNSENT),
        (psycopg2.NotSupportedError("no such thing"), Phase.ROWS, UNSENT),
        (psycopg2.ProgrammingError("invalid dsn"), Phase.CONNECT, None),
    ],
)
def test_error_without_code(error: psycopg2.Error, phase: Phase, expected: str | None) -> None:
    """Without a code, a lost connection and a statement never sent are told apart."""
    with pytest.raises(Refused) as caught, refusals(phase):
        raise error

    assert expected == caught.value.sqlstate

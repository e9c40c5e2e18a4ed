"""Reports in Python on a real snapshot: what they read, what they may return, how they fail."""

import io
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from billiard.common import _shutdown_cleanup, clear_terminate_handler_fired

from postgres.errors import Refused
from postgres.pool import Pool, PoolLimits
from postgres.snapshot import Query, pin, snapshot
from tasks.reports.answer import Picture, Rows, Section, Text
from tasks.reports.declared.catalog import load_reports
from tasks.reports.declared.header import Unanswerable
from tasks.reports.in_python.frames import FrameSource
from tasks.reports.in_python.python_report import sections
from tasks.reports.in_python.read_frame import read_frame
from tasks.reports.in_python.reader import Reader
from tasks.reports.request import request_of
from tests.integration.batches import body_of, child_on, settle
from tests.integration.shop import query
from worker.delivery import Delivery, Fate
from worker.embedded import EmbeddedPostgres

VALUES = """
SELECT * FROM (VALUES
  (1::bigint, 1.5::float8, true, date '2013-01-31', timestamp '2013-01-01 05:00:00.123456',
   timestamptz '2013-01-01 05:00:00.5+05', 'a,"b"'||chr(10)||'c', '\\.', '\\x00ff'::bytea,
   '{"a": [1, 2]}'::jsonb, 0.1::numeric),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL),
  (-9223372036854775808, 'Infinity', false, '0001-01-01', '9999-12-31 23:59:59', 'epoch', '💐',
   '  ', '', '[]', -7)
) AS v (whole, float, truth, day, naive, zoned, words, more, bytes, json, number)
"""

DEAF = '''"""celeriac
title = "Deaf"
"""
import os, signal


def report(read):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            pass
    except BaseException:
        pass
    raise ValueError("the loop was torn")
'''


@dataclass
class Study:
    """A catalog of one report in Python, and the database that it reads."""

    pool: Pool
    catalog: Path

    def run(self, body: str, params: dict[str, Any] | None = None, head: str = "") -> list[Section]:
        """Return the sections of a report with this code, its header aside."""
        path = self.catalog / "reports" / f"study_{abs(hash(body))}.py"
        path.write_text(f'"""celeriac\ntitle = "A study"\n{head}\n"""\n{body}')
        request = request_of(load_reports(self.catalog), path.stem, params or {}, "html")
        with snapshot(self.pool) as reader:
            pin(reader, 30)
            return list(sections(request, reader))


@pytest.fixture(scope="module")
def pool(postgres_server: EmbeddedPostgres) -> Iterator[Pool]:
    """A pool on a database that nothing is written to."""
    pool = Pool(postgres_server.url(), PoolLimits(size=1))
    yield pool
    pool.close()


@pytest.fixture
def study(pool: Pool, tmp_path: Path) -> Study:
    """A catalog without reports, and a database."""
    (tmp_path / "reports").mkdir()
    return Study(pool, tmp_path)


def reading(database_pool: Pool, query: str) -> pd.DataFrame:
    """Read a query as a report does."""
    with snapshot(database_pool) as reader:
        pin(reader, 30)
        return read_frame(Query(reader, query, {}))


def test_frames_have_the_types_of_their_columns(study: Study) -> None:
    """Whole numbers and truths can be missing, times are times, all others text."""
    frame = reading(study.pool, VALUES)

    expected = {
        "whole": "Int64",
        "float": "float64",
        "truth": "boolean",
        "day": "datetime64[s]",
        "naive": "datetime64[us]",
        "zoned": "datetime64[us, UTC]",
        "words": "str",
        "more": "str",
        "bytes": "str",
        "json": "str",
        "number": "float64",
    }
    assert expected == {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert [1, pd.NA, -(2**63)] == frame["whole"].to_list()
    assert ["\\.", "", "  "] == frame["more"].to_list()
    assert [False, True, False] == frame["words"].isna().to_list()


def test_frames_are_written_as_they_were_read(study: Study) -> None:
    """What is read and returned unchanged is the CSV and the JSON of the query itself."""
    with snapshot(study.pool) as reader:
        pin(reader, 30)
        query = Query(reader, VALUES, {})
        copied, lines = io.BytesIO(), io.BytesIO()
        query.copy_csv(copied)
        query.copy_json_lines(lines)
        source = FrameSource(read_frame(query))

    written, json, pieces = io.BytesIO(), io.BytesIO(), list(source.csv_pieces(50))
    source.copy_csv(written)
    source.copy_json_lines(json)

    assert copied.getvalue() == written.getvalue()
    assert copied.getvalue().split(b"\n", 1)[1] == b"".join(pieces)
    # As text in a frame, jsonb and bytea stay text.
    plain = lines.getvalue().replace(b'{"a": [1, 2]}', b'"{\\"a\\": [1, 2]}"')
    assert plain.replace(b'"json":[]', b'"json":"[]"') == json.getvalue()


def test_values_beyond_pandas_come_as_text(study: Study) -> None:
    """A column that holds an infinite date or a year before Christ is text, and loses nothing."""
    frame = reading(study.pool, "SELECT date '0044-03-15 BC' AS d, timestamptz 'infinity' AS t")

    assert [("0044-03-15 BC", "infinity")] == list(frame.itertuples(index=False, name=None))


def test_columns_may_share_a_name_and_rows_be_none(study: Study) -> None:
    """An answer without rows has its columns and types; equal names stay two columns."""
    frame = reading(study.pool, "SELECT 1 AS a, 'x' AS a WHERE false")

    assert (["a", "a"], 0) == (list(frame.columns), len(frame))
    assert ["Int64", "str"] == [str(dtype) for dtype in frame.dtypes]


def test_line_breaks_in_values_stay_there(study: Study) -> None:
    """However much is read, a record of several lines is one row."""
    frame = reading(study.pool, "SELECT E'a\\nb,\\n' AS a, n FROM generate_series(1, 150000) AS n")

    assert (150000, {"a\nb,\n"}, 150000) == (len(frame), set(frame["a"]), frame["n"].iloc[-1])


def test_frames_of_python_objects_have_types_too() -> None:
    """Decimals, dates, spans, documents, categories and names of several levels are printed."""
    frame = pd.DataFrame(
        {
            "decimal": [Decimal("1.10"), None, Decimal("1E+3")],
            "date": [date(2013, 1, 31), None, date(44, 3, 15)],
            "time": [datetime(2013, 1, 1, 5, tzinfo=UTC), None, datetime(2013, 7, 1, tzinfo=UTC)],
            "span": pd.to_timedelta(["1 days 02:00:00", None, "-00:00:01.5"]),
            "json": [{"a": "é"}, None, {}],
            ("level", 2): pd.Categorical(["x", None, "y"]),
            "mixed": [1, None, "one"],
        }
    )

    source = FrameSource(frame)

    assert [
        ("1.10", "2013-01-31", "2013-01-01 05:00:00+00", "P1DT2H", '{"a": "é"}', "x", "1"),
        (None,) * 7,
        ("1000", "0044-03-15", "2013-07-01 00:00:00+00", "PT-1.5S", "{}", "y", "one"),
    ] == source.first(9)[0]
    assert [1700, 1082, 1184, 1186, 3802, 25, 25] == [one.type_oid for one in source.columns]
    assert "level 2" == source.columns[5].name


FORMS = """
import altair as alt
import pandas as pd

def report(read):
    frame = read("SELECT n, n % 2 AS odd FROM generate_series(1, 4) AS n;")
    chart = alt.Chart(frame, title="Numbers").mark_bar().encode(x="n:O", y="odd:Q")
    return {
        "By parity": frame.groupby("odd").sum(),
        "Sums": frame["n"].cumsum(),
        "Drawn": chart,
        "Said": "Four numbers.",
    }
"""


def test_answers_have_many_forms(study: Study) -> None:
    """A dict names its frames, charts and texts; a named index becomes a column."""
    by_parity, sums, drawn, said = study.run(FORMS)

    assert isinstance(by_parity, Rows)
    assert isinstance(sums, Rows)
    assert (["odd", "n"], [("0", "6"), ("1", "4")]) == table(by_parity)
    assert (["n"], [("1",), ("3",), ("6",), ("10",)]) == table(sums)
    assert isinstance(drawn, Picture)
    assert ("Drawn", "Numbers") == (drawn.name, drawn.words)
    assert "<title>Drawn</title>" in drawn.svg
    assert Text("Said", "Four numbers.") == said


def table(section: Rows) -> tuple[list[str], list[tuple[str | None, ...]]]:
    """Return the names of a section's columns, and its rows."""
    return [column.name for column in section.source.columns], list(section.source.first(99)[0])


@pytest.mark.parametrize(
    ("returned", "names"),
    [("'text'", ["{name}"]), ("['a', 'b']", ["{name} 1", "{name} 2"]), ("{1: 'a'}", ["1"])],
)
def test_parts_without_a_name_get_one(study: Study, returned: str, names: list[str]) -> None:
    """A lone part has the name of the report, those of a list are counted."""
    body = f"def report(read):\n    return {returned}\n"

    found = [section.name for section in study.run(body)]

    assert [name.format(name=f"study_{abs(hash(body))}") for name in names] == found


DECLARED = """
[params.words]
type = "text"
[params.whole]
type = "int"
[params.exact]
type = "numeric"
[params.day]
type = "date"
[params.moment]
type = "timestamptz"
[params.truth]
type = "bool"
[params.id]
type = "uuid"
[params.many]
type = "int[]"
[params.nothing]
type = "date"
"""
ECHO = """
def report(read, **params):
    typed = ", ".join(f":{name} AS {name}, pg_typeof(:{name})::text" for name in params)
    kinds = ", ".join(type(value).__name__ for value in params.values())
    return [read(f"SELECT {typed}", **params), kinds]
"""


def test_parameters_keep_their_types(study: Study) -> None:
    """Each arrives as Python's own, and goes on to a query as what it was declared."""
    given = {
        "words": "'; DROP TABLE x; -- :whole",
        "whole": -5,
        "exact": "0.10",
        "day": "2013-01-31",
        "moment": "2013-01-01T05:00:00+05:00",
        "truth": False,
        "id": "0198f3a2-7c1e-7000-8000-00000000000a",
        "many": [1, 2],
    }

    rows, kinds = study.run(ECHO, given, DECLARED)

    assert isinstance(rows, Rows)
    assert isinstance(kinds, Text)
    assert "str, int, Decimal, date, datetime, bool, UUID, list, NoneType" == kinds.text
    (row,) = table(rows)[1]
    assert given["words"] == row[0]
    types = "text integer numeric date timestamp,with,time,zone boolean uuid integer[] date"
    assert [one.replace(",", " ") for one in types.split()] == list(row[1::2])
    assert (("-5", "0.1", "2013-01-31", "2013-01-01 00:00:00+00", "f"), "{1,2}", None) == (
        (row[2], row[4], row[6], row[8], row[10]),
        row[14],
        row[16],
    )


GIVEN: list[tuple[Any, str, str | None]] = [
    (2**31, "bigint", "2147483648"),
    (2**63, "numeric", "9223372036854775808"),
    (0.1, "numeric", "0.1"),
    (Decimal("1.10"), "numeric", "1.10"),
    (UUID(int=1), "uuid", "00000000-0000-0000-0000-000000000001"),
    (pd.Timestamp("2013-01-01", tz="UTC"), "timestamp with time zone", "2013-01-01 00:00:00+00"),
    (pd.Series([1, 2**40]).max(), "bigint", "1099511627776"),
    (pd.Series([1, 2**40]), "bigint[]", "{1,1099511627776}"),
    (["a,b", 'c"\\', "null", ""], "text[]", '{"a,b","c\\"\\\\","null",""}'),
    ([], "text[]", "{}"),
    (pd.NA, "text", None),
]


def test_queries_take_values_of_python(study: Study) -> None:
    """Numbers take the narrowest type that holds them; numpy's, pandas' and lists are welcome."""
    query = "SELECT pg_typeof(:x)::text AS type, :x::text AS text"

    with snapshot(study.pool) as cursor:
        pin(cursor, 30)
        read = Reader(cursor, {})
        found = [table(Rows("", FrameSource(read(query, x=given))))[1] for given, _, _ in GIVEN]

    assert [[(type_, text)] for _, type_, text in GIVEN] == found


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("\n    x = {}\n    return x['k']\n", r"\.py, line 7: KeyError: 'k'"),
        ("\n    import nowhere\n", r"\.py, line 6: ModuleNotFoundError: .*nowhere"),
        ("\n    raise SystemExit(3)\n", r"\.py, line 6: SystemExit: 3"),
        (" return 5", r"must return a DataFrame, .* got int for 'study_"),
        (" return 'half \\ud800'", r"\.py: UnicodeEncodeError: .* surrogates not allowed"),
        (" read('SELECT :a', a=object())", r"line 5: BadValue: a must be str, int, .* got <object"),
        (" read('SELECT 1', a=1)", r"line 5: BadValue: a is given, but the query never uses :a"),
        (" read('SELECT :a')", r"line 5: .*:a has no value"),
        (" read('SELECT 1; SELECT 2')", r"line 5: .*one statement, got 2"),
        (" read('SELECT :a', a=[1, 'b'])", r"line 5: .*of one type, got"),
        (" read('SELECT :a', a=datetime(2013, 1, 1))", r"line 5: .*date and time with its offset"),
    ],
)
def test_what_a_report_raises_is_told_with_its_line(study: Study, body: str, words: str) -> None:
    """Whatever the code does wrong is the report's own fault, named with file and line."""
    with pytest.raises(Unanswerable, match=words):
        study.run(f"def report(read):{body}\nfrom datetime import datetime")


def test_file_that_cannot_be_loaded_is_named(study: Study) -> None:
    """What the file raises before there is a function is its own fault too."""
    with pytest.raises(Unanswerable, match=r"\.py, line 5: ZeroDivisionError: division by zero"):
        study.run("1 / 0\ndef report(read): ...\n")


@pytest.mark.parametrize(
    ("code", "sqlstate"),
    [
        ("read('CREATE TABLE public.x ()')", "42601"),
        ("read('SELECT lo_create(0)')", "25006"),
        ("read('SELECT 1 / 0')", "22012"),
        ("try:\n        read('SELECT 1 / 0')\n    except Exception:\n        pass", "22012"),
    ],
)
def test_refused_reads_are_postgresqls_word(study: Study, code: str, sqlstate: str) -> None:
    """A query that fails or would write stays refused, whatever the report makes of it."""
    with pytest.raises(Refused) as caught:
        study.run(f"def report(read):\n    {code}\n    return 'fine'\n")

    assert sqlstate == caught.value.sqlstate


def test_text_that_postgresql_has_not_is_refused() -> None:
    """A NUL character or half a character in a frame is an error, never a broken file."""
    for text in ("a\0b", "\ud800"):
        source = FrameSource(pd.DataFrame({"a": pd.Series([text], dtype=object)}))

        with pytest.raises(Unanswerable, match="text must"):
            source.first(1)


def test_reports_import_their_neighbours_and_leave_nothing(study: Study) -> None:
    """Code in a file that begins with _ can be shared; the catalog gets no compiled files."""
    (study.catalog / "reports" / "_shared.py").write_text("def words(): return 'shared'\n")
    before = list(sys.path)

    (section,) = study.run("from _shared import words\ndef report(read):\n    return words()\n")

    assert isinstance(section, Text)
    assert "shared" == section.text
    assert before == sys.path
    left = {path.name for path in (study.catalog / "reports").rglob("__pycache__/study*")}
    assert set() == left


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "\n    try:\n        while True: pass\n    finally:\n        raise ValueError('torn')",
    ],
)
def test_end_of_the_child_is_no_answer(study: Study, body: str) -> None:
    """A signal that ends the process buries no report, whatever that raised on its way out."""
    head = "import os, signal\ndef report(read):\n    os.kill(os.getpid(), signal.SIGTERM)\n"
    before = signal.signal(signal.SIGTERM, _shutdown_cleanup)

    try:
        with pytest.raises(SystemExit) as caught:
            study.run(f"{head}    {body}")
    finally:
        signal.signal(signal.SIGTERM, before)
        clear_terminate_handler_fired()

    assert signal.SIGTERM - 256 == caught.value.code


def test_report_that_catches_the_end_of_its_child_is_not_buried(
    database: str, tmp_path: Path
) -> None:
    """Whatever it says then is no answer: the ledger has it under way, for another child."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "targets.toml").touch()
    (tmp_path / "reports" / "deaf.py").write_text(DEAF)
    deaf = Delivery("deaf", "celeriac.report", body_of({"name": "deaf"}), takes_long=True)
    before = signal.signal(signal.SIGTERM, _shutdown_cleanup)

    try:
        with (
            child_on(database, tmp_path / "artifacts", catalog=tmp_path) as child,
            pytest.raises(SystemExit),
        ):
            settle(child, deaf)
    finally:
        signal.signal(signal.SIGTERM, before)
        clear_terminate_handler_fired()

    assert [("working", None)] == query(database, "SELECT state, error FROM celeriac.job")


def test_failing_report_buries_its_own_job(database: str, tmp_path: Path) -> None:
    """A child that runs broken reports buries each with its words, and goes on with the next."""
    bodies = {
        "broken": "raise ValueError('no such month')",
        "refused": "read('SELECT nothing FROM nowhere')",
        "fine": "return read('SELECT 1 AS n')",
        "torn": r"raise ValueError('a\0b\ud800' + 'x' * 10_000)",
        "endless": "while True: pass",
        "wordy": "read('SELECT repeat(:x, 10_000)::int', x='y')",
    }
    (tmp_path / "reports").mkdir()
    (tmp_path / "targets.toml").touch()
    for name, body in bodies.items():
        head = 'title = "T"\nformat = "csv"\n' + ("timeout = 0.5\n" if name == "endless" else "")
        text = f'"""celeriac\n{head}"""\ndef report(read):\n    {body}\n'
        (tmp_path / "reports" / f"{name}.py").write_text(text)

    with child_on(database, tmp_path / "artifacts", catalog=tmp_path) as child:
        ended = {
            name: settle(
                child,
                Delivery(name, "celeriac.report", body_of({"name": name}), takes_long=True),
            )[name]
            for name in bodies
        }

    assert {"fine"} == {name for name, one in ended.items() if one.fate is Fate.COMMITTED}
    words = "report broken: broken.py, line 6: ValueError: no such month"
    assert words == ended["broken"].error
    assert 'relation "nowhere" does not exist' in str(ended["refused"].error)
    assert r"report torn: torn.py, line 6: ValueError: a\x00b\ud800xxx" in str(ended["torn"].error)
    words = "report endless: endless.py, line 7: OutOfTime: it computed past its timeout"
    assert words == ended["endless"].error
    assert "report wordy: invalid input syntax for type integer" in str(ended["wordy"].error)
    assert 2_000 >= max(len(str(one.error)) for one in ended.values())
    assert (ended["fine"].result or {})["rows"] == 1

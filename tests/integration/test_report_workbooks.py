"""Workbooks, read back by another library and looked at as the XML that they are."""

import io
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from python_calamine import CalamineWorkbook
from xlsxwriter import Workbook

from postgres.pool import Pool, PoolLimits
from postgres.snapshot import Column
from tasks.reports.answer import Unwritable
from tasks.reports.declared.header import BadChart, Chart
from tasks.reports.formats.scratch import scratch_folder
from tasks.reports.formats.sheet_names import SheetNames
from tasks.reports.formats.sheet_table import Book, Table
from tests.integration.report_files import Paper
from tests.workers import ROOT
from worker.embedded import EmbeddedPostgres

TEXTS = (
    *("=1+1", "+1", "-1", "@SUM(A1)", "http://example.org", "mailto:a@b.c", "#N/A", "TRUE", "007"),
    *("<r><t>x</t></r>", "_x0041_", "a\x01\tb\r\nc\x1f", "  edges  ", "é 💐 <&>\"'", ""),
)


@pytest.fixture(scope="module")
def pool(postgres_server: EmbeddedPostgres) -> Iterator[Pool]:
    """A pool on a database that nothing is written to."""
    pool = Pool(postgres_server.url(), PoolLimits(size=1))
    yield pool
    pool.close()


@pytest.fixture
def paper(pool: Pool, tmp_path: Path) -> Paper:
    """Where queries become workbooks."""
    return Paper(pool, tmp_path)


def cells(book: bytes, sheet: str | int = 0) -> list[list[Any]]:
    """Read a sheet by another library."""
    opened = CalamineWorkbook.from_filelike(io.BytesIO(book))
    name = opened.sheet_names[sheet] if isinstance(sheet, int) else sheet
    return opened.get_sheet_by_name(name).to_python()


def part(book: bytes, name: str) -> str:
    """Read a part of a workbook as it is."""
    with ZipFile(io.BytesIO(book)) as archive:
        return archive.read(name).decode()


def test_values_are_what_a_spreadsheet_computes_with(paper: Paper) -> None:
    """Numbers, truths, dates and times are so; a time with a zone is in UTC and says so."""
    query = """
        SELECT 5::smallint AS i, -2147483648 AS int, 999999999999999 AS big, 0.1::float8 AS f,
               1e300::float8 AS large, 1.50::numeric(6, 2) AS n, 100000000000000000000::numeric,
               true AS t, false, date '2013-01-31' AS d, timestamp '2013-01-01 05:00:00.25' AS ts,
               timestamptz '2013-01-01 05:00:00+03' AS tz, time '23:59:59' AS clock
    """
    book = paper.write(query, "xlsx")

    names, row = cells(book)
    assert names[:3] == ["i", "int", "big"]
    assert [5, -2147483648, 999999999999999, 0.1, 1e300, 1.5, 1e20, True, False] == row[:9]
    times = [datetime(2013, 1, 1, 5, 0, 0, 250000), datetime(2013, 1, 1, 2)]
    assert [date(2013, 1, 31), *times] == row[9:12]
    assert time(23, 59, 59) == row[12]
    styles = part(book, "xl/styles.xml")
    for looks in ("yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss.000", "yyyy-mm-dd hh:mm:ss &quot;UTC&quot;"):
        assert f'formatCode="{looks}"' in styles


def test_numbers_keep_every_digit(paper: Paper) -> None:
    """Whatever a spreadsheet would round is text with all its digits; a float has its own."""
    numbers = (
        *("1234567890123456", "-9223372036854775808", "0.1234567890123456", "12.345678901234567"),
        *(f"1{'0' * 400}", f"0.{'0' * 400}1"),
    )
    listed = ", ".join(f"{number}::numeric" for number in numbers)

    book = paper.write(f"SELECT {listed}, 0.1::float8 + 0.2::float8 AS f", "xlsx")

    assert [*numbers, 0.1 + 0.2] == cells(book)[1]
    assert "<v>0.30000000000000004</v>" in part(book, "xl/worksheets/sheet1.xml")


def test_what_spreadsheets_have_not_is_text(paper: Paper) -> None:
    """Infinities, NaN, dates of long ago and far ahead, spans, documents and bytes are text."""
    query = """
        SELECT 'NaN'::float8, '-Infinity'::numeric, date '1900-02-28', date '0044-03-15 BC',
               timestamptz 'infinity', date '10000-01-01', time '24:00', interval '1 day 2 hours',
               '{"a": 1}'::jsonb, ARRAY[1, NULL], '\\x00ff'::bytea,
               '0198f3a2-7c1e-7000-8000-00000000000a'::uuid
    """
    row = cells(paper.write(query, "xlsx"))[1]

    assert [
        *("NaN", "-Infinity", "1900-02-28", "0044-03-15 BC", "infinity", "10000-01-01"),
        *("24:00:00", "P1DT2H", '{"a": 1}', "{1,NULL}", "\\x00ff"),
        "0198f3a2-7c1e-7000-8000-00000000000a",
    ] == row


def test_text_is_never_a_formula_a_link_or_markup(paper: Paper) -> None:
    """Text stays text whatever it begins with; control characters arrive as they were."""
    rows = ", ".join(f"({n}, E'{escaped(text)}')" for n, text in enumerate(TEXTS))

    book = paper.write(f"SELECT * FROM (VALUES {rows}) AS v (n, text) ORDER BY n", "xlsx")

    assert [[float(n), text] for n, text in enumerate(TEXTS)] == cells(book)[1:]
    sheet = part(book, "xl/worksheets/sheet1.xml")
    assert [] == re.findall(r"<(?:f|hyperlinks?|r)[ >]", sheet)


def escaped(text: str) -> str:
    """Write a text inside E'' of SQL."""
    return "".join(one if one.isalnum() and one.isascii() else f"\\U{ord(one):08x}" for one in text)


def test_null_is_no_cell_and_an_empty_text_is_one(paper: Paper) -> None:
    """A cell that holds nothing is NULL; one that holds an empty text was an empty text."""
    book = paper.write("SELECT NULL::text AS a, '' AS b, 0 AS c", "xlsx")

    second = (
        part(book, "xl/worksheets/sheet1.xml").partition('<row r="2"')[2].partition("</row>")[0]
    )
    assert ["B2", "C2"] == re.findall(r'<c r="(\w+)"', second)
    assert '<c r="B2" t="inlineStr"><is><t></t></is></c>' in second


def test_long_texts_are_cut_with_words(paper: Paper) -> None:
    """A text longer than a cell says so at its end, and the workbook counts them."""
    query = (
        "SELECT repeat('x', 32767) AS fits, repeat('💐', 16384) AS emoji, repeat('y', 40000) AS y"
    )

    book = paper.write(query, "xlsx")

    fits, emoji, long = cells(book)[1]
    assert "x" * 32767 == fits
    assert emoji.startswith("💐" * 16000)
    assert emoji.endswith("💐 … (cut: 32,768 characters, a cell holds 32,767)")
    assert 32767 == len(long)
    assert long.endswith("y … (cut: 40,000 characters, a cell holds 32,767)")
    assert ["2", "longer than a cell; each ends with the number of its characters"] in cells(
        book, "About"
    )


def test_header_stays_and_filters(paper: Paper) -> None:
    """The header is bold and frozen, the table has filters, and columns are as wide as needed."""
    book = paper.write("SELECT n, repeat('x', 30) AS wide FROM generate_series(1, 9) AS n", "xlsx")

    sheet = part(book, "xl/worksheets/sheet1.xml")
    assert '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>' in sheet
    assert '<autoFilter ref="A1:B10"/>' in sheet
    widths = [float(width) for width in re.findall(r'<col [^>]*width="([\d.]+)"', sheet)]
    assert (True, True) == (5 < widths[0] < 8, 31 < widths[1] < 36)


def test_last_sheet_tells_what_was_asked(paper: Paper) -> None:
    """The sheet About has the title, the report, the instant and the number of rows."""
    book = paper.write("SELECT generate_series(1, 3) AS n", "xlsx")

    opened = CalamineWorkbook.from_filelike(io.BytesIO(book))
    about = dict(filter(None, cells(book, "About")))
    assert ["one", "About"] == opened.sheet_names
    assert "One" == next(iter(about))
    assert ("one", "3 rows") == (about["Report"], about["one"])
    assert abs(datetime.now(UTC).replace(tzinfo=None) - about["As of"]).total_seconds() < 600


def test_charts_are_the_spreadsheets_own() -> None:
    """A declared chart shows the cells of its table; one without its column is an error."""
    file, columns = io.BytesIO(), [Column("day", 1082), Column("n", 23)]
    with Workbook(file, {"constant_memory": True}) as workbook:
        table = Table(Book(workbook), "Days", columns)
        table.add([(f"2013-01-{day:02}", str(day)) for day in range(1, 32)])
        table.end(Chart("line", "day", "n", "Through January"))
        with pytest.raises(BadChart, match="chart needs column 'm', the query gives day, n"):
            table.end(Chart("bar", "day", "m"))
        table.end(Chart("bar", "day", "n", series="n"))

    chart = part(file.getvalue(), "xl/charts/chart1.xml")

    with ZipFile(file) as archive:
        drawn = [name for name in archive.namelist() if name.startswith("xl/charts/")]
    assert ["xl/charts/chart1.xml"] == drawn
    assert ["Days!$A$2:$A$32", "Days!$B$2:$B$32"] == re.findall(r"<c:f>(.*?)</c:f>", chart)
    assert "<c:dateAx>" in chart
    assert "Through January" in chart


def test_rows_are_told_of_and_counted(paper: Paper) -> None:
    """The writer tells how far it is, and returns what it wrote."""
    _, (written,) = paper.write_and_tell("SELECT generate_series(1, 4500) AS n", "xlsx")

    assert [2000, 4000, 4500] == paper.told
    assert ("one", 4500, ["n"]) == (
        written.name,
        written.rows,
        [column.name for column in written.columns],
    )


def test_full_sheets_go_on_in_another() -> None:
    """Rows beyond what a sheet holds stand on further ones, each with its header and filters."""
    file = io.BytesIO()
    with Workbook(file, {"constant_memory": True}) as workbook:
        table = Table(Book(workbook), "Delays", [Column("n", 23)], sheet_rows=3)
        table.add([(str(n),) for n in range(5)])
        table.add([(str(n),) for n in range(5, 7)])
        table.end()

    book = file.getvalue()

    assert [
        [["n"], [0.0], [1.0], [2.0]],
        [["n"], [3.0], [4.0], [5.0]],
        [["n"], [6.0]],
    ] == [cells(book, name) for name in ("Delays", "Delays (2)", "Delays (3)")]
    assert '<autoFilter ref="A1:A2"/>' in part(book, "xl/worksheets/sheet3.xml")


def test_more_columns_than_a_sheet_has_are_refused() -> None:
    """A table too wide for a sheet is an error that says so, never one without its end."""
    with Workbook(io.BytesIO(), {"constant_memory": True}) as workbook:
        workbook.add_worksheet()
        with pytest.raises(Unwritable, match="wide has 16,385 columns, a sheet holds 16,384"):
            Table(Book(workbook), "wide", [Column("n", 23)] * 16_385)


def test_sheets_have_names_that_spreadsheets_take() -> None:
    """Names are cut, cleaned, told apart without regard to capitals, and never reserved ones."""
    names = SheetNames("About")

    wanted = (
        "a" * 40,
        "A" * 40,
        "x/y [2013]: *?\\",
        "'quoted'",
        "about",
        "History",
        " ",
        "💐" * 20,
    )

    assert [
        *("a" * 31, f"{'A' * 27} (2)", "x y  2013", "quoted", "about (2)", "History (2)"),
        *("Sheet", "💐" * 15),
    ] == [names.new(name) for name in wanted]


def test_scratch_of_the_killed_is_removed() -> None:
    """What a killed writer put aside goes with the next one's; that of the living stays."""
    code = (
        "import sys, time\n"
        "from tasks.reports.formats.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n"
        "    print(folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    killed, living = writers
    folders = [Path((writer.stdout or io.StringIO()).readline().strip()) for writer in writers]
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    with scratch_folder() as own:
        seen = [folder.exists() for folder in (*folders, own)]
    living.communicate("")

    assert [False, True, True] == seen
    assert [False, False] == [folders[1].exists(), own.exists()]
    assert own.parent == Path(tempfile.gettempdir())

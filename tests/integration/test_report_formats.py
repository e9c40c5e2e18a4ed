"""What formats make of values: read back by other people's code, they are the database's own."""

import gzip
import io
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
from backports import zstd
from pyarrow import parquet

from postgres.pool import Pool, PoolLimits
from tasks.reports.answer import Unwritable
from tests.integration.report_files import Paper, column_of, read_csv, read_json, read_parquet

FORMATS = ("csv", "jsonl", "parquet")

TEXTS = (
    # The first of a file, where readers look for a mark of the byte order.
    "\ufeffa",
    *("", " ", "NULL", "null", "\\N", "\\.", "\\", "\\n", "\\\\", "'", '"', '""', '"quoted"'),
    *(",", ", ", ";", "\t", "|", "\n", "\r", "\r\n", "\n\n", 'a\n"b",\r\n\\.\n', "\\.\n\\."),
    *("\x01", "\x02", "\x1f", "\x7f", "\x01\x02\x01", "a\x0bb\x0cc\x08"),
    *(
        "é",
        "e\u0301",
        "💐",
        "👩\u200d👩\u200d👧",
        "\u2028",
        "\u0085",
        "\u202eabc",
        "\ufffd",
        "\U0010ffff",
    ),
    *("\ufeff", "\ufeff\ufeff", "=1+1", "-", "0", "007", "nan", "t", "true", "{a,b}"),
)

BIG = "1234567890123456789012345678901234567890"
#: Each is a column: an expression, what CSV and JSON lines hold, the type in Parquet and its value.
VALUES: dict[str, tuple[str, str, Any, pa.DataType, Any]] = {
    "small": ("(-32768)::smallint", "-32768", -32768, pa.int16(), -32768),
    "whole": ("2147483647", "2147483647", 2147483647, pa.int32(), 2147483647),
    "large": ("(-9223372036854775808)::bigint", str(-(2**63)), -(2**63), pa.int64(), -(2**63)),
    "oid": ("4294967295::oid", "4294967295", "4294967295", pa.uint32(), 4294967295),
    "short": ("0.1::real", "0.1", Decimal("0.1"), pa.float32(), 0.10000000149011612),
    "double": ("5e-324::float8", "5e-324", Decimal("5e-324"), pa.float64(), 5e-324),
    "minus_zero": ("'-0'::float8", "-0", 0, pa.float64(), -0.0),
    "endless": ("'-Infinity'::float8", "-Infinity", "-Infinity", pa.float64(), float("-inf")),
    "free": (f"{BIG}.10", f"{BIG}.10", Decimal(f"{BIG}.10"), pa.string(), f"{BIG}.10"),
    "nan": ("'NaN'::numeric", "NaN", "NaN", pa.string(), "NaN"),
    "money": ("(-0.10)::numeric(10,2)", "-0.10", Decimal("-0.10"), pa.decimal128(10, 2),
              Decimal("-0.10")),
    "digits": (f"{BIG}.0123456789::numeric(50,10)", f"{BIG}.0123456789",
               Decimal(f"{BIG}.0123456789"), pa.decimal256(50, 10), Decimal(f"{BIG}.0123456789")),
    "thousands": ("12345::numeric(3,-2)", "12300", 12300, pa.decimal128(5, 0), Decimal(12300)),
    "thousandths": ("0.00123::numeric(3,5)", "0.00123", Decimal("0.00123"), pa.decimal128(5, 5),
                    Decimal("0.00123")),
    "vast": ("1.5::numeric(100,2)", "1.50", Decimal("1.50"), pa.string(), "1.50"),
    "yes": ("true", "t", True, pa.bool_(), True),
    "day": ("date '0001-01-01'", "0001-01-01", "0001-01-01", pa.date32(), date(1, 1, 1)),
    "moment": ("timestamp '9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999",
               "9999-12-31T23:59:59.999999", pa.timestamp("us"),
               datetime(9999, 12, 31, 23, 59, 59, 999999)),
    "instant": ("timestamptz '2024-10-27 02:30:00.5+01'", "2024-10-27 01:30:00.5+00",
                "2024-10-27T01:30:00.5+00:00", pa.timestamp("us", tz="UTC"),
                datetime(2024, 10, 27, 1, 30, 0, 500000, tzinfo=UTC)),
    "clock": ("time '23:59:59.000001'", "23:59:59.000001", "23:59:59.000001", pa.time64("us"),
              time(23, 59, 59, 1)),
    "zoned": ("timetz '23:59:59+05:30'", "23:59:59+05:30", "23:59:59+05:30", pa.string(),
              "23:59:59+05:30"),
    "span": ("interval '1 year -2 days 03:04:05.6'", "P1Y-2DT3H4M5.6S", "P1Y-2DT3H4M5.6S",
             pa.string(), "P1Y-2DT3H4M5.6S"),
    "id": ("'0198f3a2-7c1e-7000-8000-00000000000a'::uuid", "0198f3a2-7c1e-7000-8000-00000000000a",
           "0198f3a2-7c1e-7000-8000-00000000000a", pa.string(),
           "0198f3a2-7c1e-7000-8000-00000000000a"),
    "bytes": (r"'\x00ff5c0a22'::bytea", r"\x00ff5c0a22", r"\x00ff5c0a22", pa.binary(),
              b'\x00\xff\\\n"'),
    "no_bytes": (r"'\x'::bytea", r"\x", r"\x", pa.binary(), b""),
    "list": ("ARRAY['a,b', NULL, '', 'NULL', E'\"\\\\\\n']", '{"a,b",NULL,"","NULL","\\"\\\\\n"}',
             ["a,b", None, "", "NULL", '"\\\n'], pa.string(),
             '{"a,b",NULL,"","NULL","\\"\\\\\n"}'),
    "nested": ("ARRAY[[1,2],[3,4]]", "{{1,2},{3,4}}", [[1, 2], [3, 4]], pa.string(),
               "{{1,2},{3,4}}"),
    "tree": (f"""'{{"b": [null, "é\\n", {BIG}.5], "a": {{}}}}'::jsonb""",
             f'{{"a": {{}}, "b": [null, "é\\n", {BIG}.5]}}',
             {"a": {}, "b": [None, "é\n", Decimal(f"{BIG}.5")]}, pa.string(),
             f'{{"a": {{}}, "b": [null, "é\\n", {BIG}.5]}}'),
    "as_typed": ("""E'{"b": 1,\\r\\n\\t"a": 2}'::json""", '{"b": 1,\r\n\t"a": 2}',
                 {"b": 1, "a": 2}, pa.string(), '{"b": 1,\r\n\t"a": 2}'),
    "address": ("inet '::1'", "::1", "::1", pa.string(), "::1"),
}  # fmt: skip


@pytest.fixture
def paper(database: str, tmp_path: Path) -> Iterator[Paper]:
    """Open a pool on a database, and a place to declare reports."""
    pool = Pool(database, PoolLimits(size=2))
    yield Paper(pool, tmp_path)
    pool.close()


def corpus() -> str:
    """Return a query of all values, a column each, and below them as many NULLs."""
    columns = [f"{given[0]} AS {name}" for name, given in VALUES.items()]
    # A UNION with NULLs would forget the digits that its numbers may have.
    values = f"SELECT {', '.join(columns)}"
    return f"SELECT v.* FROM (VALUES (1), (2)) AS n LEFT JOIN ({values}) AS v ON column1 = 1"


def texts() -> str:
    """Return a query of all texts beside an ordinary one, NULL and the texts between others."""
    array = json.dumps(TEXTS, ensure_ascii=False).replace("'", "''")
    return f"SELECT t, NULL::text AS n, t AS u FROM json_array_elements_text('{array}') AS t"


def test_values_arrive_in_csv(paper: Paper) -> None:
    """Every type is printed as PostgreSQL prints it; NULL is bare."""
    data = paper.write(corpus(), "csv")

    header, values, nulls = read_csv(data)
    assert list(VALUES) == header
    assert {name: one[1] for name, one in VALUES.items()} == dict(zip(header, values, strict=True))
    assert {""} == set(nulls)
    assert data.endswith(b"\n" + b"," * (len(VALUES) - 1) + b"\n")


def test_values_arrive_in_json_lines(paper: Paper) -> None:
    """Numbers keep their digits, times are ISO, arrays and documents are JSON, NULL is null."""
    values, nulls = read_json(paper.write(corpus(), "jsonl"))

    assert {name: one[2] for name, one in VALUES.items()} == values
    assert dict.fromkeys(VALUES) == nulls


def test_values_arrive_in_parquet(paper: Paper) -> None:
    """Every column has the type that holds all its values, and is text where there is none."""
    table = read_parquet(paper.write(corpus(), "parquet"))

    values, nulls = table.to_pylist()
    assert {name: one[3] for name, one in VALUES.items()} == {
        field.name: field.type for field in table.schema
    }
    assert {name: one[4] for name, one in VALUES.items()} == values
    assert dict.fromkeys(VALUES) == nulls
    assert "-0.0" == str(values["minus_zero"])


@pytest.mark.parametrize("format_", FORMATS)
def test_texts_arrive_as_they_are(paper: Paper, format_: str) -> None:
    """No text is another one after its way through a file; an empty one is no NULL."""
    data = paper.write(texts(), format_)

    read = {name: column_of(name)[format_](data) for name in "tnu"}
    assert [list(TEXTS)] * 2 == [read["t"], read["u"]]
    assert [("" if format_ == "csv" else None)] * len(TEXTS) == read["n"]


@pytest.mark.parametrize("format_", FORMATS)
def test_texts_arrive_alone(paper: Paper, format_: str) -> None:
    """The same holds where a text is all that a row has; NULL among them has a row too."""
    data = paper.write(f"SELECT t FROM ({texts()}) AS t UNION ALL SELECT NULL", format_)

    read = column_of("t")
    if format_ == "csv":
        # An empty line, which Python's reader skips.
        assert data.endswith(b"\n\n")
        assert list(TEXTS) == read["csv"](data)
    else:
        assert [*TEXTS, None] == read[format_](data)


def test_csv_is_read_back_by_postgres(paper: Paper, database: str) -> None:
    """COPY FROM makes the same rows of the file, NULL apart from the empty text."""
    with closing(psycopg2.connect(database)) as owner, owner, owner.cursor() as cursor:
        cursor.execute("SET IntervalStyle = 'iso_8601'")
        cursor.execute(
            f"CREATE TABLE public.one AS {corpus()}; CREATE TABLE public.two AS {texts()}"
        )
        for name in ("one", "two"):
            cursor.execute(f"CREATE TABLE public.{name}_again (LIKE public.{name})")
        owner.commit()
        for name in ("one", "two"):
            file = io.BytesIO(paper.write(f"TABLE public.{name}", "csv"))
            cursor.copy_expert(f"COPY public.{name}_again FROM STDIN (FORMAT csv, HEADER)", file)
            cursor.execute(
                f"SELECT count(*), (SELECT count(*) FROM (SELECT t::text FROM {name} AS t"
                f" EXCEPT ALL SELECT t::text FROM {name}_again AS t)) FROM {name}_again"
            )
            rows, different = cursor.fetchone() or (0, 0)
            assert (2 if name == "one" else len(TEXTS), 0) == (rows, different)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("date 'infinity'", "column 'day' holds 'infinity', which date32[day] of Parquet cannot"),
        ("date '0044-03-15 BC'", "holds '0044-03-15 BC', which date32"),
        ("date '10000-01-01'", "holds '10000-01-01', which date32"),
        ("timestamp '-infinity'", "holds '-infinity', which timestamp[us] of"),
        ("timestamptz '10000-01-01Z'", "holds '10000-01-01 00:00:00+00', which timestamp[us, tz"),
        ("time '24:00'", "holds '24:00:00', which time64[us]"),
        ("'NaN'::numeric(10,2)", "holds 'NaN', which decimal128(10, 2)"),
        ("'NaN'::numeric(50,2)", "holds 'NaN', which decimal256(50, 2)"),
    ],
)
def test_value_that_parquet_has_not_is_refused(paper: Paper, value: str, words: str) -> None:
    """Nothing is bent to fit: the column, its value and the way out are named."""
    with pytest.raises(Unwritable) as refusal:
        paper.write(f"SELECT n, {value} AS day FROM generate_series(1, 3) AS n", "parquet")

    assert words in str(refusal.value)
    assert "cast it to text in the query, or ask for csv" in str(refusal.value)


@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
def test_equal_names_are_refused(paper: Paper, format_: str) -> None:
    """Two columns of one name are refused where a reader would see one of them; CSV has both."""
    query = "SELECT 1 AS n, 2 AS n"

    with pytest.raises(Unwritable, match="column 'n' is there twice"):
        paper.write(query, format_)

    assert b"n,n\n1,2\n" == paper.write(query, "csv")


def test_names_of_columns_may_be_anything(paper: Paper) -> None:
    """A column's name is a name, also where formats build statements or options around it."""
    names = ['a"b', "a,b", "a\nb", "celeriac_answer", "é", "0", "%s", "{query}", ""]
    row = ", ".join(
        f'{n} AS "{name.replace(chr(34), chr(34) * 2)}"' for n, name in enumerate(names[:-1])
    )

    files = {format_: paper.write(f"SELECT {row}", format_) for format_ in FORMATS}

    expected = {name: n for n, name in enumerate(names[:-1])}
    header, values = read_csv(files["csv"])
    assert expected == {name: int(value) for name, value in zip(header, values, strict=True)}
    assert [expected] == read_json(files["jsonl"])
    assert [expected] == read_parquet(files["parquet"]).to_pylist()


def test_large_records_pass_whole(paper: Paper) -> None:
    """A record larger than every buffer arrives, among small ones; line ends in it end nothing."""
    query = (
        "SELECT n, CASE WHEN n % 50 = 0 THEN repeat(E'a\"\\n\\\\', 700000) ELSE 'b' END AS t"
        " FROM generate_series(1, 100) AS n"
    )

    files = {format_: paper.write(query, format_) for format_ in FORMATS}

    expected = ["b" if n % 50 else 'a"\n\\' * 700000 for n in range(1, 101)]
    assert [True] * 3 == [expected == column_of("t")[one](files[one]) for one in FORMATS]


def test_empty_answers_keep_their_columns(paper: Paper) -> None:
    """Without rows there is a header, or a schema, or nothing at all."""
    query = "SELECT 1 AS n, 'a' AS t WHERE false"

    files = {format_: paper.write(query, format_) for format_ in FORMATS}

    assert (b"n,t\n", b"") == (files["csv"], files["jsonl"])
    assert (["n", "t"], 0) == (
        read_parquet(files["parquet"]).column_names,
        len(read_parquet(files["parquet"])),
    )


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_compressed_files_hold_the_same(paper: Paper, format_: str) -> None:
    """What stock tools unpack is the plain file, byte by byte; equal answers are equal files."""
    query = "SELECT n, repeat('é', n % 70) AS t FROM generate_series(1, 20000) AS n"

    plain, gzipped, zipped = (paper.write(query, format_ + end) for end in ("", ".gz", ".zst"))

    assert (plain, plain) == (gzip.decompress(gzipped), zstd.decompress(zipped))
    assert max(len(gzipped), len(zipped)) < len(plain) / 4
    assert (gzipped, zipped) == tuple(paper.write(query, format_ + end) for end in (".gz", ".zst"))


@pytest.mark.parametrize("format_", ["csv", "csv.zst", "jsonl", "parquet"])
def test_rows_are_told_as_they_go(paper: Paper, format_: str) -> None:
    """Numbers rise on the way, and the last one is that of all rows."""
    query = "SELECT n, repeat('x', 99) || E'\"\\n' AS t FROM generate_series(1, 30000) AS n"

    (written,) = paper.write_and_tell(query, format_)[1]

    assert 30000 == written.rows == paper.told[-1]
    assert len(set(paper.told)) > 2
    assert sorted(paper.told) == paper.told


def test_parquet_comes_in_bounded_groups(paper: Paper) -> None:
    """Groups of rows are bounded by their bytes, and have statistics; the file says what it is."""
    query = "SELECT n, repeat('x', 1000) || n AS t FROM generate_series(1, 40000) AS n"

    data = paper.write(query, "parquet")

    file = parquet.ParquetFile(pa.BufferReader(data))
    groups = [file.metadata.row_group(at) for at in range(file.num_row_groups)]
    # Each is full when a piece fills it.
    assert 5 == len(groups)
    assert 10_000_000 > max(group.num_rows for group in groups) * 1013
    assert (1, 40000) == (groups[0].column(0).statistics.min, groups[-1].column(0).statistics.max)
    told = {name.decode(): value for name, value in file.metadata.metadata.items()}
    assert (b"one", b"{}") == (told["celeriac:report"], told["celeriac:params"])
    assert {"celeriac:snapshot", "celeriac:taken_at"} <= set(told)

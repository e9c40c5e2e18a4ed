"""A table is proposed from all values of a file, never narrower than they are."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tasks.files import open_reader, open_source, read_options
from tasks.files.survey import Survey
from tasks.propose_target import NoProposal, proposed_table, proposed_target
from tests.files import write
from worker.commands.target_add import add_target


def survey_of(path: Path, *key: str, **options: object) -> Survey:
    """Survey a whole file."""
    given, survey = read_options(path.name, None, options), Survey(key)
    with open_source(path.name, given, inbox=path.parent) as source:
        reader = open_reader(source, given)
        for chunk in reader.chunks():
            survey.see(reader.records(chunk))
    return survey


def columns_of(statement: str) -> dict[str, str]:
    """Return the types that a statement names, by column."""
    return dict(re.findall(r"^    (\S+) (.+?),?$", statement, re.MULTILINE))


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["1", "-2", "0"], "integer NOT NULL"),
        (["1", ""], "integer"),
        (["1", "2147483648"], "bigint NOT NULL"),
        (["1", "9223372036854775808"], "numeric NOT NULL"),
        (["1", "1.5", "1e10", "NaN"], "numeric NOT NULL"),
        (["007", "1"], "text NOT NULL"),
        (["+49", "1"], "text NOT NULL"),
        ([" 1"], "text NOT NULL"),
        (["١"], "text NOT NULL"),
        (["9" * 2000], "text NOT NULL"),
        (["t", "FALSE", "yes"], "boolean NOT NULL"),
        (["0", "1", "true"], "text NOT NULL"),
        (["2024-02-29"], "date NOT NULL"),
        (["2023-02-29"], "text NOT NULL"),
        (["2024-02-29", "2024-02-29T10:00Z"], "timestamptz NOT NULL"),
        (["2024-02-29 10:00:00.5+01"], "timestamptz NOT NULL"),
        (["2024-02-29 25:00"], "text NOT NULL"),
        (["20240229", "2024-02-29"], "text NOT NULL"),
        (["018f5a4c-7c3e-7d7e-8000-0123456789ab"], "uuid NOT NULL"),
        (["1", '""'], "text NOT NULL"),
        ([""], "text"),
    ],
)
def test_a_type_holds_all_values(tmp_path: Path, values: list[str], type_: str) -> None:
    """The narrowest type that holds each value as it is written, NOT NULL if there is no NULL."""
    lines = "".join(f"{value},\n" for value in values)
    survey = survey_of(write(tmp_path / "a.csv", f"a,b\n{lines}"))

    assert type_ == columns_of(proposed_table("public", "t", survey))["a"]


def test_the_last_row_counts_like_the_first(tmp_path: Path) -> None:
    """All rows are looked at: the one odd value may be the last of many."""
    path = write(tmp_path / "a.csv", "a\n" + "1\n" * 50_000 + "x\n")

    assert "text NOT NULL" == columns_of(proposed_table("public", "t", survey_of(path)))["a"]


def test_json_values_tell_their_types(tmp_path: Path) -> None:
    """Numbers, truths and objects are what they are; a member that is missing is NULL."""
    path = write(
        tmp_path / "a.jsonl",
        '{"n": 1, "f": 1.5, "b": true, "o": {"x": 1}, "s": "2024-01-01", "m": [1]}\n'
        '{"n": 2, "f": 2, "b": null, "o": [], "s": "2024-01-02"}\n',
    )

    found = columns_of(proposed_table("public", "t", survey_of(path)))

    assert {
        "n": "integer NOT NULL",
        "f": "numeric NOT NULL",
        "b": "boolean",
        "o": "jsonb NOT NULL",
        "s": "date NOT NULL",
        "m": "jsonb",
    } == found


def test_what_to_look_at_is_said(tmp_path: Path) -> None:
    """Bad records, repeated and missing keys, markers and empty columns are remarked on."""
    path = write(tmp_path / "a.csv", "id,n,e,t\n1,NA,,\n1,5,,2024-02-01\n,6,,\n7\n8,9,,1.2.2024\n")

    statement = proposed_table("public", "t", survey_of(path, "id"))

    for words in (
        "From all 4 rows",
        'Left out: 1 bad records, the first in line 5: missing data for column "n"',
        "1 rows lack a value of the key",
        "1 rows repeat the key",
        "n would be integer but for 'NA': if that means NULL, add --option null=NA",
        "t would be date but for '1.2.2024', first in line 6",
        "No row has a value for: e",
        "PRIMARY KEY (id)",
        "id integer NOT NULL,",
    ):
        assert words in statement


def test_names_are_quoted_where_they_must_be(tmp_path: Path) -> None:
    """Reserved words, capitals and marks are names in quotes, in SQL and in TOML."""
    path = write(tmp_path / "a.csv", 'order,Größe,"a""b",plain_1\n1,2,3,4\n')
    survey = survey_of(path, "order")

    statement = proposed_table("public", "user", survey)

    assert 'CREATE TABLE public."user" (' in statement
    assert ['"order"', '"Größe"', '"a""b"', "plain_1"] == list(columns_of(statement))[:4]
    assert '[my-t]\ntable = "public.user"\nkey = ["order"]\non_conflict = "update"\n' == (
        proposed_target("my-t", "public", "user", survey)
    )


def test_times_without_a_zone_ask_for_one(tmp_path: Path) -> None:
    """Naive times become timestamptz, and the target's entry for their zone is shown."""
    path = write(tmp_path / "a.csv", "at\n2024-01-01 10:00\n")

    assert 'timezone = "UTC"' in proposed_target("t", "public", "t", survey_of(path))


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("a,b\n", (), "no sound row"),
        ("a,b\n1\n", (), "no sound row in the file: nothing tells the types, in line 2: missing"),
        ("a;b\n1;2\n", (), "if ';' separates the fields, add --option delimiter='\";\"'"),
        (",".join(map(str, range(1601))) + "\n" + "," * 1600, (), "1601 columns"),
        ("a,b\n1,2\n", ("c",), "key 'c' is no column of the file, which has: a, b"),
        ("a,\x1b[2J\n1,2\n", (), "cannot be a name"),
        (f"a,{'x' * 64}\n1,2\n", (), "1 to 63 bytes"),
    ],
)
def test_files_that_tell_too_little_are_refused(
    tmp_path: Path, text: str, key: tuple[str, ...], words: str
) -> None:
    """Without a sound row, or with names that cannot be, nothing is proposed."""
    survey = survey_of(write(tmp_path / "a.csv", text), *key)

    with pytest.raises(NoProposal, match=re.escape(words)):
        proposed_table("public", "t", survey)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """The command says in one line what is wrong with the file, and where."""
    path = write(tmp_path / "a.csv", "a,a\n1,2\n")

    done = CliRunner().invoke(add_target, ["t", "--from", str(path)])

    assert 1 == done.exit_code
    assert done.stderr.startswith("Error: a.csv: line 1: the header names 'a' 2 times: ")


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [("a,b", "t", "use one without ','"), ("*", "t", "and not '*'"), ("t", "a.b", "one schema")],
)
def test_names_that_no_catalog_takes_are_refused(
    tmp_path: Path, name: str, table: str, words: str
) -> None:
    """A section that a worker would not start with is not proposed."""
    survey = survey_of(write(tmp_path / "a.csv", "a\n1\n"))

    with pytest.raises(NoProposal, match=re.escape(words)):
        proposed_target(name, "public", table, survey)

"""Where the parameters of a query are, and where only something looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgres.parameters import BadQuery, Role, fill, names, pieces, single


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select :a, :b_2", {"a", "b_2"}),
        ("select:a", {"a"}),
        ("select x::text, :a::text", {"a"}),
        ("select ':no', :a", {"a"}),
        ("select 'it''s :no', :a", {"a"}),
        (r"select 'a\', :a, '\'", {"a"}),
        (r"select E'it\'s :no', :a", {"a"}),
        ("select E'a'\n  'b\\' :no', :a", {"a"}),
        ("select E'a' -- ' :no\n 'b\\' :no', :a", {"a"}),
        ("select E'a' 'b\\', :a", {"a"}),
        ("select date':no', :a", {"a"}),
        ('select ":no" from ":n""o" where x = :a', {"a"}),
        ("select $$ :no $$, $t$ :no $$ :no $t$, :a", {"a"}),
        ("select x$t$, :a from y$t$", {"a"}),
        ("select $1, :a", {"a"}),
        ("select 1 -- :no\n, :a", {"a"}),
        ("select /* :no /* :no */ :no */ :a", {"a"}),
        ("select 100 % :a, '%s', '%(no)s'", {"a"}),
        ("select f(x := :a)", {"a"}),
        ("select x[1: y], x[:a : :b]", {"a", "b"}),
        ("select 'é' || :a || é", {"a"}),
    ],
)
def test_only_parameters_are_parameters(query: str, expected: set[str]) -> None:
    """Casts, strings, quoted names, dollar quotes and comments hold no parameter."""
    found = names(query)

    assert expected == found


@pytest.mark.parametrize(
    "query",
    ["select 'a", r"select E'a\' :a", 'select "a', "select $t$ a $$", "select /* /* */ :a", "e'\\"],
)
def test_open_quotes_are_refused(query: str) -> None:
    """A quote that never closes is an error, not a guess."""
    with pytest.raises(BadQuery, match="never closed"):
        names(query)


def test_literals_stand_apart_from_what_is_before_them() -> None:
    """A literal can neither join a string nor be taken for an E'' string."""
    filled = fill("select E'a'\n:a, x[e:a]", {"a": "'v'"})

    assert "select E'a'\n('v'), x[e('v')]" == filled


def test_literals_are_not_scanned_again() -> None:
    """A value that looks like a parameter, a cast or a quote stays as it is."""
    filled = fill("select :a, :b", {"a": "':b'", "b": "'$$ /* :a'"})

    assert "select (':b'), ('$$ /* :a')" == filled


def test_missing_value_is_named() -> None:
    """A parameter without a value is an error that names it."""
    with pytest.raises(BadQuery, match=":b has no value"):
        fill("select :a, :b", {"a": "1"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select 1;", "select 1"),
        ("select ';', :a ; -- done\n /* ; */ ;", "select ';', :a"),
        ("; \n select 1 -- last", "select 1 -- last"),
    ],
)
def test_the_statement_loses_only_its_end(query: str, expected: str) -> None:
    """One statement comes out without its semicolon and what follows it, and with its place."""
    statement = single(query)

    assert (expected, query.index("select")) == statement


@pytest.mark.parametrize("query", ["", "-- nothing", ";;", "select 1; drop table x"])
def test_anything_but_one_statement_is_refused(query: str) -> None:
    """No statement, or two, is an error."""
    with pytest.raises(BadQuery, match="one statement"):
        single(query)


@given(st.text(alphabet="aeE:'\"$-/*\\;\n %é1_", max_size=40))
def test_pieces_lose_nothing(query: str) -> None:
    """The pieces of any text, put together again, are that text."""
    try:
        cut = list(pieces(query))
    except BadQuery:
        return

    again = "".join(f":{text}" if role is Role.PARAMETER else text for role, text in cut)

    assert query == again

"""The accounts of every job are those of a small model, whatever keys, orders and policies meet."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.contract import ACCOUNTS
from tests.integration.batches import child_on, deliver, settle
from tests.integration.shop import query
from worker.child import Child

TABLES = """
CREATE TABLE numbered (id int UNIQUE, n int NOT NULL CHECK (n >= 0), at int);
CREATE TABLE named (id char(4) UNIQUE, n int NOT NULL CHECK (n >= 0), at int);
"""
POLICIES = {
    "error": "",
    "ignore": 'key = ["id"]\non_conflict = "ignore"\n',
    "update": 'key = ["id"]\non_conflict = "update"\n',
    "newest": 'key = ["id"]\non_conflict = "update"\nnewest = "at"\n',
}
#: What is sent, and what is the same key to its type.
KEYS = {
    "numbered": {1: 1, "1": 1, " 01 ": 1, 2: 2, "2": 2, None: None},
    "named": {"a": "a", "a  ": "a", "A": "A", "b": "b", None: None},
}


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@dataclass(frozen=True)
class Sent:
    """A row: its key as it is sent, a number that may be bad, and its age."""

    key: Any
    n: Any
    at: int | None

    @property
    def is_bad(self) -> bool:
        return not isinstance(self.n, int) or self.n < 0

    @property
    def row(self) -> dict[str, Any]:
        return {"id": self.key, "n": self.n, "at": self.at}


Table = dict[Any, Sent]


def account_for(policy: str, keys: dict[Any, Any], table: Table, rows: list[Sent]) -> list[str]:
    """Return how each row of a batch has to end, and bring the table to what it has to be then."""
    accounts = ["quarantined"] * len(rows)
    by_key: dict[Any, list[int]] = {}
    for place, row in enumerate(rows):
        if not row.is_bad:
            key = keys[row.key]
            # NULL is nobody's equal.
            by_key.setdefault(("null", len(table), place) if key is None else key, []).append(place)
    for key, places in by_key.items():
        there = table.get(key)
        winner, late = choose(policy, rows, places, there)
        for place in places:
            accounts[place] = "superseded" if winner is not None and place < winner else late
        if winner is not None:
            accounts[winner] = "inserted" if there is None else "updated"
            table[key] = rows[winner]
    return accounts


def choose(
    policy: str, rows: list[Sent], places: list[int], there: Sent | None
) -> tuple[int | None, str]:
    """Return the place of the row that stays, if one does, and the account of those after it."""
    if policy in ("error", "ignore"):
        late = "quarantined" if policy == "error" else "ignored"
        return (places[0] if there is None else None), late
    if policy == "update":
        return places[-1], "ignored"
    ages = [-1 if rows[place].at is None else rows[place].at for place in places]
    winner = places[ages.index(max(ages))]
    if there is not None:
        old = -1 if there.at is None else there.at
        return (winner if max(ages) > old else None), "ignored"
    return winner, "ignored"


@pytest.fixture(params=list(KEYS))
def table_name(request: pytest.FixtureRequest) -> str:
    """A table whose keys are integers, and one whose keys are padded with blanks."""
    return str(request.param)


@pytest.fixture
def child(database: str, tmp_path: Path, table_name: str) -> Iterator[Child]:
    """A child with a target for each policy, all on one table."""
    query(database, TABLES)
    targets = [f'[{name}]\ntable = "{table_name}"\n{text}' for name, text in POLICIES.items()]
    (tmp_path / "targets.toml").write_text("\n".join(targets))
    with child_on(database, catalog=tmp_path) as child:
        yield child


def rows_of(keys: list[Any]) -> st.SearchStrategy[Sent]:
    """Return rows, one in some of them bad by its type or by a CHECK."""
    numbers = st.sampled_from([1, 2, 3, 4, 5, 6, -1, "x"])
    return st.builds(Sent, st.sampled_from(keys), numbers, st.none() | st.integers(0, 4))


@pytest.mark.parametrize("policy", POLICIES)
def test_accounts_are_those_of_the_model(child: Child, table_name: str, policy: str) -> None:
    """Job by job each account is right, they add up, and the table holds what they say."""
    keys = KEYS[table_name]
    jobs = st.lists(st.lists(rows_of(list(keys)), min_size=1, max_size=4), min_size=1, max_size=4)
    number = 0

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(jobs, min_size=1, max_size=2))
    def compare(batches: list[list[list[Sent]]]) -> None:
        nonlocal number
        query(child.pool.url, f"TRUNCATE {table_name}")
        table: Table = {}
        for batch in batches:
            number += 1
            ids = [f"{number:04}-{place}" for place in range(len(batch))]
            rows = [[one.row for one in job] for job in batch]
            settle(child, *(deliver(id_, policy, job) for id_, job in zip(ids, rows, strict=True)))

            accounts = account_for(policy, keys, table, [row for job in batch for row in job])

            expected = []
            for id_, job in zip(ids, batch, strict=True):
                counts = Counter(accounts[: len(job)])
                del accounts[: len(job)]
                expected.append((id_, "committed", *(counts[name] for name in ACCOUNTS)))
            assert expected == ledger(child, ids)
        found = query(child.pool.url, f"SELECT n, at FROM {table_name}")
        assert sorted(map(repr, found)) == sorted(repr((one.n, one.at)) for one in table.values())

    compare()


@pytest.mark.parametrize(
    ("policy", "numbers"), [("update", [-1, 1]), ("newest", [1, -1]), ("ignore", [1, -1])]
)
def test_bad_row_that_another_outdoes(child: Child, policy: str, numbers: list[int]) -> None:
    """It is set aside, although its key would not have let it stay anyway."""
    rows = [{"id": "1", "n": n, "at": 5} for n in numbers]

    settled = settle(child, deliver("j", policy, rows))

    assert {"rows": 2, "inserted": 1, "quarantined": 1} == settled["j"].result


def ledger(child: Child, ids: list[str]) -> list[tuple[Any, ...]]:
    """Return what the ledger says of these jobs."""
    return query(
        child.pool.url,
        f"SELECT id, state, {', '.join(ACCOUNTS)}"
        " FROM celeriac.job WHERE id = ANY (%s) ORDER BY id",
        (ids,),
    )

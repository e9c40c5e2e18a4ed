"""Money that is under way between two accounts is on one of them in every report."""

import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import psycopg2
import pytest

from tests.integration.batches import body_of, child_on, settle
from tests.integration.shop import query
from worker.child import Child
from worker.delivery import Delivery, Settlement

TASK = "celeriac.report"
ACCOUNTS, BALANCE, TELLERS = 40, 100, 3
BOOK = """/* celeriac
title = "Book"
[params.n]
type = "int"
*/
-- name: even
SELECT :n AS n, sum(balance) AS even FROM public.account WHERE id % 2 = 0;

-- name: odd
SELECT sum(balance) AS odd, pg_sleep(0.01)::text FROM public.account WHERE id % 2 = 1;
"""
LEDGER = '''"""Read the book twice.

celeriac
title = "Ledger"
"""


def report(read):
    halves = [
        read("SELECT sum(balance) AS half FROM public.account WHERE id % 2 = :half", half=half)
        for half in (0, 1)
    ]
    return dict(zip(("even", "odd"), halves))
'''
CELL = re.compile(r"<td[^>]*>([\d,.]+)</td>")


@pytest.fixture
def child(database: str, tmp_path: Path) -> Iterator[Child]:
    """A child with two reports on the accounts of a bank."""
    reports = tmp_path / "catalog" / "reports"
    reports.mkdir(parents=True)
    (reports / "book.sql").write_text(BOOK)
    (reports / "ledger.py").write_text(LEDGER)
    (reports.parent / "targets.toml").touch()
    query(database, "CREATE TABLE public.account (id int PRIMARY KEY, balance int NOT NULL)")
    query(
        database,
        "INSERT INTO public.account SELECT n, %s FROM generate_series(1, %s) AS n",
        (BALANCE, ACCOUNTS),
    )
    with child_on(
        database, tmp_path / "artifacts", catalog=reports.parent, company_seconds=60
    ) as child:
        yield child


@contextmanager
def transfers(database: str) -> Iterator[None]:
    """Move money between accounts all the while."""
    is_over = Event()
    with ThreadPoolExecutor(TELLERS) as pool:
        tellers = [pool.submit(move_money, database, seed, is_over) for seed in range(TELLERS)]
        try:
            yield
        finally:
            is_over.set()
    assert all(teller.result() > 0 for teller in tellers)


def move_money(database: str, seed: int, is_over: Event) -> int:
    """Transfer from one account to another until it is over; return how often."""
    choose, moved = random.Random(seed), 0
    change = "UPDATE public.account SET balance = balance + %s WHERE id = %s"
    with closing(psycopg2.connect(database)) as connection:
        while not is_over.is_set():
            # In order, so that no two tellers wait for each other.
            first, second = sorted(choose.sample(range(1, ACCOUNTS + 1), 2))
            with connection, connection.cursor() as cursor:
                cursor.execute(change, (-(moved % 7), first))
                cursor.execute(change, (moved % 7, second))
            moved += 1
    return moved


def halves(settlement: Settlement) -> list[int]:
    """Read what the report says of each half of the accounts."""
    assert settlement.result is not None, settlement
    page = Path(settlement.result["url"].removeprefix("file://")).read_text()
    numbers = [int(text.replace(",", "")) for text in CELL.findall(page)]
    return numbers[-2:]


def test_sum_is_constant_in_every_report(child: Child) -> None:
    """Several statements of a report, in company and alone, in SQL and in Python: one instant."""
    asked = [
        Delivery(f"b{n}", TASK, body_of({"name": "book", "params": {"n": n}})) for n in range(40)
    ]
    read = [Delivery(f"p{n}", TASK, body_of({"name": "ledger"})) for n in range(3)]

    with transfers(child.pool.url):
        settled = [settle(child, *asked[at : at + 8]) for at in range(0, 32, 8)]
        settled += [settle(child, replace(one, takes_long=True)) for one in asked[32:] + read]

    found = [halves(one) for batch in settled for one in batch.values()]
    assert {ACCOUNTS * BALANCE} == {sum(pair) for pair in found}
    assert 43 == len(found)
    # The money moved while the reports were read.
    assert len({even for even, _ in found}) > 1

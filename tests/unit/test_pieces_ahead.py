"""What is fetched ahead is bounded, in order, and ends when nobody wants it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from postgres.pieces_ahead import Abandoned, PiecesAhead
from tests.waiting import wait_for

PIECES = [b"aaaa", b"bbbb", b"cccc", b"a piece beyond the limit", b"dddd"]


def test_pieces_come_in_order_and_never_more_than_fit() -> None:
    """No more bytes wait than are allowed, or one larger piece; all arrive, then it ends."""
    ahead = PiecesAhead(8)
    put: list[bytes] = []
    waiting: list[list[bytes]] = []

    def fetch() -> None:
        for piece in PIECES:
            ahead.put(piece)
            put.append(piece)
        ahead.end()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(fetch)
        taken = []
        for piece in ahead.taken():
            taken.append(piece)
            waiting.append(put[len(taken) :])

    assert PIECES == taken == put
    assert [] == [many for many in waiting if len(many) > 1 and len(b"".join(many)) > 8]
    assert ahead.is_ended


def test_fetching_waits_for_room() -> None:
    """What does not fit is put when something was taken."""
    ahead = PiecesAhead(8)
    put: list[bytes] = []

    def fetch() -> None:
        for piece in PIECES[:3]:
            ahead.put(piece)
            put.append(piece)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(fetch)
        wait_for(lambda: len(put) >= 2, 30, "two pieces to be put")
        before = list(put)
        taken = [next(ahead.taken()), next(ahead.taken())]
        wait_for(lambda: len(put) == 3, 30, "the third piece to be put")

    assert PIECES[:2] == before == taken


def test_who_waits_for_room_hears_that_nobody_wants_it() -> None:
    """Closing ends a put that waits, and refuses those that come later."""
    ahead = PiecesAhead(8)
    ahead.put(PIECES[3])

    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(ahead.put, PIECES[0])
        ahead.close()
        error = waits.exception(30)

    assert isinstance(error, Abandoned)
    with pytest.raises(Abandoned):
        ahead.put(PIECES[0])

"""What a chart shows of an answer."""

import re

import pytest

from postgres.snapshot import Column
from tasks.reports.chart import MAX_BARS, draw
from tasks.reports.header import BadChart, Chart

COLUMNS = (Column("name", 25), Column("size", 23))
CHART = Chart("bar", "name", "size", "Sizes")


def texts(svg: str) -> list[str]:
    """List every text of a picture."""
    return re.findall(r"<text[^>]*>([^<]*)", svg)


def test_bars_without_height_keep_their_place() -> None:
    """A null, a NaN and an infinity leave a gap with their label, in the answer's order."""
    rows: list[tuple[str | None, ...]] = [("z", "1.5"), ("y", None), ("x", "NaN"), ("a", "-3")]

    shown = texts(draw(CHART, COLUMNS, rows, len(rows)))

    assert ["z", "y", "x", "a"] == shown[:4]
    assert "Sizes" in shown


def test_words_take_the_colour_of_the_page() -> None:
    """No text of the picture has a colour of its own, so dark pages can show it."""
    svg = draw(CHART, COLUMNS, [("a", "1")], 1)

    inks = set(re.findall(r'<text[^>]* fill="([^"]*)"', svg))

    assert {"currentColor"} == inks


def test_too_many_bars_are_cut_with_words() -> None:
    """A chart that cannot show every row says so in its title."""
    rows: list[tuple[str | None, ...]] = [(f"n{n}", "1") for n in range(MAX_BARS + 1)]

    shown = texts(draw(CHART, COLUMNS, rows, len(rows)))

    assert f"Sizes (first {MAX_BARS} of {MAX_BARS + 1})" in shown
    assert f"n{MAX_BARS}" not in shown


def test_bars_need_numbers() -> None:
    """A height that is no number is named."""
    with pytest.raises(BadChart, match="numbers for its bars, got 'tall'"):
        draw(CHART, COLUMNS, [("a", "tall")], 1)

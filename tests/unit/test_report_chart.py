"""What a chart shows of an answer."""

import re

import pytest

from postgres.snapshot import Column
from tasks.reports.declared.header import BadChart, Chart
from tasks.reports.formats.chart import MAX_SERIES, draw
from tasks.reports.formats.chart_words import MAX_BARS
from tasks.reports.formats.theme import COLOURS, render

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

    assert f"Sizes (first {MAX_BARS} of {MAX_BARS + 1} rows)" in shown
    assert f"n{MAX_BARS}" not in shown


def test_bars_need_numbers() -> None:
    """A height that is no number is named."""
    with pytest.raises(BadChart, match="numbers for its heights, got 'tall'"):
        draw(CHART, COLUMNS, [("a", "tall")], 1)


def test_columns_of_time_make_an_axis_of_time() -> None:
    """A line over dates has its months below it, in UTC, and a gap where a date is infinite."""
    columns = (Column("day", 1184), Column("size", 23))
    days = [f"2013-{month:02}-01 00:00:00+00" for month in range(1, 13)] + ["infinity"]

    shown = texts(draw(Chart("line", "day", "size"), columns, [(day, "1") for day in days], 13))

    assert {"2013", "April", "October"} <= set(shown)


def test_columns_of_numbers_make_an_axis_of_numbers() -> None:
    """Points over numbers stand where their numbers are, not one beside the other."""
    columns = (Column("weight", 701), Column("size", 1700))

    shown = texts(draw(Chart("point", "weight", "size"), columns, [("0", "0"), ("80", "9")], 2))

    assert {"0", "40", "80"} <= set(shown)


@pytest.mark.parametrize("kind", ["bar", "line", "area", "point"])
def test_series_are_told_apart_by_the_legend(kind: str) -> None:
    """Each series has a colour of its own and its name in the legend; NULL is one too."""
    columns = (Column("name", 25), Column("size", 23), Column("place", 25))
    rows = [(name, "5", place) for name in "ab" for place in ("JFK", "EWR", None)]
    chart = Chart(kind, "name", "size", series="place")  # type: ignore[arg-type]  # of a Literal

    svg = draw(chart, columns, rows, len(rows))

    assert ["JFK", "EWR", "null", "place"] == [
        one for one in texts(svg) if one in {"place", "JFK", "EWR", "null"}
    ]
    assert [True] * 3 == [colour in svg for colour in COLOURS[:3]]


def test_too_many_series_are_cut_with_words() -> None:
    """More series than there are colours end in the title, never in colours used twice."""
    columns = (Column("name", 25), Column("size", 23), Column("place", 25))
    rows = [("a", "5", f"p{n}") for n in range(MAX_SERIES + 2)]

    svg = draw(Chart("bar", "name", "size", series="place"), columns, rows, len(rows))

    shown = texts(svg)
    assert f", {MAX_SERIES} values.</desc>" in svg
    assert f"size by name (first {MAX_SERIES} of {MAX_SERIES + 2} series)" in shown
    assert (True, False) == (f"p{MAX_SERIES - 1}" in shown, f"p{MAX_SERIES}" in shown)


def test_picture_tells_its_words() -> None:
    """Who cannot see the chart hears one picture with a title and a description, escaped."""
    svg = draw(Chart("bar", "name", "size", "<b> & c"), COLUMNS, [("a", "1")], 1)

    words = "<title>&lt;b&gt; &amp; c</title><desc>Bar chart of size by name, 1 value.</desc>"
    assert svg.startswith('<svg role="img" ')
    assert words in svg


def test_names_inside_a_picture_are_its_own() -> None:
    """What two pictures of one page call alike, such as a clip, stays apart."""
    clipped = {
        "mark": {"type": "line", "clip": True},
        "encoding": {one: {"field": one, "type": "quantitative"} for one in "xy"},
    }
    lines = [[{"x": 0, "y": 0}, {"x": n, "y": n}] for n in (5, 700)]

    pictures = [render({**clipped, "data": {"values": line}}, "", "") for line in lines]

    named, used = (
        [set(re.findall(pattern, svg)) for svg in pictures]
        for pattern in (r'\bid="([^"]+)"', r"url\(#([^)]+)\)")
    )
    assert [1, 1] == [len(names) for names in named]
    assert named == used
    assert named[0].isdisjoint(named[1])


def test_marks_are_seen_on_white_and_on_dark() -> None:
    """Each colour has three to one or more against either page, as graphics need."""
    pages = {"#ffffff", "#15181c"}

    faint = {colour for colour in COLOURS for page in pages if contrast(colour, page) < 3}

    assert set() == faint


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG has it."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

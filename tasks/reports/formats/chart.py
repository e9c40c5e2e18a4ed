"""Draw the chart that a report declares of its rows: bars, lines, areas or points."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import altair as alt

from postgres.snapshot import Column
from tasks.reports.answer import TextRow
from tasks.reports.declared.header import BadChart, Chart
from tasks.reports.formats.chart_words import MAX_BARS, place, title_of
from tasks.reports.formats.theme import COLOURS, render

#: More series than this cannot be told apart either.
MAX_SERIES = len(COLOURS)

_WIDTH_PIXELS = 720
_HEIGHT_PIXELS = 300
_LETTER_PIXELS = 9
_TIME_TICKS = 8
#: Type OIDs of date, timestamp and timestamptz.
_TIMES = frozenset({1082, 1114, 1184})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NULL = "null"

Mark = dict[str, Any]


def draw(chart: Chart, columns: Sequence[Column], rows: Sequence[TextRow], total_rows: int) -> str:
    """Return the chart of rows as an ``<svg>`` element, made without any network."""
    along = _along(chart, columns)
    marks = _within(chart, _marks(chart, columns, rows, along))
    series = list(dict.fromkeys(mark["series"] for mark in marks)) if chart.series else []
    shown = [mark for mark in marks if not series or mark["series"] in series[:MAX_SERIES]]
    cut = [f"first {MAX_SERIES} of {len(series):,} series"] if len(series) > MAX_SERIES else []
    title = title_of(chart, len(marks), total_rows, *cut)
    picture = (
        _marked(chart, alt.Chart(alt.InlineData(values=shown), title=alt.Title(title)))
        .encode(**_encodings(chart, along, shown, series[:MAX_SERIES]))
        .properties(width=_WIDTH_PIXELS, height=_HEIGHT_PIXELS)
    )
    return render(picture.to_dict(), title, _words(chart, len(shown)))


def _marks(
    chart: Chart, columns: Sequence[Column], rows: Sequence[TextRow], along: str
) -> list[Mark]:
    x, y = place(chart.x, columns), place(chart.y, columns)
    read = {"N": _label, "Q": _number, "T": _milliseconds}[along]
    marks: list[Mark] = [{"x": read(row[x]), "y": _height(row[y])} for row in rows]
    if chart.series:
        series = place(chart.series, columns)
        for mark, row in zip(marks, rows, strict=True):
            mark["series"] = _label(row[series])
    return marks


def _along(chart: Chart, columns: Sequence[Column]) -> str:
    """Say what the x axis is, in Vega-Lite's letters: names in their order, numbers, or time."""
    column = columns[place(chart.x, columns)]
    if chart.kind == "bar":
        return "N"
    if column.type_oid in _TIMES:
        return "T"
    return "Q" if column.is_number else "N"


def _within(chart: Chart, marks: list[Mark]) -> list[Mark]:
    """Leave out what is right of the last bar that has a place."""
    if chart.kind != "bar":
        return marks
    places = set(list(dict.fromkeys(mark["x"] for mark in marks))[:MAX_BARS])
    return [mark for mark in marks if mark["x"] in places]


def _marked(chart: Chart, picture: alt.Chart) -> alt.Chart:
    marked: dict[str, Callable[[], alt.Chart]] = {
        "bar": picture.mark_bar,
        "line": lambda: picture.mark_line(strokeWidth=2, strokeJoin="round"),
        "area": lambda: picture.mark_area(line={"strokeWidth": 1.5}, fillOpacity=0.55),
        "point": lambda: picture.mark_point(filled=True, size=50, opacity=0.85),
    }
    return marked[chart.kind]()


def _encodings(chart: Chart, along: str, marks: list[Mark], series: list[str]) -> dict[str, Any]:
    # Points and lines show how values differ, bars and areas how large they are: from zero.
    from_zero = chart.kind in {"bar", "area"}
    encodings: dict[str, Any] = {
        "x": _x(chart, along, marks),
        "y": alt.Y("y:Q", title=chart.y, scale=alt.Scale(zero=from_zero)),
    }
    if series:
        colours = alt.Scale(domain=series, range=list(COLOURS[: len(series)]))
        encodings["color"] = alt.Color("series:N", title=chart.series, scale=colours)
    if series and chart.kind == "bar":
        encodings["xOffset"] = alt.XOffset("series:N", scale=alt.Scale(domain=series))
    if series and chart.kind == "point":
        # For eyes and printers that tell no colours apart.
        shapes = alt.Scale(domain=series)
        encodings["shape"] = alt.Shape("series:N", title=chart.series, scale=shapes)
    return encodings


def _x(chart: Chart, along: str, marks: list[Mark]) -> alt.X:
    if along == "T":
        axis = alt.Axis(tickCount=_TIME_TICKS)
        return alt.X("x:T", title=chart.x, scale=alt.Scale(type="utc"), axis=axis)
    if along == "Q":
        return alt.X("x:Q", title=chart.x, scale=alt.Scale(zero=False))
    # All of them by name, in their order: a bar that has no height keeps its place.
    places = list(dict.fromkeys(mark["x"] for mark in marks))
    scale = alt.Scale(domain=places, paddingInner=0.2)
    return alt.X("x:N", sort=None, title=chart.x, scale=scale, axis=_axis(places))


def _axis(places: list[str]) -> alt.Axis:
    """Write the names as one reads, where each has room below its own place."""
    most_characters = max(map(len, places), default=0)
    fits = most_characters * _LETTER_PIXELS * len(places) <= _WIDTH_PIXELS
    return alt.Axis(labelAngle=0 if fits else -90, labelOverlap=not fits)


def _label(text: str | None) -> str:
    return _NULL if text is None else text


def _height(text: str | None) -> float | None:
    try:
        return _number(text)
    except ValueError as error:
        raise BadChart(f"chart needs numbers for its heights, got {text!r:.80}") from error


def _number(text: str | None) -> float | None:
    """Read a number; what has no place on an axis leaves a gap."""
    number = float(text or "nan")
    return number if math.isfinite(number) else None


def _milliseconds(text: str | None) -> float | None:
    """Read a date or time, in UTC if it names no zone; an infinite one leaves a gap."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH).total_seconds() * 1000


def _words(chart: Chart, marks: int) -> str:
    """Describe the chart to who cannot see it."""
    by = f", a series for each {chart.series}" if chart.series else ""
    values = f"{marks:,} value{'' if marks == 1 else 's'}"
    return f"{chart.kind.capitalize()} chart of {chart.y} by {chart.x}{by}, {values}."

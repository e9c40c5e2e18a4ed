"""Draw a report's chart as SVG that takes the colours of the page around it."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import vl_convert

from postgres.snapshot import Column
from tasks.reports.answer import TextRow
from tasks.reports.header import BadChart, Chart

#: More bars than this cannot be told apart; the chart says that it stops.
MAX_BARS = 100

_INK = "currentColor"
_BAR = "#4c8bd6"
_WIDTH_PIXELS = 640
_HEIGHT_PIXELS = 320


def draw(chart: Chart, columns: Sequence[Column], rows: Sequence[TextRow], total_rows: int) -> str:
    """Return the chart of rows as an ``<svg>`` element, made without any network."""
    labels, heights = _column(chart.x, columns), _column(chart.y, columns)
    bars = [{"x": row[labels] or "", "y": _number(row[heights])} for row in rows[:MAX_BARS]]
    picture = (
        alt.Chart(alt.InlineData(values=bars), title=_title(chart, total_rows))
        .mark_bar(color=_BAR)
        .encode(
            x=alt.X("x:N", sort=None, title=chart.x, scale=_every_label(bars)),
            y=alt.Y("y:Q", title=chart.y),
        )
        .properties(width=_WIDTH_PIXELS, height=_HEIGHT_PIXELS)
        .configure(background="transparent")
        .configure_view(stroke=None)
        .configure_title(color=_INK)
        .configure_axis(labelColor=_INK, titleColor=_INK, gridOpacity=0.3)
    )
    svg: str = vl_convert.vegalite_to_svg(picture.to_dict(), allowed_base_urls=[])
    return svg


def _column(name: str, columns: Sequence[Column]) -> int:
    found = [column.name for column in columns]
    if name not in found:
        raise BadChart(f"chart needs column {name!r}, the query gives {', '.join(found)}")
    return found.index(name)


def _every_label(bars: list[dict[str, Any]]) -> alt.Scale:
    """Keep the places of bars that have no height."""
    return alt.Scale(domain=list(dict.fromkeys(bar["x"] for bar in bars)))


def _number(text: str | None) -> float | None:
    """Read a bar's height; what has none leaves a gap."""
    try:
        number = float(text or "nan")
    except ValueError as error:
        raise BadChart(f"chart needs numbers for its bars, got {text!r:.80}") from error
    return number if math.isfinite(number) else None


def _title(chart: Chart, total_rows: int) -> str:
    title = chart.title or f"{chart.y} by {chart.x}"
    return f"{title} (first {MAX_BARS} of {total_rows})" if total_rows > MAX_BARS else title

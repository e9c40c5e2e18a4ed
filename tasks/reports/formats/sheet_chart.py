"""Draw a declared chart beside its table, as a chart of the spreadsheet's own."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from postgres.snapshot import Column
from tasks.reports.declared.header import Chart
from tasks.reports.formats.chart_words import MAX_BARS, MAX_CHART_ROWS, place, title_of
from tasks.reports.formats.theme import COLOURS

_KINDS: Mapping[str, str] = MappingProxyType(
    {"bar": "column", "line": "line", "area": "area", "point": "scatter"}
)
#: Type OIDs of date, timestamp and timestamptz.
_TIMES = frozenset({1082, 1114, 1184})
_GRID: Mapping[str, Any] = {"visible": True, "line": {"color": "#DCE1E6", "width": 0.75}}
_WIDTH_PIXELS, _HEIGHT_PIXELS = 720, 360


def insert_chart(
    workbook: Workbook, sheet: Worksheet, chart: Chart, columns: Sequence[Column], rows: int
) -> None:
    """Insert the chart of a sheet's first rows.

    One with series is left to pages: a spreadsheet wants the rows of each side by side.
    """
    x, y = place(chart.x, columns), place(chart.y, columns)
    if chart.series or not rows:
        return
    shown = min(rows, MAX_BARS if chart.kind == "bar" else MAX_CHART_ROWS)
    drawn = workbook.add_chart({"type": _KINDS[chart.kind]})
    drawn.add_series(
        {
            "name": chart.y,
            "categories": [sheet.name, 1, x, shown, x],
            "values": [sheet.name, 1, y, shown, y],
            **_looks(chart),
        }
    )
    title = title_of(chart, shown, rows)
    drawn.set_title({"name": title, "name_font": {"size": 12}, "overlay": False})
    is_time = columns[x].type_oid in _TIMES and chart.kind in {"line", "area"}
    time_axis = {"date_axis": True, "num_format": "yyyy-mm-dd"} if is_time else {}
    drawn.set_x_axis({"name": chart.x, "label_position": "low", **time_axis})
    drawn.set_y_axis({"name": chart.y, "major_gridlines": _GRID})
    drawn.set_legend({"none": True})
    drawn.set_size({"width": _WIDTH_PIXELS, "height": _HEIGHT_PIXELS})
    sheet.insert_chart(1, len(columns) + 1, drawn, {"description": title})


def _looks(chart: Chart) -> dict[str, Any]:
    colour = {"color": COLOURS[0].upper()}
    if chart.kind == "line":
        return {"line": {**colour, "width": 2}}
    if chart.kind == "point":
        return {"marker": {"type": "circle", "size": 5, "fill": colour, "border": colour}}
    return {"fill": colour}

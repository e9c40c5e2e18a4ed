"""What all drawings of a chart share: which columns it needs, where it stops, its title."""

from collections.abc import Sequence

from postgres.snapshot import Column
from tasks.reports.declared.header import BadChart, Chart

#: More bars than this cannot be told apart; the chart says that it stops.
MAX_BARS = 100
#: So many rows are drawn as lines, areas or points.
MAX_CHART_ROWS = 5_000


def place(name: str, columns: Sequence[Column]) -> int:
    """Return where a column of the chart stands among those of the query."""
    found = [column.name for column in columns]
    if name not in found:
        raise BadChart(f"chart needs column {name!r}, the query gives {', '.join(found)}")
    return found.index(name)


def title_of(chart: Chart, shown_rows: int, total_rows: int, *cuts: str) -> str:
    """Return the title of a chart, which says what it leaves out."""
    title = chart.title or f"{chart.y} by {chart.x}"
    if shown_rows < total_rows:
        cuts = (f"first {shown_rows:,} of {total_rows:,} rows", *cuts)
    return f"{title} ({', '.join(cuts)})" if cuts else title

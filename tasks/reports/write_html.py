"""Write a report as one HTML page that needs nothing else: no script, no font, no network."""

from collections.abc import Mapping, Sequence
from html import escape
from io import BufferedIOBase
from string import Template

from postgres.snapshot import Column
from tasks.reports.answer import Answer, Rows, TextRow, Written
from tasks.reports.chart import draw

#: A page with more rows than this is slow to open; CSV holds them all.
MAX_TABLE_ROWS = 5000

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       background: Canvas; color: CanvasText; }
figure { margin: 1.5rem 0; }
svg { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid GrayText; text-align: left; }
.number { text-align: right; }
.null { color: GrayText; }
</style>
</head>
<body>
<h1>$title</h1>
<p>$description</p>
$parameters
<p>As of <time datetime="$taken_at">$taken_at</time>.</p>
$figure
<p>$extent</p>
<div class="scroll">
<table>
<thead><tr>$head</tr></thead>
<tbody>
$body
</tbody>
</table>
</div>
</body>
</html>
""")


def write(answer: Answer, file: BufferedIOBase) -> list[Written]:
    """Write the page of an answer: its chart, and the first rows of its table."""
    (section,) = (one for one in answer.sections if isinstance(one, Rows))
    rows, total_rows = section.source.first(MAX_TABLE_ROWS)
    columns = section.source.columns
    svg = draw(section.chart, columns, rows, total_rows) if section.chart and rows else None
    file.write(_page(answer, columns, rows, total_rows, svg).encode())
    return [Written(section.name, total_rows, columns)]


def _page(
    answer: Answer,
    columns: Sequence[Column],
    rows: Sequence[TextRow],
    total_rows: int,
    svg: str | None,
) -> str:
    """Return the page; only ``svg`` is taken as markup, all else is escaped."""
    header = answer.request.report.header
    return _PAGE.substitute(
        title=escape(header.title),
        description=escape(header.description),
        parameters=_parameters(answer.request.question.params),
        taken_at=escape(answer.instant.taken_at.isoformat(timespec="seconds")),
        figure=f"<figure>{svg}</figure>" if svg else "",
        extent=_extent(len(rows), total_rows),
        head="".join(_cell("th", column, column.name) for column in columns),
        body="\n".join(_row(columns, row) for row in rows),
    )


def _parameters(params: Mapping[str, str | None]) -> str:
    if not params:
        return ""
    items = "".join(
        f"<tr><th>{escape(name)}</th>{_plain('td', '', text)}</tr>" for name, text in params.items()
    )
    return f"<table><caption>Parameters</caption><tbody>{items}</tbody></table>"


def _extent(shown: int, total: int) -> str:
    if shown < total:
        return f"The table shows only the first {shown:,} of {total:,} rows."
    return f"{total:,} row{'' if total == 1 else 's'}."


def _row(columns: Sequence[Column], row: TextRow) -> str:
    cells = (_cell("td", column, text) for column, text in zip(columns, row, strict=True))
    return f"<tr>{''.join(cells)}</tr>"


def _cell(tag: str, column: Column, text: str | None) -> str:
    return _plain(tag, "number" if column.is_number else "", text)


def _plain(tag: str, style: str, text: str | None) -> str:
    if text is None:
        return f'<{tag} class="{style} null">null</{tag}>'
    return f'<{tag} class="{style}">{escape(text)}</{tag}>'

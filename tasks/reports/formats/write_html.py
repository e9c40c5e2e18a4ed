"""Write a report as one HTML page that needs nothing else: no script, no font, no network."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from html import escape
from io import BufferedIOBase
from pathlib import Path
from string import Template
from typing import NamedTuple

from tasks.reports.answer import Answer, Picture, Rows, Section, Text, Written
from tasks.reports.declared.statements import short
from tasks.reports.formats.chart import draw
from tasks.reports.formats.chart_words import MAX_CHART_ROWS
from tasks.reports.formats.html_table import MANY_COLUMNS, alignment, cell, number_places, table

#: A page with more rows than this is slow to open; the other formats hold them all.
MAX_TABLE_ROWS = MAX_CHART_ROWS

_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<header>
<h1>$title</h1>
$lead<dl class="facts">
$facts
</dl>
$contents</header>
<main>
$sections
</main>
<footer>Report $name, as of <time datetime="$taken_at">$said_at</time>, snapshot $snapshot</footer>
</body>
</html>
""")


class _Part(NamedTuple):
    """A section as it stands in the page."""

    name: str
    html: str
    is_wide: bool = False


def write(answer: Answer, file: BufferedIOBase) -> list[Written]:
    """Write the page of an answer: of each section its text, its chart, its first rows."""
    written: list[Written] = []
    parts = [_part(section, written, answer) for section in answer.sections]
    numbers = {at for one in written for at in number_places(one.columns)}
    file.write(_page(answer, parts, _STYLE + alignment(numbers)).encode())
    return written


def _part(section: Section, written: list[Written], answer: Answer) -> _Part:
    if isinstance(section, Text):
        return _Part(section.name, _prose(section.text))
    if isinstance(section, Picture):
        return _Part(section.name, _figure(section.svg))
    part, one = _rows(section)
    written.append(one)
    answer.tell(sum(known.rows for known in written))
    return part


def _rows(section: Rows) -> tuple[_Part, Written]:
    rows, total_rows = section.source.first(MAX_TABLE_ROWS)
    columns = section.source.columns
    chart = section.chart if rows else None
    label = escape(_said(section.name))
    html = (
        f"{_figure(draw(chart, columns, rows, total_rows)) if chart else ''}"
        f'<p class="extent">{_extent(len(rows), total_rows)}</p>\n'
        # Whoever has no mouse scrolls a table that has the focus.
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">\n'
        f"{table(columns, rows)}\n</div>"
    )
    is_wide = len(columns) > MANY_COLUMNS
    return _Part(section.name, html, is_wide), Written(section.name, total_rows, columns)


def _page(answer: Answer, parts: Sequence[_Part], style: str) -> str:
    header, instant = answer.request.report.header, answer.instant
    taken_at = instant.taken_at.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    said_at = f"{taken_at} UTC"
    return _PAGE.substitute(
        title=escape(header.title),
        style=style,
        lead=f'<p class="lead">{escape(header.description)}</p>\n' if header.description else "",
        facts=_facts(said_at, answer.request.question.params),
        contents=_contents(parts) if len(parts) > 1 else "",
        sections="\n".join(_sections(answer.request.report.name, parts)),
        name=escape(answer.request.report.name),
        taken_at=f"{taken_at.isoformat()}Z",
        said_at=said_at,
        snapshot=escape(instant.snapshot),
    )


def _facts(said_at: str, params: Mapping[str, str | None]) -> str:
    facts = [f"<div><dt>As of</dt><dd>{escape(said_at)}</dd></div>"]
    facts += [
        f"<div><dt>{escape(name)}</dt>{cell(text, 'dd')}</div>" for name, text in params.items()
    ]
    return "\n".join(facts)


def _contents(parts: Sequence[_Part]) -> str:
    items = "".join(
        f'<li><a href="#s{at}">{escape(_said(part.name))}</a></li>'
        for at, part in enumerate(parts, 1)
    )
    return f'<nav aria-label="Contents"><ol>{items}</ol></nav>\n'


def _sections(report: str, parts: Sequence[_Part]) -> Iterator[str]:
    for at, part in enumerate(parts, 1):
        # The title of the page names a lone section that has no name of its own.
        is_lone = len(parts) == 1 and part.name in {report, short(report)}
        heading = "" if is_lone else f"<h2>{escape(_said(part.name))}</h2>\n"
        classes = ' class="wide"' if part.is_wide else ""
        yield f'<section id="s{at}"{classes}>\n{heading}{part.html}\n</section>'


def _said(name: str) -> str:
    """Read the name of a statement as words; other names are words already."""
    is_identifier = name.isascii() and name.islower() and name.replace("_", "").isalnum()
    return name.replace("_", " ").capitalize() if is_identifier else name


def _figure(svg: str) -> str:
    return f"<figure>{svg}</figure>\n"


def _prose(text: str) -> str:
    paragraphs = [part.strip() for part in text.replace("\r\n", "\n").split("\n\n")]
    body = "".join(f"<p>{escape(part)}</p>" for part in paragraphs if part)
    return f'<div class="prose">{body}</div>'


def _extent(shown: int, total: int) -> str:
    if shown < total:
        return (
            f"The table shows only the first {shown:,} of {total:,} rows;"
            " every other format holds them all."
        )
    return f"{total:,} row{'' if total == 1 else 's'}."

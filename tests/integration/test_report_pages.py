"""Pages of reports as a person sees them: rendered by a real browser, light, dark and printed."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postgres.pool import Pool, PoolLimits
from postgres.snapshot import pin, snapshot
from tasks.reports.answer import Answer, Picture, Section, Text
from tasks.reports.declared.catalog import load_reports
from tasks.reports.formats.theme import render
from tasks.reports.formats.write_html import write
from tasks.reports.request import request_of
from tasks.reports.sections import sections
from tests.browser import INSTALLING, Browser
from tests.browser import running_browser as running_browser
from tests.waiting import wait_for
from worker.embedded import EmbeddedPostgres

pytestmark = INSTALLING

EVIL = (
    "</td></svg><script>document.title='owned'</script><img src=//evil.example/x onerror=alert(1)>"
)
REPORT = f"""/* celeriac
title = "Delays & <b>more</b>"
description = "How late flights are."
[params.origin]
type = "text"
default = "JFK"
[params.since]
type = "date"
[params.note]
type = "text"
default = ""
[charts.by_carrier]
kind = "bar"
x = "carrier"
y = "delay"
title = "Delays, minutes"
[charts.all_rows]
kind = "line"
x = "day"
y = "n"
*/
-- name: by_carrier
SELECT * FROM (VALUES ('UA', 12.5, :origin), (NULL, NULL, :note), ('', -3, :since::text),
                      ($$ {EVIL} $$, 7, 'a
b')) AS v (carrier, delay, words);
-- name: all_rows
SELECT n, date '2013-01-01' + 6 * n AS day, repeat('long words ', 1 + n % 20) AS words,
       n % 2 = 0 AS even, n * 1.5 AS number, 'some text' AS a_column_with_a_long_name
FROM generate_series(1, 60) AS n;
"""
LONG = "/* celeriac\ntitle = 'Long'\n*/ SELECT n, -n AS m FROM generate_series(1, 5001) AS n"
#: Finds text that is harder to read than WCAG's level AA allows, in a page or a picture of it.
FAINT = """
const parts = css => css.match(/[\\d.]+/g).map(Number);
const linear = part => (part /= 255) <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
const behind = element => {
  for (let one = element; one; one = one.parentElement) {
    const found = parts(getComputedStyle(one).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found;
  }
  return [255, 255, 255];
};
const worst = element => {
  const style = getComputedStyle(element);
  const ink = parts(element.closest('svg') ? style.fill : style.color);
  const [low, high] = [light(ink), light(behind(element))].sort((a, b) => a - b);
  return (high + .05) / (low + .05);
};
return [...document.querySelectorAll('h1, h2, p, dt, dd, th, td, a, footer, svg text')]
  .slice(0, 500).filter(element => worst(element) < 4.5).map(element => element.outerHTML);
"""
BOXES = """
return arguments[0].map(name => {
  const box = document.querySelector(name).getBoundingClientRect();
  return [box.width > 0, box.height > 0];
});
"""


@pytest.fixture(scope="module")
def pages(postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page of all that is hard to show, and a long one."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "reports").mkdir()
    (folder / "reports" / "delays.sql").write_text(REPORT)
    (folder / "reports" / "long.sql").write_text(LONG)
    pool = Pool(postgres_server.url(), PoolLimits(size=1))
    for name, others in (("delays", list(more())), ("long", [])):
        request = request_of(load_reports(folder), name, {}, "html")
        with snapshot(pool) as reader, (folder / f"{name}.html").open("wb") as file:
            instant = pin(reader, 60)
            write(Answer(request, instant, [*sections(request, reader), *others]), file)
    pool.close()
    return folder


@pytest.fixture
def page(pages: Path) -> str:
    """URL of a page of two statements, a picture and a text."""
    return (pages / "delays.html").as_uri()


def more() -> Iterator[Section]:
    """Make what only reports in Python give."""
    drawn: dict[str, Any] = {
        "title": EVIL,
        "data": {"values": [{"x": 1}]},
        "mark": "point",
        "encoding": {"x": {"field": "x", "type": "quantitative"}},
    }
    yield Picture("Drawn", render(drawn, "Drawn", EVIL), EVIL)
    yield Text("Said", f"First.\n\nSecond, {EVIL}")


@pytest.fixture
def opened(browser: Browser, page: str) -> Browser:
    """The browser with the page open, in a light scheme."""
    browser.open(page)
    return browser


def test_table_and_chart_are_visible(opened: Browser) -> None:
    """A person sees the title, both charts, the tables, the picture and the text."""
    names = [
        "h1",
        "#s1 svg",
        "#s1 table",
        "#s1 tbody td",
        "#s2 svg",
        "#s2 table",
        "#s3 svg",
        "#s4 p",
    ]

    boxes = opened.run(BOXES, names)

    assert [[True, True]] * len(names) == boxes
    seen = opened.run("return document.body.innerText")
    assert "Delays & <b>more</b>" in seen
    assert ["By carrier", "All rows", "Drawn", "Said"] == opened.run(
        "return [...document.querySelectorAll('nav a')].map(one => one.innerText)"
    )
    assert "UA" in opened.run("return document.querySelector('#s1 svg').textContent")
    assert "April" in opened.run("return document.querySelector('#s2 svg').textContent")


def test_page_asks_for_nothing(browser: Browser, page: str) -> None:
    """Opening the page asks for the file itself and nothing else, whatever its values hold."""
    browser.open(page)
    title = browser.run("return document.title")

    assert [page] == browser.requests()
    assert "Delays & <b>more</b>" == title
    assert 0 == browser.run("return document.querySelectorAll('script, img, link, iframe').length")


@pytest.mark.parametrize("dark", [False, True])
def test_every_word_can_be_read(browser: Browser, page: str, dark: bool) -> None:
    """Text has the contrast of WCAG's level AA, in tables and charts, by day and by night."""
    browser.open(page, dark=dark)

    background = browser.run("return getComputedStyle(document.body).backgroundColor")

    assert ("rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)") == background
    assert [] == browser.run(FAINT)


def test_long_tables_stay_usable(browser: Browser, pages: Path) -> None:
    """Of 5,001 rows the page shows 5,000 and says so; the header stays while they scroll."""
    browser.open((pages / "long.html").as_uri())

    said = browser.run("return document.querySelector('.extent').innerText")
    shown = browser.run("return document.querySelectorAll('tbody tr').length")
    head, box, first = browser.run(
        "const box = document.querySelector('.scroll'); box.scrollIntoView();"
        "box.scrollTop = 20000;"
        "return [box.querySelector('th'), box, box.querySelector('td')]"
        ".map(one => one.getBoundingClientRect().top)"
    )

    words = "The table shows only the first 5,000 of 5,001 rows; every other format holds them all."
    assert (words, 5000) == (said, shown)
    assert abs(head - box) < 3
    assert first < -10000


def test_wide_tables_scroll_in_their_own_box(browser: Browser, page: str) -> None:
    """On a narrow phone a table is moved sideways by itself, and the page is not."""
    browser.open(page, width=360)

    page_width, box, table = browser.run(
        "return [document.documentElement.scrollWidth,"
        " document.querySelector('#s2 .scroll').clientWidth,"
        " document.querySelector('#s2 table').offsetWidth]"
    )

    assert 360 >= page_width
    assert table > box


def test_cells_suit_what_they_hold(opened: Browser) -> None:
    """Numbers stand at the right, NULL is a word, '' a mark, long words stay in their cell."""
    aligned, null, empty, mark, truth = opened.run(
        "const css = (one, pseudo) => getComputedStyle(document.querySelector(one), pseudo);"
        "const said = one => document.querySelector(one).innerText;"
        "return [css('#s1 tr:nth-child(1) td:nth-child(2)').textAlign,"
        " said('#s1 tr:nth-child(2) td:nth-child(1)'), said('#s1 tr:nth-child(3) td:nth-child(1)'),"
        " css('#s1 tr:nth-child(3) td:nth-child(1)', '::before').content,"
        " said('#s2 tr:nth-child(1) td:nth-child(4)')]"
    )
    outside = opened.run(
        "return [...document.querySelectorAll('#s1 td, #s2 tr:nth-child(-n + 30) td, #s2 th')]"
        ".filter(one => one.scrollWidth > one.clientWidth + 1).length"
    )

    assert ("right", "null", "", "\"''\"", "false", 0) == (
        *(aligned, null, empty, mark, truth),
        outside,
    )


def test_page_says_what_was_asked_and_when(opened: Browser) -> None:
    """Every parameter stands there with its value, and the instant with its zone."""
    facts = opened.run(
        "return [...document.querySelectorAll('.facts div')].map(one =>"
        " [one.querySelector('dt').innerText, one.querySelector('dd').innerText])"
    )

    (as_of, instant), *params = facts
    assert ("As of", "UTC") == (as_of, instant[-3:])
    assert [["origin", "JFK"], ["since", "null"], ["note", ""]] == params


def heard_pictures(browser: Browser) -> list[tuple[str, str | None]]:
    """List name and description of each picture, as who hears the page is told them."""
    nodes = browser.tell("Accessibility.getFullAXTree")["nodes"]
    return [
        (node["name"]["value"], node.get("description", {}).get("value"))
        for node in nodes
        if node["role"]["value"] in {"image", "img"}
    ]


def test_charts_tell_their_words(opened: Browser) -> None:
    """Who hears the page is told what each chart shows."""
    # Chromium makes the tree some time after the page: the first answer may lack it.
    wait_for(lambda: len(heard_pictures(opened)) == 3, what="the pictures in Chromium's tree")

    pictures = heard_pictures(opened)

    assert [
        ("Delays, minutes", "Bar chart of delay by carrier, 4 values."),
        ("n by day", "Line chart of n by day, 60 values."),
        ("Drawn", EVIL),
    ] == pictures


def test_print_has_no_dark_and_every_row(browser: Browser, page: str, tmp_path: Path) -> None:
    """On paper there is ink on white, nothing scrolls, no line is cut, the header is repeated."""
    browser.open(page, dark=True, media="print")

    background, box, table, head = browser.run(
        "const box = document.querySelector('#s2 .scroll');"
        "return [getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(box).overflowY, box.scrollHeight - box.clientHeight,"
        " getComputedStyle(box.querySelector('thead')).display]"
    )
    first = browser.tell("Page.printToPDF", pageRanges="1")["data"]

    assert ("rgb(255, 255, 255)", "visible", "table-header-group") == (background, box, head)
    assert table <= 1
    assert [] == browser.run(FAINT)
    assert base64.b64decode(first).startswith(b"%PDF")

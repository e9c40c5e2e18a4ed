"""Render a chart as SVG that takes the colours of the page around it, and tells its words."""

from collections.abc import Mapping
from html import escape
from typing import Any

import vl_convert

#: Told apart by most eyes, and each at three to one or more on white and on a dark page alike.
COLOURS = (
    *("#3b7dbd", "#c8602b", "#3d8f5f", "#a0559f"),
    *("#8d7420", "#c2476f", "#41888f", "#7a6a5c"),
)

_INK = "currentColor"
_FONT = "sans-serif"
_WORDS: Mapping[str, Any] = {
    "labelColor": _INK,
    "titleColor": _INK,
    "labelFontSize": 11,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
}
_LINES: Mapping[str, Any] = {
    "domainColor": _INK,
    "domainOpacity": 0.4,
    "tickColor": _INK,
    "tickOpacity": 0.4,
    "gridColor": _INK,
    "gridOpacity": 0.12,
}
_CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "font": _FONT,
    # The picture is named as a whole, and its table is below it.
    "aria": False,
    "mark": {"color": COLOURS[0]},
    "range": {"category": list(COLOURS)},
    "view": {"stroke": None},
    "title": {
        "color": _INK,
        "subtitleColor": _INK,
        "anchor": "start",
        "fontSize": 14,
        "offset": 14,
    },
    "axis": {**_WORDS, **_LINES, "titlePadding": 10, "labelOverlap": True},
    "legend": {**_WORDS, "orient": "bottom", "columns": 4},
    "header": _WORDS,
    "text": {"color": _INK},
    "rule": {"color": _INK},
}


def render(drawn: Mapping[str, Any], title: str, description: str) -> str:
    """Return what Vega-Lite describes as an ``<svg>`` element, made without any network.

    Whatever the description says of its own looks holds against ours.
    """
    themed = {**drawn, "config": _merged(_CONFIG, drawn.get("config", {}))}
    svg: str = vl_convert.vegalite_to_svg(themed, allowed_base_urls=[])
    words = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    head, _, rest = svg.replace("<svg ", '<svg role="img" ', 1).partition(">")
    return f"{head}>{words}{rest}"


def png_of(svg: str, scale: int) -> bytes:
    """Return a picture for what shows no SVG, dark on white."""
    png: bytes = vl_convert.svg_to_png(svg.replace(f'"{_INK}"', '"#1c2127"'), scale=scale)
    return png


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**ours, **theirs}
    for key, own in ours.items():
        if isinstance(own, Mapping) and isinstance(theirs.get(key), Mapping):
            merged[key] = _merged(own, theirs[key])
    return merged

"""Make JSON as the client writes it fit for ``jsonb``, which is stricter."""

import json
import math
from typing import Any

from celeriac.errors import BadPayload
from celeriac.values import MARKER, VALUE


def jsonb_text(text: str) -> str:
    """Return JSON with the same values that PostgreSQL reads as ``jsonb``.

    NaN and the infinities become marked decimals. A NUL character or half a
    surrogate pair has no place in jsonb: :class:`BadPayload` says where it is.
    """
    # Without any of these a text has nothing that jsonb refuses.
    if "NaN" in text or "Infinity" in text or "\\u0000" in text or "\\ud" in text:
        return json.dumps(_fitting(json.loads(text), "arguments"))
    return text


def _fitting(value: Any, where: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {MARKER: "decimal", VALUE: "Infinity" if value > 0 else _not_above(value)}
    if isinstance(value, str):
        return _check_text(value, where)
    if isinstance(value, list):
        return [_fitting(one, f"{where}, {number}") for number, one in enumerate(value, 1)]
    if isinstance(value, dict):
        return {
            _check_text(key, where): _fitting(one, f"{where}, {key!r}")
            for key, one in value.items()
        }
    return value


def _not_above(value: float) -> str:
    return "NaN" if math.isnan(value) else "-Infinity"


def _check_text(text: str, where: str) -> str:
    try:
        is_fit = "\0" not in text
        text.encode("utf-8")
    except UnicodeEncodeError:
        is_fit = False
    if not is_fit:
        raise BadPayload(
            f"{where} holds a NUL character or half a surrogate pair, which the outbox cannot keep"
        )
    return text

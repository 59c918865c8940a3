"""A page that holds all it needs: the data, uPlot, and the script and style that stand beside this file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path
from string import Template
from typing import Any

from monitoring.pictures.errors import PictureError
from monitoring.pictures.graphs import View
from monitoring.pictures.uplot import Library

FOOT = "drawn from the dashboard's JSON and a live Prometheus by uPlot; Grafana itself looks a little different"
#: In CSS pixels: the body's width in `page.css`, and its heights: of head and foot, of a row and the gap below it.
WIDTH, HEAD_AND_FOOT, ROW, GAP = 1440, 92, 30, 8
_FOLDER = Path(__file__).parent


def write(view: View, shown: str, library: Library) -> str:
    """The page as HTML; `shown` says which time it shows."""
    script = _code((_FOLDER / "page.js").read_text("utf-8"))
    return Template((_FOLDER / "page.html").read_text("utf-8")).substitute(
        title=html.escape(view["title"]),
        range=html.escape(shown),
        foot=FOOT,
        hashes=f"{_hash(library.script)} {_hash(script)}",
        library_style=library.style,
        style=(_FOLDER / "page.css").read_text("utf-8"),
        data=inline(view),
        library=_code(library.script),
        script=script,
    )


def size(view: View) -> tuple[int, int]:
    """Width and height of the page in CSS pixels."""
    return WIDTH, HEAD_AND_FOOT + view["rows"] * (ROW + GAP) - GAP


def inline(value: Any) -> str:
    """JSON that can't end the script element it stands in, whatever label values say."""
    text = json.dumps(value, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _code(script: str) -> str:
    if "</script" in script.lower():
        raise PictureError("a script that holds its own end tag can't be put into a page")
    return script


def _hash(script: str) -> str:
    """What the content security policy lets run: this script and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"

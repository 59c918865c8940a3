"""What HTTP answers look like: security headers, health as JSON, a plain status page."""

from __future__ import annotations

import gzip
import html
import json
from collections.abc import Mapping
from typing import Any, Final

import attrs
from aiohttp import web

from ironpost_core import State
from ironpost_daemon.status import DaemonStatus

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
#: Bodies smaller than this many bytes are not worth compressing.
WORTH_COMPRESSING: Final = 500

HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "ironpost",
    "X-Content-Type-Options": "nosniff",
}


@attrs.frozen
class Body:
    """An answer, ready to be sent."""

    data: bytes
    content_type: str = TEXT
    status: int = 200
    gzipped: bool = False

    def compressed(self) -> Body:
        """The same by gzip, unless it is too small for that. Costs time: call it off the event loop."""
        if len(self.data) < WORTH_COMPRESSING:
            return self
        return attrs.evolve(self, data=gzip.compress(self.data, compresslevel=5, mtime=0), gzipped=True)


def text(line: str, status: int = 200) -> Body:
    """One line of plain text."""
    return Body(f"{line}\n".encode(), TEXT, status)


def as_json(data: Any, status: int = 200) -> Body:
    """JSON; what is no JSON type is shown as text."""
    return Body(json.dumps(data, ensure_ascii=False, default=str).encode() + b"\n", JSON, status)


def response(body: Body, **headers: str) -> web.Response:
    """A response with the security headers; `headers` further ones, with ``_`` for ``-``."""
    fields = {**HEADERS, "Content-Type": body.content_type, "Vary": "Accept, Accept-Encoding"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    if body.gzipped:
        fields["Content-Encoding"] = "gzip"
    return web.Response(status=body.status, body=body.data, headers=fields)


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header names gzip and does not refuse it with ``q=0``."""
    for item in header.lower().split(","):
        coding, _, parameters = item.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            return parameters.replace(" ", "").rstrip("0.") != "q="
    return False


def health(status: DaemonStatus, *, details: bool) -> Body:
    """The answer of ``/health``: 200 while healthy or degraded, 503 when unhealthy. Reasons only with `details`."""
    data: dict[str, Any] = {"status": status.health.value}
    if details:
        told = ("name", "life", "health", "reason", "since", "restarts")
        data |= {
            "version": status.version,
            "uptime": round(status.uptime, 3),
            "ready": status.ready,
            "plugins": [{key: plugin.to_dict()[key] for key in told} for plugin in status.plugins],
            "parts": [part.to_dict() for part in status.parts],
        }
    return as_json(data, 503 if status.health is State.UNHEALTHY else 200)


def status_page(status: DaemonStatus, endpoint: str) -> Body:
    """A page without scripts or styles; every text that could come from elsewhere is escaped."""
    plugins = "".join(
        _row(plugin.name, plugin.version, plugin.life, plugin.health, plugin.reason, f"{plugin.since:%F %T}")
        for plugin in status.plugins
    )
    parts = "".join(_row(part.name, "", "", part.health, part.reason, "") for part in status.parts)
    head = "".join(f"<th>{title}</th>" for title in ("name", "version", "life", "health", "reason", "since (UTC)"))
    links = "".join(
        f'<li><a href="{html.escape(path)}">{html.escape(path)}</a></li>'
        for path in (endpoint, "/health", "/ready", "/api/v1/status", "/api/v1/plugins", "/api/v1/alerts")
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>ironpost</title></head><body>'
        f"<h1>ironpost on {html.escape(status.host)}: {status.health.value}</h1>"
        f"<p>version {html.escape(status.version)}, commit {html.escape(status.commit)}, "
        f"process {status.pid}, up for {status.uptime:.0f} s, {'ready' if status.ready else 'starting'}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{plugins}{parts}</tbody></table><ul>{links}</ul></body></html>\n"
    )
    return Body(page.encode(), HTML)


def _row(*cells: object) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"

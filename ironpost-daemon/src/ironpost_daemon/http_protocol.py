"""aiohttp's HTTP protocol with our bounds and without its banner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, cast

from aiohttp import web

from ironpost_daemon import http_page
from ironpost_daemon.calls import describe
from ironpost_daemon.http_connections import Connections

#: Bytes of the request line and of one header.
LARGEST_LINE: Final = 4096


class _Protocol(web.RequestHandler):
    """aiohttp's, telling `Connections` and answering broken requests without a banner or details."""

    def __init__(self, server: Server, connections: Connections, log: logging.Logger) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # the documented way to switch it off
            logger=log,
            keepalive_timeout=3600.0,  # `Connections` is stricter
            lingering_time=1.0,
            max_line_size=LARGEST_LINE,
            max_field_size=LARGEST_LINE,
        )
        self._connections = connections
        self._log = log

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.opened(self, cast("asyncio.Transport", transport))

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._connections.closed(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        del request, message
        if status >= 500:
            self._log.error("a request failed: %s", describe(exc) if exc else "", exc_info=exc)
        else:
            self._log.debug("a broken request was refused: %s", describe(exc) if exc else "")
        answer = http_page.response(http_page.text("internal error" if status >= 500 else "bad request", status))
        answer.force_close()
        return answer


class Server(web.Server):
    """aiohttp's, making our protocol."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        connections: Connections,
        log: logging.Logger,
    ) -> None:
        super().__init__(handler, handler_cancellation=True)
        self._table = connections
        self._log = log

    def __call__(self) -> web.RequestHandler:
        """A protocol for one connection."""
        return _Protocol(self, self._table, self._log)

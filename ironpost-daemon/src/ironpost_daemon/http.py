"""The HTTP server: metrics, health, readiness, a status page and read-only JSON, on a thread and event loop of its own.

Neighbours: `http_bind` opens the address, `http_connections` bounds clients, `http_access` says who may see what,
`http_work` keeps blocking calls off the loop, `http_page` makes the answers. Nothing here changes anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Final

import attrs
from aiohttp import web

from ironpost_core import ActionError, ConfigError
from ironpost_core.config import MetricsConfig
from ironpost_daemon import http_page
from ironpost_daemon.exposition import canonical_accept
from ironpost_daemon.http_access import Access, is_loopback, names_loopback
from ironpost_daemon.http_bind import listen, tls_context
from ironpost_daemon.http_connections import Connections, Limits
from ironpost_daemon.http_page import Body
from ironpost_daemon.http_protocol import Server
from ironpost_daemon.http_work import BusyError, CallFailedError, SharedCalls
from ironpost_daemon.status import DaemonStatus

API: Final = "/api/v1/"
#: Seconds after which a scrape, a health check or a query is given up (not what it waits for).
SCRAPE_TIMEOUT: Final = 9.0
CALL_TIMEOUT: Final = 5.0
#: Headers that a reverse proxy adds: the client is then not who the peer address says.
_FORWARDED: Final = ("forwarded", "via", "x-forwarded-", "x-real-ip")

Api = Mapping[str, Callable[[Mapping[str, str]], Any]]


@attrs.frozen
class _Route:
    """What answers a path. `open`: needs no authentication; `private`: evidence, see `http_access`."""

    answer: Callable[[web.BaseRequest], Awaitable[Body]]
    open: bool = False
    private: bool = False


class HttpServer:
    """Serves on the configured address from `start` to `stop`.

    Args:
        config: the section ``[metrics]``; port 0 means any free one.
        render: Accept header → exposition and its content type; called on a thread of its own, shared by scrapers.
        ready: whether every plugin is initialised or failed; called on the event loop, so it may not block.
        status: the daemon's state; called on a thread of its own.
        api: name below ``/api/v1/`` → answer (JSON-able) to a query; may raise ConfigError or ActionError (400).
        log: where failures go.
        limits: bounds on clients.
    """

    def __init__(
        self,
        config: MetricsConfig,
        *,
        render: Callable[[str], tuple[bytes, str]],
        ready: Callable[[], bool],
        status: Callable[[], DaemonStatus],
        api: Api,
        log: logging.Logger,
        limits: Limits | None = None,
    ) -> None:
        self._config = config
        self._render = render
        self._ready = ready
        self._status = status
        self._api = dict(api)
        self._log = log
        self._connections = Connections(limits or Limits(), log)
        self._routes = self._make_routes()
        # Apart, so that hung queries leave health checks alone and both leave scrapes alone.
        self._renders = SharedCalls("ironpost-http-render", 4)
        self._statuses = SharedCalls("ironpost-http-status", 4)
        self._queries = SharedCalls("ironpost-http-query", 4)
        self._listeners: Sequence[socket.socket] = ()
        self._up = threading.Event()
        self._thread: threading.Thread | None = None

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the address and serve.

        Raises:
            ConfigError: address, port, certificate, key or a secret can't be used; names the setting and the cure.
        """
        self._access = Access.of(self._config)
        tls = tls_context(self._config)
        self._listeners = listen(self._config)
        self._port = int(self._listeners[0].getsockname()[1])
        self._scheme = "https" if tls is not None else "http"
        self._shows_evidence = all(is_loopback(one.getsockname()[0]) for one in self._listeners)
        self._thread = threading.Thread(target=self._run, args=(tls,), name="ironpost-http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the metrics are, as a user would type it."""
        host = self._config.listen_addr
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{self._port}{self._config.endpoint}"

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self, timeout: float) -> bool:
        """Stop accepting, give requests under way `timeout` seconds, and end; whether the thread has ended."""
        if self._thread is None:
            return True
        self._stop_timeout = timeout / 4  # aiohttp waits for it twice
        if self._up.wait(timeout):
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self, tls: ssl.SSLContext | None) -> None:
        try:
            asyncio.run(self._serve(tls))
        except Exception:  # noqa: BLE001 - the stated boundary of this thread, which nobody else watches
            self._log.critical("the HTTP server has ended; restart the daemon", exc_info=True)
        finally:
            for listener in self._listeners:
                listener.close()

    async def _serve(self, tls: ssl.SSLContext | None) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = Server(self._handle, self._connections, self._log)
        serving = asyncio.create_task(self._connections.serve(self._listeners, server, tls))
        stopping = asyncio.create_task(self._stopping.wait())
        self._up.set()
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        serving.cancel()
        for listener in self._listeners:
            listener.close()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        server.pre_shutdown()
        await server.shutdown(self._stop_timeout)
        await self._connections.close()

    # -- requests -------------------------------------------------------------------------------------------------

    def _make_routes(self) -> Mapping[str, _Route]:
        routes = {
            "/": _Route(self._page, private=True),
            "/health": _Route(self._health),
            "/ready": _Route(self._is_ready, open=True),
        }
        routes |= {API + name: _Route(self._query, private=True) for name in self._api}
        return routes | {self._config.endpoint: _Route(self._scrape)}

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._connections.begun(request.protocol)
        try:
            return await self._answer(request)
        finally:
            self._connections.ended(request.protocol)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        refused = self._refused(request)
        if refused is None:
            body = await self._bounded(request, self._routes[request.path])
            return http_page.response(body, **({"Retry_After": "5"} if body.status == 503 else {}))
        if request.body_exists:
            refused.force_close()
        return refused

    def _refused(self, request: web.BaseRequest) -> web.Response | None:
        route = self._routes.get(request.path)
        granted = self._access.required and self._access.granted(request.headers.getall("Authorization", []))
        if request.method not in ("GET", "HEAD"):
            return http_page.response(http_page.text("only GET and HEAD are answered", 405), Allow="GET, HEAD")
        if request.body_exists:
            return http_page.response(http_page.text("a request has no body here", 413))
        if self._access.required and not granted and not (route is not None and route.open):
            return http_page.response(
                http_page.text("credentials are needed", 401), WWW_Authenticate=self._access.challenge
            )
        if route is None or (route.private and not self._may_see_evidence(request)):
            return http_page.response(http_page.text("not found", 404))
        return None

    def _may_see_evidence(self, request: web.BaseRequest) -> bool:
        """With authentication (checked before), or from this machine to a server that serves nobody else."""
        if self._access.required:
            return True
        return (
            self._shows_evidence
            and _from_this_machine(request)
            and not any(name.lower().startswith(_FORWARDED) for name in request.headers)
            and names_loopback(request.headers.getall("Host", []), self._port, 443 if self._scheme == "https" else 80)
        )

    async def _bounded(self, request: web.BaseRequest, route: _Route) -> Body:
        try:
            return await route.answer(request)
        except (ConfigError, ActionError) as error:
            return http_page.as_json({"error": str(error)}, 400)
        except BusyError as error:
            return http_page.text(f"busy: {error}", 503)
        except TimeoutError:
            self._log.warning("%s was not answered in time", request.path)
            return http_page.text("no answer in time; see the daemon's log", 503)
        except CallFailedError as error:
            self._log.error("%s failed: %s", request.path, error, exc_info=error.__cause__)
            return http_page.text("internal error; see the daemon's log", 500)

    # -- answers --------------------------------------------------------------------------------------------------

    async def _scrape(self, request: web.BaseRequest) -> Body:
        if not self._ready():
            return http_page.text("starting: not every plugin is initialised yet", 503)
        accept = canonical_accept(",".join(request.headers.getall("Accept", [])))
        return await _made(request, self._renders, accept, lambda: Body(*self._render(accept)), SCRAPE_TIMEOUT)

    async def _is_ready(self, _request: web.BaseRequest) -> Body:
        return http_page.text("ready") if self._ready() else http_page.text("starting", 503)

    async def _health(self, request: web.BaseRequest) -> Body:
        details = self._may_see_evidence(request)
        return await _made(
            request, self._statuses, details, lambda: http_page.health(self._status(), details=details), CALL_TIMEOUT
        )

    async def _page(self, request: web.BaseRequest) -> Body:
        endpoint = self._config.endpoint
        return await _made(
            request, self._queries, "/", lambda: http_page.status_page(self._status(), endpoint), CALL_TIMEOUT
        )

    async def _query(self, request: web.BaseRequest) -> Body:
        name, query = request.path.removeprefix(API), dict(request.query)
        key = (name, tuple(sorted(query.items())))
        return await _made(request, self._queries, key, lambda: http_page.as_json(self._api[name](query)), CALL_TIMEOUT)


def _from_this_machine(request: web.BaseRequest) -> bool:
    peer = None if request.transport is None else request.transport.get_extra_info("peername")
    return isinstance(peer, tuple) and is_loopback(peer[0])


async def _made(
    request: web.BaseRequest, calls: SharedCalls, key: Hashable, make: Callable[[], Body], timeout: float
) -> Body:
    """What `make` returns, compressed when the client accepts that, by a call shared with all that ask for the same."""
    gzip = http_page.accepts_gzip(request.headers.get("Accept-Encoding", ""))

    def work() -> Body:
        body = make()
        return body.compressed() if gzip else body

    return await calls.run((key, gzip), work, timeout)

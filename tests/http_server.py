"""An HTTP server in this process with a back-end that a test sets, and a client that can misbehave."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from ironpost_core import ActionError, ConfigError, Metrics, MetricSpec, Problem, State
from ironpost_core.config import MetricsConfig
from ironpost_daemon.exposition import PluginCollector, ShieldedRegistry, render
from ironpost_daemon.http import HttpServer
from ironpost_daemon.http_connections import Limits
from ironpost_daemon.status import DaemonStatus, Life, PartStatus, PluginStatus

PATIENCE = 30.0
NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
EVIL = '<script>alert("x")</script>'


Serve = Callable[..., "Client"]


def config(**settings: Any) -> MetricsConfig:
    """The section, with port 0 (any free one), which users can't set."""
    with attrs.validators.disabled():
        return MetricsConfig(**{"port": 0, **settings})


def plugin(name: str = "canary", health: State = State.HEALTHY, life: Life = Life.RUNNING) -> PluginStatus:
    return PluginStatus(
        name=name,
        distribution="canary",
        version="1",
        entry_point="canary:Canary",
        life=life,
        health=health,
        reason="" if health is State.HEALTHY else EVIL,
        since=NOW,
    )


def daemon_status(*plugins: PluginStatus, parts: tuple[PartStatus, ...] = ()) -> DaemonStatus:
    return DaemonStatus(
        version="0.1.0",
        commit="abc",
        python_version="3.11",
        pid=1,
        host="web1",
        started=NOW,
        uptime=1.0,
        ready=True,
        metrics_url=None,
        plugins=plugins or (plugin(),),
        parts=parts,
    )


def small_registry() -> ShieldedRegistry:
    registry = ShieldedRegistry(on_failure=lambda *_: None)
    metrics = Metrics([MetricSpec(name="canary_seen_total", kind="counter", help="Things seen")])
    registry.register(PluginCollector("canary", metrics, on_failure=lambda *_: None))
    return registry


@attrs.define
class Backend:
    """What the server asks, as plain attributes that a test sets."""

    registry: ShieldedRegistry = attrs.field(factory=small_registry)
    is_ready: bool = True
    answer: DaemonStatus = attrs.field(factory=daemon_status)
    status_hook: Callable[[], object] = lambda: None
    render_hook: Callable[[], object] = lambda: None
    renders: int = 0

    def render(self, accept: str) -> tuple[bytes, str]:
        self.renders += 1
        self.render_hook()
        return render(self.registry, accept)

    def status(self) -> DaemonStatus:
        self.status_hook()
        return self.answer

    def large(self, size: int) -> None:
        """Make the exposition larger by that many bytes."""
        metrics = Metrics([MetricSpec(name="large_x", kind="gauge", help="x" * size)])
        self.registry.register(PluginCollector("large", metrics, on_failure=lambda *_: None))

    @staticmethod
    def alerts(query: Mapping[str, str]) -> Any:
        if "limit" in query and not query["limit"].isdigit():
            raise ConfigError([Problem(where="alerts.limit", what="is no number")])
        if query.get("plugin") == "refused":
            raise ActionError("no")
        if query.get("plugin") == "broken":
            raise KeyError("secret detail")
        return [{"query": dict(query), "time": NOW}]


@attrs.define
class Client:
    """Requests to one server, each on a connection of its own."""

    server: HttpServer
    port: int
    tls: ssl.SSLContext | None = None

    def connection(self) -> http.client.HTTPConnection:
        if self.tls is not None:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def request(
        self, path: str, method: str = "GET", *, body: bytes | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return answer, answer.read()

    def status(self, path: str, method: str = "GET", **headers: str) -> int:
        return self.request(path, method, body=None, **headers)[0].status

    def json(self, path: str, **headers: str) -> Any:
        return json.loads(self.request(path, body=None, **headers)[1])

    def raw(self, data: bytes) -> bytes:
        """Send these bytes and read until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            return read_all(connection)

    def opened(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes, in whatever way."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            data += chunk
    return data


def announce_and_wait(entered: threading.Event, release: threading.Event) -> None:
    """What a hanging callback does: says that it was called, and waits."""
    entered.set()
    release.wait(PATIENCE)


def wait_for(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not come")


@contextlib.contextmanager
def serving(backend: Backend) -> Iterator[Serve]:
    """What starts servers on `backend`; they are stopped at the end, and must have ended then."""
    with contextlib.ExitStack() as stack:

        def start(limits: Limits | None = None, tls: ssl.SSLContext | None = None, **settings: Any) -> Client:
            server = HttpServer(
                config(**settings),
                render=backend.render,
                ready=lambda: backend.is_ready,
                status=backend.status,
                api={"status": lambda _: backend.answer.to_dict(), "alerts": backend.alerts},
                log=logging.getLogger("ironpost.http"),
                limits=limits,
            )
            server.start()
            stack.callback(lambda: check_stopped(server))
            return Client(server, int(server.url.rpartition(":")[2].partition("/")[0]), tls)

        yield start


def check_stopped(server: HttpServer) -> None:
    assert server.stop(PATIENCE)

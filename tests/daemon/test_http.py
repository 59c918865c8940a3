"""The HTTP server over real sockets: what it serves, and what fails behind it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gzip
import json
import logging
import threading

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from http_server import (
    EVIL,
    PATIENCE,
    Backend,
    Client,
    Serve,
    announce_and_wait,
    config,
    daemon_status,
    plugin,
)
from ironpost_core import Metrics, MetricSpec, State
from ironpost_core.instruments import Reading
from ironpost_daemon.exposition import PluginCollector
from ironpost_daemon.http import HttpServer
from ironpost_daemon.status import DaemonStatus, Life, PartStatus


def test_metrics_are_served_as_text_and_as_openmetrics(serve: Serve) -> None:
    client = serve()
    answer, body = client.request("/metrics")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert [family.name for family in parse_text(body.decode())] == ["ironpost_canary_seen"]
    answer, body = client.request("/metrics", Accept="application/openmetrics-text;version=1.0.0,*/*;q=0.1")
    assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = parse_openmetrics(body.decode())  # type: ignore[no-untyped-call]
    assert [family.name for family in families] == ["ironpost_canary_seen"]


def test_the_endpoint_and_the_url_follow_the_configuration(serve: Serve) -> None:
    client = serve(endpoint="/own/path")
    assert client.server.url == f"http://127.0.0.1:{client.port}/own/path"
    assert client.status("/own/path") == 200
    assert client.status("/metrics") == 404


def test_before_the_daemon_is_ready_metrics_and_ready_say_so(serve: Serve, backend: Backend) -> None:
    backend.is_ready = False
    client = serve()
    answer, body = client.request("/metrics")
    assert (answer.status, body.count(b"\n")) == (503, 1)
    assert client.status("/ready") == 503
    assert client.status("/health") == 200
    backend.is_ready = True
    assert client.status("/metrics") == client.status("/ready") == 200


@pytest.mark.parametrize(
    ("answer", "code", "word"),
    [
        (daemon_status(), 200, "healthy"),
        (daemon_status(plugin(), plugin("sick", State.UNHEALTHY, Life.FAILED)), 200, "degraded"),
        (daemon_status(plugin("sick", State.UNHEALTHY, Life.FAILED)), 503, "unhealthy"),
        (daemon_status(parts=(PartStatus(name="history", health=State.UNHEALTHY, vital=True),)), 503, "unhealthy"),
    ],
)
def test_health_is_an_error_only_when_restarting_would_help(
    serve: Serve, backend: Backend, answer: DaemonStatus, code: int, word: str
) -> None:
    backend.answer = answer
    response, body = serve().request("/health")
    data = json.loads(body)
    assert (response.status, data["status"]) == (code, word)
    assert [entry["name"] for entry in data["plugins"]] == [entry.name for entry in answer.plugins]
    assert set(data["plugins"][0]) >= {"life", "health", "reason", "since"}


def test_the_api_answers_with_json_and_refuses_bad_queries(serve: Serve) -> None:
    client = serve()
    assert client.json("/api/v1/status")["version"] == "0.1.0"
    assert client.json("/api/v1/alerts?limit=3&plugin=a")[0]["query"] == {"limit": "3", "plugin": "a"}
    answer, body = client.request("/api/v1/alerts?limit=many")
    assert answer.status == 400
    assert "alerts.limit" in json.loads(body)["error"]
    assert client.status("/api/v1/alerts?plugin=refused") == 400
    answer, body = client.request("/api/v1/alerts?plugin=broken")
    assert answer.status == 500
    assert b"secret detail" not in body


def test_the_status_page_escapes_and_forbids_scripts(serve: Serve, backend: Backend) -> None:
    backend.answer = daemon_status(plugin(EVIL, State.DEGRADED))
    answer, body = serve().request("/")
    assert answer.status == 200
    assert b"&lt;script&gt;" in body
    assert b"<script" not in body
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", "/metrics", "/health", "/ready", "/nope", "/api/v1/alerts"])
def test_every_answer_has_the_security_headers_and_no_banner(serve: Serve, path: str) -> None:
    answer, _ = serve().request(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] == "ironpost"


def test_what_is_large_is_compressed_for_who_accepts_it(serve: Serve, backend: Backend) -> None:
    backend.large(5_000)
    client = serve()
    _, plain = client.request("/metrics")
    answer, packed = client.request("/metrics", Accept_Encoding="deflate, gzip;q=0.5")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(packed) < len(plain)
    assert gzip.decompress(packed) == plain
    for refused in ("identity", "gzip;q=0", "br"):
        assert "Content-Encoding" not in client.request("/metrics", Accept_Encoding=refused)[0].headers


@pytest.mark.parametrize(
    "path", ["/nope", "/metrics/", "/metrics2", "/api/v1/", "/api/v1/nope", "/api/v2/status", "//"]
)
def test_an_unknown_path_is_not_found(serve: Serve, path: str) -> None:
    assert serve().status(path) == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"])
def test_any_other_method_is_refused_with_those_allowed(serve: Serve, method: str) -> None:
    for path in ("/metrics", "/nope"):
        answer, _ = serve().request(path, method)
        assert answer.status in (405, 400)
        assert answer.status == 400 or answer.headers["Allow"] == "GET, HEAD"


def test_head_gives_the_headers_without_the_body(serve: Serve) -> None:
    client = serve()
    answer, body = client.request("/metrics", "HEAD")
    assert (answer.status, body) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(client.request("/metrics")[1])


def test_a_request_with_a_body_is_refused_and_its_connection_closed(serve: Serve) -> None:
    client = serve()
    answer, _ = client.request("/metrics", "GET", body=b"x" * 10)
    assert (answer.status, answer.headers["Connection"]) == (413, "close")
    answer, _ = client.request("/metrics", "POST", body=b"x" * 10)
    assert (answer.status, answer.headers["Connection"]) == (405, "close")


def test_a_connection_is_kept_for_the_next_scrape(serve: Serve) -> None:
    with contextlib.closing(serve().connection()) as connection:
        for _ in range(3):
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (200, True)


def test_scrapes_answer_while_status_queries_and_readers_hang(
    serve: Serve, backend: Backend, release: threading.Event
) -> None:
    def hang() -> Reading:
        release.wait(PATIENCE)
        return {}

    def raises() -> Reading:
        raise RuntimeError("reader")

    for name, reader in (("stuck", hang), ("bad", raises)):
        metrics = Metrics([MetricSpec(name=f"{name}_x", kind="gauge", help="X")])
        metrics.read_with(reader)
        backend.registry.register(PluginCollector(name, metrics, on_failure=lambda *_: None))
    entered = threading.Event()
    backend.status_hook = lambda: announce_and_wait(entered, release)
    client = serve()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(client.status, path) for path in ("/health", "/") for _ in range(10)]
        assert entered.wait(PATIENCE)
        for _ in range(3):
            assert client.status("/metrics") == 200
        assert client.status("/ready") == 200
        release.set()
        assert {future.result(PATIENCE) for future in waiting} <= {200, 503}


def test_scrapers_at_once_share_one_rendering(serve: Serve, backend: Backend, release: threading.Event) -> None:
    entered = threading.Event()
    backend.render_hook = lambda: announce_and_wait(entered, release)
    client = serve()
    connections = [client.connection() for _ in range(20)]
    with contextlib.ExitStack() as stack:
        for connection in connections:
            stack.enter_context(contextlib.closing(connection))
            connection.request("GET", "/metrics")
        assert entered.wait(PATIENCE)
        # A request that is answered was read after those: all of them have arrived.
        assert client.status("/ready") == 200
        release.set()
        assert {connection.getresponse().status for connection in connections} == {200}
    assert backend.renders < 20


def test_a_rendering_that_raises_is_an_internal_error_without_details(serve: Serve, backend: Backend) -> None:
    def fail() -> None:
        raise SystemExit("detail")

    backend.render_hook = fail
    client = serve()
    answer, body = client.request("/metrics")
    assert answer.status == 500
    assert b"detail" not in body
    backend.render_hook = lambda: None
    assert client.status("/metrics") == 200


def test_a_rendering_that_hangs_is_given_up_in_time(
    serve: Serve, backend: Backend, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironpost_daemon.http.SCRAPE_TIMEOUT", 0.05)
    backend.render_hook = lambda: release.wait(PATIENCE)
    client = serve()
    assert [client.status("/metrics") for _ in range(3)] == [503] * 3
    assert backend.renders == 1


def test_too_many_different_queries_at_once_are_told_so(
    serve: Serve, backend: Backend, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironpost_daemon.http.CALL_TIMEOUT", 0.05)
    monkeypatch.setattr(Backend, "alerts", staticmethod(lambda _: release.wait(PATIENCE)))
    client = serve()
    answers = [client.request(f"/api/v1/alerts?limit={number}") for number in range(6)]
    assert {answer.status for answer, _ in answers} == {503}
    assert answers[-1][1].startswith(b"busy")
    assert answers[-1][0].headers["Retry-After"] == "5"
    assert client.status("/metrics") == client.status("/health") == 200


def test_stop_ends_while_a_rendering_hangs(backend: Backend, release: threading.Event) -> None:
    entered = threading.Event()
    backend.render_hook = lambda: announce_and_wait(entered, release)
    server = HttpServer(
        config(),
        render=backend.render,
        ready=lambda: True,
        status=backend.status,
        api={},
        log=logging.getLogger("ironpost.http"),
    )
    assert server.stop(0)
    server.start()
    client = Client(server, int(server.url.rpartition(":")[2].partition("/")[0]))
    with contextlib.closing(client.connection()) as connection:
        connection.request("GET", "/metrics")
        assert entered.wait(PATIENCE)
        assert server.stop(1.0)
    release.set()
    with pytest.raises(ConnectionRefusedError):
        client.opened()
    assert server.stop(1.0)

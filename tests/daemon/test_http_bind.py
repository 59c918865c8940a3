"""The metrics address: taken, foreign, IPv6, TLS."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from http_server import (
    PATIENCE,
    Serve,
    config,
    daemon_status,
    read_all,
)
from ironpost_core import ConfigError, Secret
from ironpost_daemon.http import HttpServer
from ironpost_daemon.http_connections import Limits


def unstartable(**settings: Any) -> str:
    server = HttpServer(
        config(**settings),
        render=lambda _: (b"", ""),
        ready=lambda: True,
        status=daemon_status,
        api={},
        log=logging.getLogger("ironpost.http"),
    )
    with pytest.raises(ConfigError) as caught:
        server.start()
    assert server.stop(1.0)
    return str(caught.value)


def test_a_taken_port_is_named_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = unstartable(port=port)
        assert f"127.0.0.1 port {port} is taken" in text
        assert "[metrics] port" in text
        assert "node_exporter" not in text


def test_the_default_port_is_node_exporters_too() -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", 9100)))
        assert "node_exporter's port" in unstartable(port=9100)


@pytest.mark.parametrize("address", ["203.0.113.7", "no.such.name.invalid", "a" * 300, "::g"])
def test_an_address_that_is_not_ours_is_named_with_its_setting(address: str) -> None:
    assert "[metrics] listen_addr" in unstartable(listen_addr=address, port=0)


def test_ipv6_loopback_is_served_where_there_is_one(serve: Serve) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    client = serve(listen_addr="::1")
    assert client.server.url == f"http://[::1]:{client.port}/metrics"
    with contextlib.closing(http.client.HTTPConnection("::1", client.port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().status == 200


def test_localhost_is_served_on_all_its_addresses(serve: Serve) -> None:
    client = serve(listen_addr="localhost")
    assert client.status("/", Host=f"localhost:{client.port}") == 200


def test_a_secret_that_can_not_be_read_or_is_empty_is_refused(tmp_path: Path) -> None:
    missing = str(tmp_path / "token")
    assert missing in unstartable(port=0, bearer_token=Secret(missing, "file"))
    assert "metrics.bearer_token: is empty" in unstartable(port=0, bearer_token=Secret(""))


# -- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
         "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return cert, key


def test_tls_serves_and_drops_who_does_not_finish_the_handshake(serve: Serve, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    context = ssl.create_default_context(cafile=str(cert))
    client = serve(Limits(connections=8, handshake=1.0), tls=context, tls_cert=cert, tls_key=key)
    assert client.server.url.startswith("https://127.0.0.1:")
    assert client.status("/metrics") == 200
    assert client.status("/", Host=f"localhost:{client.port}") == 200
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(client.opened()) for _ in range(20)]
        held[-1].sendall(b"\x16\x03\x01")
        assert client.status("/metrics") == 200
        assert {read_all(connection) for connection in held} == {b""}
    assert client.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")[:4] != b"HTTP"
    assert client.status("/metrics") == 200


def test_stop_drops_handshakes_and_idle_connections(serve: Serve, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    context = ssl.create_default_context(cafile=str(cert))
    client = serve(tls=context, tls_cert=cert, tls_key=key)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(client.opened()) for _ in range(3)]
        idle = stack.enter_context(contextlib.closing(client.connection()))
        idle.connect()
        assert client.status("/metrics") == 200
        assert client.server.stop(PATIENCE)
        assert {read_all(connection) for connection in held} == {b""}


def test_old_tls_is_refused(serve: Serve, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    context = ssl.create_default_context(cafile=str(cert))
    client = serve(tls=context, tls_cert=cert, tls_key=key)
    with client.opened() as connection, context.wrap_socket(connection, server_hostname="127.0.0.1") as wrapped:
        assert wrapped.version() in ("TLSv1.2", "TLSv1.3")


def test_certificates_that_can_not_be_used_are_named(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    missing, broken, locked = tmp_path / "missing.pem", tmp_path / "broken.pem", tmp_path / "locked.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked], check=True)
    assert f"{missing} can't be read" in unstartable(port=0, tls_cert=missing, tls_key=key)
    assert "[metrics] tls_key" in unstartable(port=0, tls_cert=cert, tls_key=missing)
    for pair in ((broken, key), (cert, broken), (key, cert), (cert, locked)):
        text = unstartable(port=0, tls_cert=pair[0], tls_key=pair[1])
        assert str(pair[0]) in text
        assert "unencrypted PEM key" in text

"""Who may see what over HTTP."""

from __future__ import annotations

import base64

import pytest

from http_server import (
    Serve,
)
from ironpost_core import Secret


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_evidence_is_shown_to_who_names_this_machine(serve: Serve, host: str) -> None:
    client = serve()
    for path in ("/", "/api/v1/alerts"):
        assert client.status(path, Host=f"{host}:{client.port}") == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}",
        "localhost:1",
        "localhost",
        "127.0.0.1.evil.example:{port}",
        "10.0.0.1:{port}",
        "",
        "0:{port}",
        "localhost:{port}:{port}",
        "[::1:{port}",
        "localhost:99999999",
    ],
)
def test_evidence_is_hidden_from_a_rebound_name(serve: Serve, host: str) -> None:
    client = serve()
    name = host.format(port=client.port)
    for path in ("/", "/api/v1/alerts"):
        assert client.status(path, Host=name) == 404
    assert "plugins" not in client.json("/health", Host=name)
    assert client.status("/metrics", Host=name) == 200


def test_evidence_is_hidden_behind_a_proxy_and_from_two_host_headers(serve: Serve) -> None:
    client = serve()
    for header in ("X_Forwarded_For", "X_Forwarded_Host", "x_forwarded_proto", "X_Real_IP", "Via", "Forwarded"):
        assert client.status("/", **{header: "203.0.113.7"}) == 404
    host = f"Host: 127.0.0.1:{client.port}\r\n".encode()
    twice = client.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n" + host + b"Host: evil.example\r\n\r\n")
    assert twice.split()[1] in (b"404", b"400")
    assert client.raw(b"GET / HTTP/1.0\r\n\r\n").split()[1] == b"404"


def test_an_open_address_shows_no_evidence_and_no_details(serve: Serve) -> None:
    client = serve(listen_addr="0.0.0.0")
    assert [client.status(path) for path in ("/", "/api/v1/alerts", "/api/v1/status")] == [404] * 3
    assert client.json("/health") == {"status": "healthy"}
    assert client.status("/metrics") == client.status("/ready") == 200


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_with_authentication_everything_but_ready_needs_it(serve: Serve, address: str) -> None:
    client = serve(
        listen_addr=address,
        basic_auth_user="pröm",
        basic_auth_password=Secret("pass:wörd"),
        bearer_token=Secret("t0ken"),
    )
    for path in ("/metrics", "/health", "/", "/api/v1/alerts", "/nope"):
        answer, _ = client.request(path)
        assert (answer.status, answer.headers["WWW-Authenticate"][:5]) == (401, "Basic")
    assert client.status("/ready") == 200
    for credentials in (basic("pröm", "pass:wörd"), "Bearer t0ken", "bearer  t0ken"):
        for path in ("/metrics", "/health", "/", "/api/v1/alerts"):
            assert client.status(path, Authorization=credentials, Host="any.example") == 200
        assert client.status("/nope", Authorization=credentials) == 404


@pytest.mark.parametrize(
    "credentials",
    [
        basic("prom", "wrong"),
        basic("", ""),
        "Basic",
        "Basic !!",
        "Basic äöü",
        "Bearer",
        "Bearer wrong",
        "Digest secret",
        "secret",
        "",
    ],
)
def test_wrong_credentials_are_refused(serve: Serve, credentials: str) -> None:
    client = serve(basic_auth_user="prom", basic_auth_password=Secret("secret"), bearer_token=Secret("secret2"))
    assert client.status("/metrics", Authorization=credentials) == 401


def test_one_kind_of_credentials_does_not_pass_for_the_other(serve: Serve) -> None:
    token_only = serve(bearer_token=Secret("t"))
    answer, _ = token_only.request("/metrics", Authorization=basic("", ""))
    assert (answer.status, answer.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
    password_only = serve(basic_auth_user="u", basic_auth_password=Secret("p"))
    assert password_only.status("/metrics", Authorization="Bearer p") == 401

"""Hostile and slow clients: refused or bounded, and scrapes go on."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from asyncio.selector_events import BaseSelectorEventLoop
from typing import Any

import pytest

from http_server import (
    Backend,
    Serve,
    announce_and_wait,
    read_all,
    wait_for,
)
from ironpost_core import Metrics, MetricSpec
from ironpost_daemon.exposition import PluginCollector
from ironpost_daemon.http_connections import Limits


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 1_000_000,
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"\x00\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"get /metrics\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nbroken header\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=[
        "long-line",
        "long-header",
        "long-unfinished",
        "many-headers",
        "tls-hello",
        "nul",
        "odd-version",
        "no-version",
        "no-colon",
        "negative-length",
        "length-and-chunks",
    ],
)
def test_a_broken_or_huge_request_is_refused_and_scrapes_go_on(serve: Serve, request_bytes: bytes) -> None:
    client = serve(Limits(request=1.0, tick=0.05))
    answer = client.raw(request_bytes)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert b"aiohttp" not in answer
    assert b"Python" not in answer
    assert client.status("/metrics") == 200


def test_200_half_open_connections_leave_scrapes_alone_and_are_dropped(serve: Serve) -> None:
    client = serve(Limits(request=3.0, tick=0.1))
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(client.opened()) for _ in range(200)]
        for number, connection in enumerate(held):
            if number % 2:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow:")
        for _ in range(20):
            assert client.status("/metrics") == 200
        assert {read_all(connection) for connection in held} == {b""}
    assert client.status("/metrics") == 200


def test_a_slow_client_that_keeps_sending_is_dropped_all_the_same(serve: Serve) -> None:
    client = serve(Limits(request=0.5, tick=0.05))
    with client.opened() as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        with pytest.raises(ConnectionError):  # noqa: PT012 - some write after the close fails
            for number in range(100_000):
                connection.sendall(b"X-%d: y\r\n" % number)
                connection.settimeout(0.02)
                with contextlib.suppress(TimeoutError):
                    if connection.recv(1) == b"":
                        raise ConnectionResetError
    assert client.status("/metrics") == 200


def test_a_client_that_does_not_read_its_answer_is_dropped(serve: Serve, backend: Backend) -> None:
    backend.registry.register(
        PluginCollector(
            "big", Metrics([MetricSpec(name="big_x", kind="gauge", help="x" * 9_000_000)]), on_failure=print
        )
    )
    client = serve(Limits(idle=0.5, tick=0.05))
    with client.opened() as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: len(client.server._connections) == 1)
        wait_for(lambda: len(client.server._connections) == 0)
        assert len(read_all(connection)) < 9_000_000
    assert client.status("/ready") == 200


def test_beyond_the_bound_the_longest_idle_connection_goes(serve: Serve) -> None:
    client = serve(Limits(connections=10))
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(client.opened()) for _ in range(30)]
        assert client.status("/metrics") == 200
        assert read_all(held[0]) == b""
        assert len(client.server._connections) <= 10
        held[-1].sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held[-1].recv(12) == b"HTTP/1.1 200"


def test_when_all_connections_are_worked_on_a_new_one_is_closed(
    serve: Serve, backend: Backend, release: threading.Event
) -> None:
    entered = threading.Event()
    backend.render_hook = lambda: announce_and_wait(entered, release)
    client = serve(Limits(connections=2))
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(client.opened()) for _ in range(2)]
        for connection in held:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: sum(known.busy for known in client.server._connections._open.values()) == 2)
        with client.opened() as third:
            assert read_all(third) == b""
        release.set()
        assert {connection.recv(12) for connection in held} == {b"HTTP/1.1 200"}


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    request = b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = serve().raw(request * 40 + last)
    assert answer.count(b"HTTP/1.1 200") == 40
    assert answer.count(b"HTTP/1.1 404") == 1


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ECONNABORTED])
def test_a_failing_accept_is_survived(serve: Serve, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    accept = BaseSelectorEventLoop.sock_accept
    failures = iter([True])

    async def failing(loop: BaseSelectorEventLoop, listener: socket.socket) -> Any:
        if next(failures, False):
            raise OSError(number, os.strerror(number))
        return await accept(loop, listener)

    monkeypatch.setattr(BaseSelectorEventLoop, "sock_accept", failing)
    assert serve(Limits(tick=0.01)).status("/metrics") == 200
    assert not next(failures, False)


def test_when_no_thread_can_be_started_a_scrape_is_told_busy(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve()
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "ironpost-http-render":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    answer, body = client.request("/metrics")
    assert (answer.status, body) == (503, b"busy: no thread can be started: can't start new thread\n")
    assert client.status("/health") == 200

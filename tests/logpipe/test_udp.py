from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network

import pytest

from ironpost_core.clock import SystemClock
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.config import SyslogSource
from ironpost_logpipe.udp import UdpListener
from logpipe.listeners import PATIENCE, Running


@pytest.fixture
def running() -> Iterator[Running]:
    with Running(SyslogSource(listen="127.0.0.1:0")) as started:
        yield started


def send(running: Running, *datagrams: bytes) -> None:
    assert running.listener.address is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, running.listener.address)


def test_any_bytes_arrive_and_are_counted(running: Running) -> None:
    datagrams = [b"", b"\0", b"\xff\xfe", b"<34>1 - - - - - [", b"a\nb", b"x" * 65_507, b"<13>hello"]
    send(running, *datagrams)
    assert running.lines(len(datagrams)) == datagrams
    assert running.buffer.tally().collected == len(datagrams)


def test_senders_are_known(running: Running) -> None:
    send(running, b"x")
    running.until(lambda: running.buffer.tally().collected == 1)
    (chunk,) = running.buffer.take(1, 1)
    assert list(chunk.senders) == ["127.0.0.1"]
    assert chunk.source.live


def test_a_burst_is_taken_whole_or_counted(running: Running) -> None:
    send(running, *[b"<13>message %d" % number for number in range(5000)])
    running.until(lambda: running.buffer.tally().collected + running.listener.socket_drops >= 5000)


@pytest.mark.parametrize(("networks", "accepted"), [(("10.0.0.0/8",), 0), (("127.0.0.0/8",), 3)])
def test_only_those_allowed_may_send(networks: tuple[str, ...], accepted: int) -> None:
    config = SyslogSource(listen="127.0.0.1:0", allow_from=tuple(map(IPv4Network, networks)))
    with Running(config) as started:
        send(started, b"a", b"b", b"c")
        started.until(lambda: started.listener.refused["address"] + started.buffer.tally().collected == 3)
        assert started.buffer.tally().collected == accepted
        started.until(lambda: started.listener.status.entries[0]["refused_datagrams"] == 3 - accepted)


def test_networks_of_the_other_family_are_no_match() -> None:
    config = SyslogSource(allow_from=(IPv6Network("2001:db8::/32"), IPv4Network("192.0.2.0/24")))
    listener = UdpListener(
        config, buffer=Buffer(10, 10), clock=SystemClock(), stopping=threading.Event(), log=logging.getLogger("test")
    )
    assert listener._in_networks("::ffff:192.0.2.1")
    assert listener._in_networks("2001:db8::1%eth0")
    assert not listener._in_networks("::1")


def test_a_port_that_is_taken_is_named_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ironpost_logpipe.listening._RETRY", 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with Running(SyslogSource(listen=f"127.0.0.1:{port}")) as started:
            trouble = started.listener.status.trouble
            assert f"syslog 127.0.0.1:{port}/udp: can't listen: Address already in use" in trouble
            assert "see who listens there" in trouble
            other.close()
            started.until(lambda: started.listener.address is not None)
            started.until(lambda: not started.listener.status.trouble)
    assert caplog.text.count("can't listen") == 1


def test_all_addresses_mean_both_families() -> None:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with Running(SyslogSource(listen=":0")) as started:
        assert started.listener.address is not None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("127.0.0.1", started.listener.address[1]))
        assert started.lines(1) == [b"x"]


def test_what_the_kernel_drops_is_counted_though_nothing_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironpost_logpipe.udp._WANTED_BUFFER", 8192)
    started = Running(SyslogSource(listen="127.0.0.1:0"))
    opened = started.listener._bind()
    send(started, *[b"<13>%d" % number for number in range(300)])
    monkeypatch.setattr(started.listener, "_bind", lambda: opened)
    with started:
        started.until(lambda: started.listener.socket_drops + started.buffer.tally().collected == 300)
        assert 0 < started.buffer.tally().collected < 300


def test_a_low_port_needs_more_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = UdpListener(
        SyslogSource(listen="127.0.0.1:514"),
        buffer=Buffer(10, 10),
        clock=SystemClock(),
        stopping=threading.Event(),
        log=logging.getLogger("test"),
    )
    error = listener._unbindable(PermissionError(13, "Permission denied"))
    assert "CAP_NET_BIND_SERVICE" in str(error)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forking beside threads is the point
def test_a_forked_child_does_not_keep_the_port() -> None:
    with Running(SyslogSource(listen="127.0.0.1:0")) as started:
        address = started.listener.address
        assert address is not None
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
    try:
        deadline = time.monotonic() + PATIENCE  # the child closes its copy once it runs
        while not can_bind(address):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def can_bind(address: tuple[str, int]) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(address)
        except OSError:
            return False
        return True

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

import pytest

from ironpost_core.settings import Duration
from ironpost_core.testing import FakeClock
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import MAX_LINE
from ironpost_logpipe.config import SyslogSource
from logpipe.listeners import PATIENCE, Running


def config(**changes: Any) -> SyslogSource:
    return SyslogSource(listen="127.0.0.1:0", protocol="tcp", **changes)


@pytest.fixture
def running() -> Iterator[Running]:
    with Running(config()) as started:
        yield started


def connect(running: Running) -> socket.socket:
    return socket.create_connection(running.address, timeout=PATIENCE)


def ended(connection: socket.socket) -> bool:
    """Whether the listener closed it; waits for that."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_both_framings_arrive_from_two_senders_at_once(running: Running) -> None:
    with connect(running) as lines, connect(running) as counted:
        for number in range(100):
            lines.sendall(b"<13>line %d\n" % number)
            message = b"<13>counted\n%d" % number
            counted.sendall(b"%d %s" % (len(message), message))
        found = running.lines(200)
    assert [line for line in found if b"line" in line] == [b"<13>line %d" % number for number in range(100)]
    assert [line for line in found if b"counted" in line] == [b"<13>counted\n%d" % number for number in range(100)]
    assert running.buffer.tally().collected == 200


def test_messages_split_over_packets_are_put_together(running: Running) -> None:
    with connect(running) as sender:
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"11 <13>one\ntwo9 <13>three":
            sender.sendall(bytes([byte]))
        assert running.lines(2) == [b"<13>one\ntwo", b"<13>three"]


def test_senders_are_known_and_lines_live(running: Running) -> None:
    with connect(running) as sender:
        sender.sendall(b"<13>x\n<13>y\n")
        running.until(lambda: running.buffer.tally().collected == 2)
    (chunk,) = running.buffer.take(10, 1)
    assert list(chunk.senders) == ["127.0.0.1", "127.0.0.1"]
    assert chunk.source.live
    assert str(chunk.source.trust) == "claimed"


def test_a_last_line_without_an_end_counts_when_the_sender_closes_in_order(running: Running) -> None:
    with connect(running) as sender:
        sender.sendall(b"<13>x\n<13>last")
    assert running.lines(2) == [b"<13>x", b"<13>last"]
    assert running.listener.framing_errors == 0


@pytest.mark.parametrize("sent", [b"3 abc20 broken off", b"<13>x\n<13>half", b"12"])
def test_what_breaks_off_with_a_reset_is_no_message_but_counted(running: Running, sent: bytes) -> None:
    with connect(running) as sender:
        sender.sendall(sent)
        running.until(lambda: running.entry("connections") == 1)
        running.until(lambda: any(peer.deframer.pending for peer in running.listener._peers.values()))  # type: ignore[attr-defined]
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    running.until(lambda: running.listener.framing_errors == 1)
    assert running.buffer.tally().collected == (sent != b"12")


def test_a_counted_message_that_breaks_off_is_counted(running: Running) -> None:
    with connect(running) as sender:
        sender.sendall(b"3 abc20 broken off")
    running.until(lambda: running.listener.framing_errors == 1)
    assert running.lines(1) == [b"abc"]


def test_a_broken_count_closes_its_connection_only(running: Running) -> None:
    with connect(running) as good, connect(running) as bad:
        good.sendall(b"3 abc")
        bad.sendall(b"3 xyz<13>no count\n3 def")
        assert ended(bad)
        good.sendall(b"3 def")
        assert sorted(running.lines(3)) == [b"abc", b"def", b"xyz"]
    running.until(lambda: running.listener.framing_errors == 1)


def test_a_message_that_is_too_long_is_cut_and_counted(running: Running) -> None:
    with connect(running) as sender:
        sender.sendall(b"<13>" + b"x" * (3 * MAX_LINE) + b"\n<13>next\n")
        found = running.lines(2)
    assert [len(line) for line in found] == [MAX_LINE, len(b"<13>next")]
    running.until(lambda: running.entry("cut_messages") == 1)


def test_one_thread_serves_two_hundred_senders(running: Running) -> None:
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(connect(running)) for _ in range(200)]
        for part in (b"<13>one ", b"message\n<13>another\n"):  # all of them are in the middle of one at some time
            for sender in senders:
                sender.sendall(part)
        assert sorted(running.lines(400)) == [b"<13>another"] * 200 + [b"<13>one message"] * 200
        running.until(lambda: running.entry("connections") == 200)
        assert threading.active_count() == before


@pytest.mark.parametrize(("network", "allowed"), [("10.0.0.0/8", False), ("127.0.0.0/8", True)])
def test_only_those_allowed_may_connect(network: str, allowed: bool) -> None:
    with Running(config(allow_from=(IPv4Network(network),))) as started, connect(started) as sender:
        with contextlib.suppress(ConnectionError):
            sender.sendall(b"<13>x\n")
        if allowed:
            assert started.lines(1) == [b"<13>x"]
        else:
            assert ended(sender)
        started.until(lambda: started.listener.refused["address"] == (not allowed))
        assert started.buffer.tally().collected == allowed


def test_further_connections_are_refused_and_the_others_live_on() -> None:
    with Running(config(max_connections=2)) as started, contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(connect(started)) for _ in range(2))
        started.until(lambda: started.entry("connections") == 2)
        assert ended(stack.enter_context(connect(started)))
        started.until(lambda: started.listener.refused["connections"] == 1)
        first.sendall(b"<13>x\n")
        assert started.lines(1) == [b"<13>x"]
        second.close()
        started.until(lambda: started.entry("connections") == 1)
        stack.enter_context(connect(started)).sendall(b"<13>y\n")
        assert started.lines(1) == [b"<13>y"]


def test_silent_connections_are_closed_and_others_not() -> None:
    clock = FakeClock()
    with Running(config(idle_timeout=Duration.parse("1m")), clock=clock) as started:
        with connect(started) as silent, connect(started) as speaking:
            started.until(lambda: started.entry("connections") == 2)
            clock.advance(45)
            speaking.sendall(b"<13>x\n")
            assert started.lines(1) == [b"<13>x"]
            clock.advance(45)
            assert ended(silent)
            speaking.sendall(b"<13>y\n")
            assert started.lines(1) == [b"<13>y"]
        started.until(lambda: started.entry("idle_connections_closed") == 1)


def test_a_full_buffer_makes_senders_wait_and_nothing_is_lost() -> None:
    buffer = Buffer(2000, 1 << 20)
    sent = [b"<13>message %d %s" % (number, b"x" * 200) for number in range(100_000)]
    with Running(config(), buffer=buffer) as started, connect(started) as sender:
        thread = threading.Thread(target=sender.sendall, args=(b"\n".join(sent) + b"\n",))
        thread.start()
        started.until(lambda: buffer.tally().collected > 0)
        before = -1
        while before != (before := buffer.tally().collected):  # it comes to a halt: nobody takes anything
            thread.join(0.5)
        assert before <= 1000
        assert thread.is_alive()
        assert started.lines(len(sent)) == sent
        thread.join(PATIENCE)
    tally = buffer.tally()
    assert (tally.collected, tally.dropped) == (len(sent), 0)


def test_what_was_read_when_it_ends_is_handed_over_or_counted() -> None:
    buffer = Buffer(10, 1 << 20)
    with Running(config(), buffer=buffer) as started, connect(started) as sender:
        sender.sendall(b"<13>x\n" * 1000)
        started.until(lambda: started.thread.is_alive() and buffer.tally().buffered > 0)
    tally = buffer.tally()
    assert tally.collected == 1000
    assert tally.collected == tally.dropped + tally.buffered


def test_a_limit_of_open_files_is_said_and_outlived(running: Running) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    client = socket.socket()
    lowest = os.dup(client.fileno())
    os.close(lowest)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
        client.connect(running.address)
        running.until(lambda: "can't accept" in running.listener.status.trouble)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with client:
        client.sendall(b"<13>x\n")
        assert running.lines(1) == [b"<13>x"]
    assert not running.listener.status.trouble


def test_a_port_that_is_taken_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with Running(SyslogSource(listen=f"127.0.0.1:{port}", protocol="tcp")) as started:
            assert f"syslog 127.0.0.1:{port}/tcp: can't listen: Address already" in started.listener.status.trouble
            assert "ss -ltnp" in started.listener.status.trouble
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forking beside threads is the point
def test_a_forked_child_holds_no_connection() -> None:
    with Running(config()) as started, connect(started) as sender:
        sender.sendall(b"<13>x\n")
        assert started.lines(1) == [b"<13>x"]
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        try:
            started.stopping.set()
            assert ended(sender)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

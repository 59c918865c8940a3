from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certificates import Pair, certificate
from ironpost_core.errors import SourceError
from ironpost_core.testing import FakeClock
from ironpost_logpipe.config import SyslogSource
from ironpost_logpipe.tcp import TcpListener
from ironpost_logpipe.tls import server_context
from logpipe.listeners import Running
from logpipe.test_tcp import connect, ended

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return certificate(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def server(authority: Pair) -> Pair:
    return certificate(authority.certificate.parent, "server", authority)


@pytest.fixture(scope="module")
def client(authority: Pair) -> Pair:
    return certificate(authority.certificate.parent, "client", authority)


def config(pair: Pair, **changes: Any) -> SyslogSource:
    return SyslogSource(listen="127.0.0.1:0", protocol="tls", tls_cert=pair.certificate, tls_key=pair.key, **changes)


@pytest.fixture
def running(server: Pair) -> Iterator[Running]:
    with Running(config(server)) as started:
        yield started


def shake_hands(running: Running, authority: Pair, client: Pair | None = None) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    return context.wrap_socket(connect(running), server_hostname="127.0.0.1")


def test_messages_arrive_encrypted(running: Running, authority: Pair) -> None:
    sent = [b"<13>message\n%d" % number for number in range(5000)]
    with shake_hands(running, authority) as sender:
        sender.sendall(b"".join(b"%d %s" % (len(message), message) for message in sent))
        assert running.lines(len(sent)) == sent
        assert sender.version() in ("TLSv1.2", "TLSv1.3")
        sender.unwrap()
    assert running.listener.framing_errors == 0
    assert str(running.listener._source.trust) == "claimed"


def test_a_sender_that_closes_right_after_writing_loses_nothing(running: Running, authority: Pair) -> None:
    for number in range(20):
        with shake_hands(running, authority) as sender:
            sender.sendall(b"<13>%d\n" % number * 1000)
        assert len(running.lines(1000)) == 1000


def test_a_line_that_was_cut_off_without_a_farewell_is_no_message(running: Running, authority: Pair) -> None:
    with shake_hands(running, authority) as sender:
        sender.sendall(b"<13>whole\n<13>from 203.0.113.7")
    running.until(lambda: running.listener.framing_errors == 1)
    assert running.lines(1) == [b"<13>whole"]
    assert running.buffer.tally().collected == 1


def test_old_versions_are_refused(running: Running) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with connect(running) as plain, pytest.raises(OSError, match=r"(?i)alert|version|protocol|reset"):
        context.wrap_socket(plain)
    running.until(lambda: running.listener.refused["tls"] == 1)


def test_who_speaks_no_tls_is_refused_and_counted(running: Running, authority: Pair) -> None:
    with connect(running) as sender:
        sender.sendall(b"<13>plain text\n")
        with contextlib.suppress(ConnectionResetError):
            while sender.recv(100):  # the alert that says so
                pass
    running.until(lambda: running.listener.refused["tls"] == 1)
    running.until(lambda: str(running.entry("last_handshake_error")).startswith("127.0.0.1: "))
    with shake_hands(running, authority) as good:
        good.sendall(b"<13>x\n")
        assert running.lines(1) == [b"<13>x"]
    assert running.buffer.tally().collected == 1


def test_a_stalled_handshake_harms_nobody_and_has_its_time(server: Pair, authority: Pair) -> None:
    clock = FakeClock()
    with Running(config(server), clock=clock) as started, connect(started) as stalled:
        stalled.sendall(b"\x16\x03\x01")
        with shake_hands(started, authority) as sender:
            sender.sendall(b"<13>x\n")
            assert started.lines(1) == [b"<13>x"]
            clock.advance(11)
            assert ended(stalled)
            sender.sendall(b"<13>y\n")
            assert started.lines(1) == [b"<13>y"]
        started.until(lambda: started.listener.refused["tls"] == 1)
        started.until(lambda: "not finished within 10 s" in str(started.entry("last_handshake_error")))


def test_stalled_handshakes_keep_nobody_out(server: Pair, authority: Pair) -> None:
    with Running(config(server, max_connections=3)) as started, contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(connect(started)) for _ in range(3)]
        started.until(lambda: started.entry("connections") == 3)
        with shake_hands(started, authority) as sender:
            sender.sendall(b"<13>x\n")
            assert started.lines(1) == [b"<13>x"]
            assert ended(stalled[0])
        assert started.listener.refused["connections"] == 0


def test_with_an_authority_senders_must_show_a_certificate(authority: Pair, server: Pair, client: Pair) -> None:
    with Running(config(server, tls_ca=authority.certificate)) as started:
        with shake_hands(started, authority, client) as sender:
            sender.sendall(b"<13>known\n")
            assert started.lines(1) == [b"<13>known"]
        with contextlib.suppress(OSError), shake_hands(started, authority) as sender:
            sender.sendall(b"<13>unknown\n")
            sender.recv(1)
        started.until(lambda: started.listener.refused["tls"] == 1)
        assert started.buffer.tally().collected == 1
        assert str(started.listener._source.trust) == "network"


def test_another_authority_does_not_do(authority: Pair, server: Pair, tmp_path: Path) -> None:
    stranger = certificate(tmp_path, "stranger")
    with Running(config(server, tls_ca=authority.certificate)) as started:
        with contextlib.suppress(OSError), shake_hands(started, authority, stranger) as sender:
            sender.sendall(b"<13>unknown\n")
            sender.recv(1)
        started.until(lambda: started.listener.refused["tls"] == 1)
        assert started.buffer.tally().collected == 0


def presented(running: Running) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connect(running)) as connection:
        return connection.getpeercert(binary_form=True) or b""


def test_a_new_certificate_is_taken_at_a_reload_and_a_broken_one_not(
    authority: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = certificate(tmp_path, "renewed", authority)
    with Running(config(pair)) as started, shake_hands(started, authority) as old:
        assert isinstance(started.listener, TcpListener)
        before = presented(started)
        pair.certificate.write_text("not a certificate")
        started.listener.renew()
        started.until(lambda: "can't be used together" in started.listener.status.trouble)
        assert presented(started) == before
        assert "the former certificate stays in use" in caplog.text
        certificate(tmp_path, "renewed", authority)
        started.listener.renew()
        started.until(lambda: not started.listener.status.trouble)
        assert presented(started) != before
        old.sendall(b"<13>still here\n")
        assert started.lines(1) == [b"<13>still here"]


@pytest.mark.parametrize("key", ["tls_cert", "tls_key", "tls_ca"])
def test_a_file_that_is_not_there_is_named_with_its_key(server: Pair, key: str, caplog: Any) -> None:
    pair = {"tls_cert": server.certificate, "tls_key": server.key, key: Path("/nowhere/file.pem")}
    source = SyslogSource(listen="127.0.0.1:0", protocol="tls", **pair)  # type: ignore[arg-type]
    with Running(source) as started:
        assert f"{key} /nowhere/file.pem can't be read: No such file" in started.listener.status.trouble
        assert started.entry("state") == "not listening"
    assert caplog.text.count("can't be read") == 1


def test_files_that_hold_something_else_are_refused(server: Pair, client: Pair, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"can't be used together.*PEM chain"):
        server_context(config(Pair(server.certificate, client.key)), "syslog")
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(SourceError, match=r"tls_ca .*empty\.pem holds no certificate authority"):
        server_context(config(server, tls_ca=empty), "syslog")

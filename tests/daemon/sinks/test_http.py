from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from ironpost_core import ConfigError, Duration, Secret
from ironpost_core.testing import START, FakeClock
from ironpost_daemon.sinks.base import DeliveryError
from ironpost_daemon.sinks.http import HttpSinkConfig, Poster
from ironpost_daemon.subscription import RetryError
from receiver import Answer, Receiver, a_certificate, a_receiver


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


def post(url: str, **options: Any) -> None:
    Poster(HttpSinkConfig(url=Secret(url), **options), "x", FakeClock()).post(b"body", "text/plain", {"X-A": "b"})


def test_one_post_with_headers(receiver: Receiver) -> None:
    post(receiver.url + "/hook?a=b", headers={"X-Key": Secret("k")}, bearer_token=Secret("t"))
    (got,) = receiver.received
    assert (got.path, got.body) == ("/hook?a=b", b"body")
    expected = {"X-Key": "k", "X-A": "b", "Authorization": "Bearer t", "Content-Type": "text/plain"}
    assert {name.title(): value for name, value in got.headers.items()}.items() >= expected.items()


def test_basic_authentication(receiver: Receiver) -> None:
    post(receiver.url, username="ops", password=Secret("pä"))
    assert base64.b64decode(receiver.received[0].headers["Authorization"].split()[1]).decode() == "ops:pä"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answers.append(Answer(status))
    with pytest.raises(RetryError, match=str(status)) as caught:
        post(receiver.url)
    assert caught.value.after is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120.0), (format_datetime(START + timedelta(seconds=90)), 90.0), ("soon", None), ("-5", None),
     (format_datetime(START - timedelta(days=1)), 0.0), ("9" * 400, 999_999_999.0), ("Mon", None)],
)  # fmt: skip
def test_retry_after_is_heeded(receiver: Receiver, text: str, seconds: float | None) -> None:
    receiver.answers.append(Answer(429, {"Retry-After": text}))
    with pytest.raises(RetryError) as caught:
        post(receiver.url)
    assert caught.value.after == seconds


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_what_will_not_pass_is_given_up(receiver: Receiver, status: int) -> None:
    receiver.answers.append(Answer(status))
    with pytest.raises(DeliveryError, match=str(status)):
        post(receiver.url)


def test_a_redirect_on_the_same_host_is_followed_as_a_post(receiver: Receiver) -> None:
    receiver.answers.append(Answer(308, {"Location": "/elsewhere"}))
    post(receiver.url + "/hook", bearer_token=Secret("t"))
    assert [(got.path, got.body) for got in receiver.received] == [("/hook", b"body"), ("/elsewhere", b"body")]
    assert receiver.received[1].headers["Authorization"] == "Bearer t"


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{port}/", "https://localhost:{port}/", "file:///etc/passwd", "//x/"]
)
def test_a_redirect_to_another_host_gets_nothing(receiver: Receiver, target: str) -> None:
    location = target.format(port=receiver.url.rpartition(":")[2])
    receiver.answers.append(Answer(307, {"Location": location}))
    with pytest.raises(DeliveryError, match="30"):
        post(receiver.url)
    assert len(receiver.received) == 1


def test_endless_redirects_end(receiver: Receiver) -> None:
    receiver.answers += [Answer(307, {"Location": "/again"})] * 50
    with pytest.raises(DeliveryError):
        post(receiver.url)


def test_see_other_asks_for_no_post(receiver: Receiver) -> None:
    receiver.answers.append(Answer(303, {"Location": "/seen"}))
    with pytest.raises(DeliveryError, match="303"):
        post(receiver.url)


def test_nobody_there_a_hang_up_and_silence_are_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/T0KEN"
        with pytest.raises(RetryError, match=r"timed out|Timeout") as silence:
            post(url, timeout=Duration(0.1))
        accept = threading.Thread(target=lambda: hang_up_on(server, 2))
        accept.start()
        with pytest.raises(RetryError, match="no answer") as hang_up:
            post(url)
        accept.join()
    with pytest.raises(RetryError, match="refused") as nobody:
        post(url)
    for caught in (silence, hang_up, nobody):
        assert "T0KEN" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_certificate(tmp_path_factory.mktemp("tls"))


def hang_up_on(server: socket.socket, clients: int) -> None:
    for _ in range(clients):
        server.accept()[0].close()


class TestTls:
    def test_an_unknown_certificate_is_not_trusted(self, certificate: Path) -> None:
        with a_receiver(certificate) as receiver:
            with pytest.raises(RetryError, match="CERTIFICATE_VERIFY_FAILED"):
                post(receiver.url)
            assert receiver.received == []

    def test_an_own_authority_is(self, certificate: Path) -> None:
        with a_receiver(certificate) as receiver:
            post(receiver.url, ca_file=certificate)
            with pytest.raises(RetryError, match="mismatch"):
                post(receiver.url.replace("localhost", "127.0.0.1"), ca_file=certificate)
            assert len(receiver.received) == 1

    @pytest.mark.parametrize("content", [None, b"no certificate"])
    def test_a_bad_file_is_said_at_the_start(self, tmp_path: Path, content: bytes | None) -> None:
        if content is not None:
            (tmp_path / "ca").write_bytes(content)
        with pytest.raises(ConfigError, match="ca_file"):
            post("https://localhost", ca_file=tmp_path / "ca")


class TestSecrets:
    def test_one_that_can_not_be_read_is_said_at_the_start(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="can't be read"):
            post("http://localhost", bearer_token=Secret(str(tmp_path / "none"), "file"))

    def test_a_renewed_one_counts_at_once_and_a_vanished_one_is_waited_for(
        self, receiver: Receiver, tmp_path: Path
    ) -> None:
        token = tmp_path / "token"
        token.write_text("old\n")
        config = HttpSinkConfig(url=Secret(receiver.url), bearer_token=Secret(str(token), "file"))
        poster = Poster(config, "x", FakeClock())
        token.write_text("new\n")
        poster.post(b"", "text/plain", {})
        assert receiver.received[0].headers["Authorization"] == "Bearer new"
        token.unlink()
        with pytest.raises(RetryError, match="can't be read"):
            poster.post(b"", "text/plain", {})

    def test_no_header_can_be_smuggled_in(self) -> None:
        with pytest.raises(ConfigError, match="header X-Key"):
            post("http://localhost", headers={"X-Key": Secret("a\r\nX-Evil: b")})

    def test_an_address_from_a_file_is_checked_without_being_shown(self, tmp_path: Path) -> None:
        (tmp_path / "url").write_text("gopher://T0KEN")
        with pytest.raises(ConfigError, match="not a web address") as caught:
            Poster(HttpSinkConfig(url=Secret(str(tmp_path / "url"), "file")), "x", FakeClock())
        assert "T0KEN" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["ftp://a/", "file:///a", "http://", "https://u:p@host/", "http://a b/", "http://a:99999/"]
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="an address such as"):
        HttpSinkConfig(url=Secret(url))


@pytest.mark.parametrize("name", ["", "a b", "x:y", "Host", "content-length", "a\n"])
def test_headers_that_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't be set"):
        HttpSinkConfig(url=Secret("http://localhost"), headers={name: Secret("x")})

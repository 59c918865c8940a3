"""A real nginx and a real Apache write their logs for hostile requests; the parsers read who asked for what."""

from __future__ import annotations

import base64
import contextlib
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest

from daemon_process import eventually, free_port
from ironpost_logpipe.event import Event
from ironpost_logpipe.parsers import parse
from real import need_root, program, running

pytestmark = pytest.mark.real

CLIENT = b"127.0.0.7"
VICTIM = b"198.51.100.9"
FORGED_ACCESS = VICTIM + b' - - [24/Nov/2026:22:38:51 +0000] "GET /forged HTTP/1.1" 200 1 "-" "-"'
FORGED_ERRORS = (
    b"2026/11/24 22:38:51 [error] 1#1: *1 forged, client: " + VICTIM + b", server: _",
    b"[Tue Nov 24 22:28:12.123456 2026] [core:error] [pid 1:tid 1] [client " + VICTIM + b":1] forged",
)
FORGED_SSHD = b"Nov 24 22:38:51 web1 sshd[1]: Failed password for root from " + VICTIM + b" port 22 ssh2"


@attrs.frozen
class Request:
    """What is sent, and what of it the servers write."""

    target: bytes
    agent: bytes = b"curl"
    referrer: bytes = b""
    user: bytes = b""

    @property
    def name(self) -> bytes:
        """The user's name as servers take it out of what is sent."""
        return self.user.partition(b":")[0]

    def sent(self) -> bytes:
        headers = [b"Host: localhost", b"Connection: close", b"User-Agent: " + self.agent]
        headers += [b"Referer: " + self.referrer] if self.referrer else []
        if self.user:
            headers.append(b"Authorization: Basic " + base64.b64encode(self.user + b":wrong"))
        return b"\r\n".join([b"GET " + self.target + b" HTTP/1.1", *headers, b"", b""])


def quoted(text: bytes) -> bytes:
    return urllib.parse.quote_from_bytes(text).encode()


HOSTILE = [
    Request(b"/plain?a=1&b=2", referrer=b"https://example.com/x"),
    Request(b'/"', agent=b'a"b\\c', referrer=b'" 200 1 "-" "'),
    Request(b"/\\x22\\", agent=b"\\", referrer=b'\\"'),
    Request(b"/caf%C3%A9%00"),
    Request("/café".encode(), agent="é\xff".encode("latin-1") + b"\x80", referrer="ü".encode()),
    Request(b"/" + b"x" * 4000),
    Request(b"/agent", agent=FORGED_ACCESS, referrer=b"client: " + VICTIM + b", server: _"),
    Request(b"/%0a" + quoted(FORGED_ACCESS)),
    *(Request(b"/%0a" + quoted(forged) + b"%0ax") for forged in (*FORGED_ERRORS, FORGED_SSHD)),
    Request(b"/secret/", user=b'eve" - [x] "GET'),
    Request(b"/secret/", user=b"eve\n" + FORGED_ACCESS),
    Request(b"/secret/", user=VICTIM + b" - - [24/Nov/2026"),
]


def ask(port: int, request: Request) -> bytes:
    """The answer's status."""
    with socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(CLIENT.decode(), 0)) as connection:
        connection.sendall(request.sent())
        answer = b""
        while b"\r\n" not in answer and (block := connection.recv(4096)):
            answer += block
    return answer.split(b" ")[1]


@contextlib.contextmanager
def nginx(folder: Path, port: int) -> Iterator[None]:
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi", "client_body")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"""
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log info;
events {{}}
http {{
  access_log {folder}/access.log combined;
  {places}
  server {{
    listen 127.0.0.1:{port};
    root {folder}/www;
    location /secret/ {{ auth_basic x; auth_basic_user_file {folder}/users; }}
  }}
}}
"""
    )
    with running([program("nginx"), "-p", str(folder), "-c", str(config)], folder / "out"):
        yield


@contextlib.contextmanager
def apache(folder: Path, port: int) -> Iterator[None]:
    modules = Path("/usr/lib/apache2/modules")
    names = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic")
    loaded = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in names)
    config = folder / "apache.conf"
    config.write_text(
        f"""
{loaded}
ServerName localhost
ServerRoot {folder}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Listen 127.0.0.1:{port}
DocumentRoot {folder}/www
ErrorLog {folder}/error.log
LogLevel info
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\"" combined
CustomLog {folder}/access.log combined
User www-data
Group www-data
<Location /secret/>
  AuthType Basic
  AuthName x
  AuthUserFile {folder}/users
  Require valid-user
</Location>
"""
    )
    with running([program("apache2"), "-X", "-f", str(config)], folder / "out"):
        yield


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def read(path: Path, format_: str) -> list[Event]:
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    return [event for line in lines if (event := parse(line, format_)) is not None]


@pytest.fixture(params=["nginx", "apache"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Path, list[bytes]]]:
    """The server's name, the folder of its logs, and the answers to HOSTILE."""
    need_root()
    port = free_port()
    with TemporaryDirectory() as name:  # not tmp_path, into which Apache's own user may not look
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "www").mkdir()
        (folder / "users").write_text("somebody:{PLAIN}secret\n")
        with {"nginx": nginx, "apache": apache}[request.param](folder, port):
            eventually(lambda: listens(port), f"{request.param} listens")
            yield request.param, folder, [ask(port, each) for each in HOSTILE]


def test_access_logs_tell_who_asked_for_what(server: tuple[str, Path, list[bytes]]) -> None:
    name, folder, answers = server
    log = folder / "access.log"
    eventually(lambda: len(read(log, "access")) >= len(HOSTILE), "all requests are logged")
    lines = [line for line in log.read_bytes().split(b"\n") if line]
    events = [event for event in read(log, "access") if event.field("client") == CLIENT]
    assert len(lines) == len(read(log, "access"))  # none was refused, and none was written by a client
    assert len(events) == len(HOSTILE)
    for sent, answer, event in zip(HOSTILE, answers, events, strict=True):
        assert event.field("source_ip") == CLIENT
        assert event.field("request") == b"GET " + sent.target + b" HTTP/1.1"
        path, _, query = sent.target.partition(b"?")
        assert (event.field("path"), event.field("query")) == (path, query)
        assert event.field("status") == answer
        assert (event.field("user_agent"), event.field("referrer")) in _as_logged(sent)
        assert event.field("user") in (sent.name, b"")
        again = parse(event.raw)
        assert again is not None
        assert again.fields() == event.fields()
    assert {event.field("user") for event in events} == {each.name for each in HOSTILE}, name


def _as_logged(sent: Request) -> list[tuple[bytes, bytes]]:
    """Headers arrive as they are, or were refused together with the request before they were read."""
    return [(sent.agent, sent.referrer), (b"", b"")]


def test_error_logs_accuse_nobody_else(server: tuple[str, Path, list[bytes]]) -> None:
    name, folder, _ = server
    log, format_ = folder / "error.log", f"{name}-error"
    eventually(lambda: any(event.field("client") for event in read(log, format_)), "an error is logged")
    events = read(log, format_)
    forged = {line for line in log.read_bytes().split(b"\n") if line in (*FORGED_ERRORS, FORGED_SSHD)}
    if name == "apache":
        assert not forged
        assert CLIENT in {event.field("source_ip") for event in events} <= {b"", CLIENT}
    else:
        assert forged == {*FORGED_ERRORS, FORGED_SSHD}  # this is why it is only claimed, and none of the usual logs
        assert all(event.forgeable and not event.field("source_ip") for event in events)
        assert FORGED_ERRORS[0] in [event.raw for event in events]

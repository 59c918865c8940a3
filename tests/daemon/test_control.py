from __future__ import annotations

import contextlib
import errno
import grp
import json
import logging
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ironpost_core import ActionError, ConfigError, PluginError, Problem
from ironpost_daemon import control, control_socket
from ironpost_daemon.control import CallError, ControlServer, DaemonNotRunning, call

PATIENCE = 30.0
log = logging.getLogger("ironpost.control")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


Serve = Callable[..., ControlServer]


@pytest.fixture
def serve(path: Path) -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(handler: control.Handler, deadline: float = PATIENCE, group: str | None = None) -> ControlServer:
            server = ControlServer(path, handler, deadline_of=lambda _: deadline, group=group, log=log)
            server.start()
            stack.callback(server.stop, PATIENCE)
            return server

        yield start


def echo(name: str, args: Mapping[str, Any]) -> Any:
    return [name, dict(args)]


def exchange(path: Path, request: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(path))
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(request)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        data = b""
        while not data.endswith(b"\n") and (chunk := connection.recv(65536)):
            data += chunk
        reply: dict[str, Any] = json.loads(data)
        return reply


def test_a_call_brings_back_the_result(path: Path, serve: Serve) -> None:
    serve(echo)
    assert call(path, "guard.release", {"container": "wéb"}) == ["guard.release", {"container": "wéb"}]
    assert call(path, "status") == ["status", {}]
    large = "x" * 900_000
    assert call(path, "status", {"a": large}) == ["status", {"a": large}]


def test_the_socket_is_private_from_the_first_moment(path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []

    class Watched(socket.socket):
        def bind(self, address: Any) -> None:
            super().bind(address)
            modes.append(stat.S_IMODE(path.stat().st_mode))

    monkeypatch.setattr(socket, "socket", Watched)
    before = os.umask(0)
    try:
        serve(echo)
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ActionError("no such container"), "refused", "no such container"),
        (PluginError("guard", "hangs"), "refused", "plugin guard: hangs"),
        (ConfigError([Problem(where="limit", what="is no number")]), "config", "limit: is no number"),
        (KeyError("x"), "internal", "status raised KeyError"),
        (SystemExit(3), "internal", "status raised SystemExit"),
    ],
)
def test_an_error_reaches_the_caller_with_its_kind(
    path: Path, serve: Serve, error: BaseException, kind: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(name: str, args: Mapping[str, Any]) -> Any:
        raise error

    serve(fail)
    with pytest.raises(CallError, match=text) as caught:
        call(path, "status")
    assert caught.value.kind == kind
    assert bool(caplog.records) is (kind == "internal")


@pytest.mark.parametrize("result", [object(), {1, 2}, {("a",): 1}])
def test_a_result_that_is_no_json_is_an_internal_error(path: Path, serve: Serve, result: object) -> None:
    serve(lambda name, args: result)
    with pytest.raises(CallError, match="no JSON") as caught:
        call(path, "status")
    assert caught.value.kind == "internal"


def test_an_answer_that_is_too_large_is_refused(path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "LARGEST_REPLY", 1 << 20)
    serve(lambda name, args: "x" * (2 << 20))
    with pytest.raises(CallError, match="ask for less"):
        call(path, "alerts")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"\n",
        b"nonsense\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"{}\n",
        b'{"call": 5}\n',
        b'{"call": "x", "args": []}\n',
        b"[" * 100_000 + b"\n",
        b'{"call": "' + b"x" * (1 << 20) + b'"}\n',
    ],
)
def test_a_request_that_makes_no_sense_is_answered_as_such(path: Path, serve: Serve, request_bytes: bytes) -> None:
    serve(echo)
    reply = exchange(path, request_bytes)
    assert (reply["ok"], reply["kind"]) == (False, "request")
    assert len(reply["error"]) < 1000
    assert call(path, "status") == ["status", {}]


def test_a_client_that_sends_nothing_is_dropped_and_others_are_served(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.2)
    serve(echo)
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as leaving:
        silent.settimeout(PATIENCE)
        silent.connect(str(path))
        leaving.connect(str(path))
        leaving.close()
        assert call(path, "status") == ["status", {}]
        assert silent.recv(100) == b""


def test_an_action_that_hangs_costs_one_thread_and_its_caller_is_told(
    path: Path, serve: Serve, release: threading.Event
) -> None:
    def handler(name: str, args: Mapping[str, Any]) -> Any:
        if name == "ebpf.hang":
            release.wait(PATIENCE)
        return name

    serve(handler, deadline=0.05)
    with pytest.raises(CallError, match=rf"has not finished within 0.05 s, at {__file__}:\d+ in handler") as caught:
        call(path, "ebpf.hang")
    assert caught.value.kind == "timeout"
    assert [t.name for t in threading.enumerate() if "ironpost-call" in t.name] == ["ironpost-call-ebpf.hang"]
    assert call(path, "status") == "status"


def test_repeating_a_hanging_action_is_bounded(path: Path, serve: Serve, release: threading.Event) -> None:
    serve(lambda name, args: release.wait(PATIENCE), deadline=0.02)
    kinds = []
    for _ in range(control.MOST_CALLS + 2):
        with pytest.raises(CallError) as caught:
            call(path, "ebpf.hang")
        kinds.append(caught.value.kind)
    assert kinds == ["timeout"] * control.MOST_CALLS + ["busy"] * 2


def test_too_many_connections_at_once_are_told_so(path: Path, serve: Serve, release: threading.Event) -> None:
    entered = threading.Semaphore(0)

    def handler(name: str, args: Mapping[str, Any]) -> Any:
        entered.release()
        return release.wait(PATIENCE)

    serve(handler)
    callers = [
        threading.Thread(target=call, args=(path, f"plugin.action{number}"))
        for number in range(control.MOST_CONNECTIONS)
    ]
    for caller in callers:
        caller.start()
    for _ in callers:
        assert entered.acquire(timeout=PATIENCE)
    with pytest.raises(CallError, match="too many") as caught:
        call(path, "status")
    assert caught.value.kind == "busy"
    release.set()
    for caller in callers:
        caller.join(PATIENCE)
    assert call(path, "status") is True


def test_no_daemon_is_said_so(path: Path) -> None:
    with pytest.raises(DaemonNotRunning, match=f"no daemon listens on {path}"):
        call(path, "status")
    with pytest.raises(DaemonNotRunning):
        call(path.parent / "no" / "folder", "status")
    path.touch()
    with pytest.raises(DaemonNotRunning):
        call(path, "status")
    with pytest.raises(DaemonNotRunning, match="too long"):
        call(Path("/" + "x" * 200), "status")
    with pytest.raises(ActionError):  # which is how the operator's tool sees it
        call(path / "below-a-file", "status")


def test_a_daemon_that_answers_nonsense_or_nothing_or_late_is_said_so(path: Path) -> None:
    answers = [b"", b"nonsense\n", b"[]\n", b'{"ok": true}\n', None]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        release = threading.Event()

        def answer() -> None:
            for data in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1000)
                    if data is None:
                        release.wait(PATIENCE)
                    else:
                        connection.sendall(data)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ActionError, match="without an answer"):
            call(path, "status")
        for _ in answers[1:-1]:
            with pytest.raises(ActionError, match="makes no sense"):
                call(path, "status")
        with pytest.raises(ActionError, match="did not answer within"):
            call(path, "status", timeout=0.05)
        release.set()
        thread.join(PATIENCE)


def test_a_broken_connection_is_said_so(path: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    def reset(*_: object) -> bytes:
        raise ConnectionResetError("reset")

    serve(echo)
    monkeypatch.setattr(control, "read_line", reset)
    with pytest.raises(ActionError, match="broke: reset"):
        call(path, "status")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_by_mode_and_by_credentials() -> None:
    nobody = next((entry.gr_name for entry in grp.getgrall() if entry.gr_gid == 65534), None)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        path = Path(folder) / "control.sock"
        for group in (None, nobody):
            server = ControlServer(path, echo, deadline_of=lambda _: PATIENCE, group=group, log=log)
            server.start()
            try:
                check_nobody(path, in_group=group is not None)
            finally:
                server.stop(PATIENCE)


def check_nobody(path: Path, *, in_group: bool) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == (0o660 if in_group else 0o600)
    if in_group:
        assert run_as_nobody(path) == "['status', {}]"
        return
    assert "may not be used by this user" in run_as_nobody(path)
    path.chmod(0o666)
    assert "neither root nor the daemon's user" in run_as_nobody(path)


def run_as_nobody(path: Path) -> str:
    code = (
        "import os, sys; from pathlib import Path; from ironpost_daemon.control import call\n"
        "from ironpost_core import ActionError\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: print(call(Path(sys.argv[1]), 'status'))\n"
        "except ActionError as error: print(error)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True, timeout=PATIENCE
    ).stdout.strip()


@pytest.mark.parametrize(
    ("uid", "gid", "granted"),
    [(0, 0, True), (os.geteuid(), 1, True), (54321, 54321, False), (54321, 777, True)],
)
def test_peers_are_judged_by_what_the_kernel_says(uid: int, gid: int, granted: bool) -> None:
    class Peer:
        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            assert (level, option) == (socket.SOL_SOCKET, socket.SO_PEERCRED)
            return struct.pack("3i", 1, uid, gid)

    refusal = control_socket.allowed(Peer(), 777)  # type: ignore[arg-type]
    assert (refusal == "") is granted
    assert granted or "user 54321" in refusal


def test_a_refused_peer_is_told_and_logged(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(control, "allowed", lambda *_: "user 5 is nobody")
    serve(lambda name, args: pytest.fail("never called"))
    with pytest.raises(CallError, match="user 5 is nobody"):
        call(path, "status")
    assert "user 5 is nobody" in caplog.text


HOLD = """
import logging, sys
from pathlib import Path
from ironpost_daemon.control import ControlServer
server = ControlServer(Path(sys.argv[1]), lambda n, a: n, deadline_of=lambda _: 1.0, log=logging.getLogger())
server.start()
print("up", flush=True)
sys.stdin.read()
"""


def test_a_killed_daemons_socket_is_replaced_and_a_live_ones_is_not(path: Path, serve: Serve) -> None:
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "up\n"
        with pytest.raises(ConfigError, match=r"another daemon listens on .*general\.run_dir"):
            serve(echo)
        assert call(path, "status") == "status"
        other.send_signal(signal.SIGKILL)
    assert path.exists()
    with pytest.raises(DaemonNotRunning):
        call(path, "status")
    serve(echo)
    assert call(path, "status") == ["status", {}]


def test_stop_removes_the_socket_and_answers_calls_under_way(
    path: Path, serve: Serve, release: threading.Event
) -> None:
    entered = threading.Event()

    def handler(name: str, args: Mapping[str, Any]) -> Any:
        entered.set()
        return release.wait(PATIENCE)

    server = serve(handler)
    results: list[Any] = []
    caller = threading.Thread(target=lambda: results.append(call(path, "status")))
    caller.start()
    assert entered.wait(PATIENCE)
    stopper = threading.Thread(target=server.stop, args=(PATIENCE,))
    stopper.start()
    release.set()
    stopper.join(PATIENCE)
    caller.join(PATIENCE)
    assert results == [True]
    assert not path.exists()
    server.stop(1.0)


def test_stop_leaves_a_socket_that_is_not_its_own(path: Path, serve: Serve) -> None:
    server = serve(echo)
    path.unlink()
    path.write_text("another's")
    server.stop(PATIENCE)
    assert path.read_text() == "another's"


def test_places_that_can_not_be_are_refused_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place, what in (
        (tmp_path / ("x" * 120), "107 are possible"),
        (tmp_path / "file", "is no socket"),
        (tmp_path / "no" / "folder", "can't be made"),
        (Path("/proc/control.sock"), "can't be made"),
    ):
        with pytest.raises(ConfigError, match=what) as caught:
            ControlServer(place, echo, deadline_of=lambda _: 1.0, log=log).start()
        assert caught.value.problems[0].remedy
        assert str(place) in str(caught.value)


def test_a_group_that_is_not_there_is_refused_with_a_cure(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"general\.control_group: there is no group 'no-such-group'"):
        ControlServer(path, echo, deadline_of=lambda _: 1.0, group="no-such-group", log=log).start()
    assert not path.exists()


def test_trouble_with_accepting_is_survived(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accept, start = socket.socket.accept, threading.Thread.start
    troubles = iter([True])
    no_threads = iter([True])

    def failing(listener: socket.socket) -> Any:
        if next(troubles, False):
            raise OSError(errno.EMFILE, "too many open files")
        return accept(listener)

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "ironpost-control-client" and next(no_threads, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(socket.socket, "accept", failing)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    serve(echo)
    with pytest.raises(ActionError, match=r"without an answer|broke"):
        call(path, "status")
    assert call(path, "status") == ["status", {}]
    assert "too many open files" in caplog.text
    assert "can't start new thread" in caplog.text


def test_a_deadline_that_can_not_be_told_is_one_clients_trouble(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def deadline_of(name: str) -> float:
        raise KeyError(name)

    server = ControlServer(path, echo, deadline_of=deadline_of, log=log)
    server.start()
    try:
        with pytest.raises(ActionError, match=r"without an answer|broke"):
            call(path, "status")
    finally:
        server.stop(PATIENCE)
    assert "KeyError: 'status'" in caplog.text

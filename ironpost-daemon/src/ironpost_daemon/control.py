"""The control socket: how operators change anything. Local only, for root, the daemon's user and one group.

One connection carries one line of JSON each way: ``{"call": "status", "args": {…}}``, then
``{"ok": true, "result": …}`` or ``{"ok": false, "error": "…", "kind": "…"}``.
Neighbour: `control_socket` makes the socket and checks peers.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from ironpost_core import ActionError, ConfigError, IronpostError
from ironpost_daemon.calls import describe, standing
from ironpost_daemon.control_socket import LONGEST_PATH, allowed, group_id, open_socket, read_line

LARGEST_REQUEST: Final = 1 << 20
LARGEST_REPLY: Final = 16 << 20
#: Seconds that a client has to send its request, and to take the reply.
PATIENCE: Final = 10.0
#: Connections at once, and calls of one name at once (hung ones among them).
MOST_CONNECTIONS: Final = 16
MOST_CALLS: Final = 4

Handler = Callable[[str, Mapping[str, Any]], Any]


class DaemonNotRunning(ActionError):  # noqa: N818 - a state of affairs, named as callers say it
    """No daemon listens on this control socket."""


class CallError(ActionError):
    """The daemon answered with an error.

    Attributes:
        kind: ``refused`` (the text is for the operator), ``config``, ``timeout``, ``busy``, ``request``, ``internal``.
    """

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


# -- client ---------------------------------------------------------------------------------------------------------


def call(path: Path, name: str, args: Mapping[str, Any] | None = None, timeout: float = 60.0) -> Any:
    """Have the daemon that listens on `path` do something.

    Args:
        path: its control socket.
        name: ``status``, ``alerts``, ``reload`` or ``<plugin>.<action>``.
        args: JSON-able arguments.
        timeout: seconds for all of it.

    Raises:
        DaemonNotRunning: nobody listens there.
        CallError: the daemon's answer is an error.
        ActionError: this user may not ask, or no answer came in time.
    """
    request = json.dumps({"call": name, "args": dict(args or {})}).encode() + b"\n"
    until = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection, path, timeout)
            # A daemon that refuses at once has answered already.
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(request)
            line = read_line(connection, LARGEST_REPLY, until)
        except TimeoutError:
            raise ActionError(f"{name}: the daemon did not answer within {timeout:g} s") from None
        except (OSError, ValueError) as error:
            raise ActionError(f"{name}: the connection to the daemon broke: {error}") from error
    return _result(name, line)


def _connect(connection: socket.socket, path: Path, timeout: float) -> None:
    hint = "start ironpost-daemon, or name its configuration with --config"
    if len(bytes(path)) > LONGEST_PATH:
        raise DaemonNotRunning(f"{path} is too long for a socket, so no daemon listens there ({hint})")
    connection.settimeout(timeout)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise DaemonNotRunning(f"no daemon listens on {path} ({hint})") from None
    except PermissionError:
        cure = "run this as root or as the daemon's user, or join the group in general.control_group"
        raise ActionError(f"{path} may not be used by this user ({cure})") from None


def _result(name: str, line: bytes) -> Any:
    if not line:
        raise ActionError(f"{name}: the daemon closed the connection without an answer; see its log")
    try:
        reply = json.loads(line)
        good = reply["ok"]
        answer = reply["result"] if good else (str(reply["error"]), str(reply["kind"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ActionError(f"{name}: the daemon's answer makes no sense; is it of another version?") from error
    if good:
        return answer
    raise CallError(*answer)


# -- server ---------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class _Call:
    """One call of the handler, on a thread of its own."""

    name: str
    work: Callable[[], Any]
    done: threading.Event = attrs.field(factory=threading.Event)
    result: Any = None
    error: BaseException | None = None
    thread: threading.Thread = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, name=f"ironpost-call-{self.name}"[:64], daemon=True)

    def _run(self) -> None:
        try:
            self.result = self.work()
        except BaseException as error:  # noqa: BLE001 - the stated boundary: told to the caller, logged unless expected
            self.error = error
        self.done.set()


class ControlServer:
    """Answers on `path` from `start` to `stop`.

    Args:
        path: the socket; its folder exists.
        handler: the call's name and arguments → a JSON-able result; its IronpostError is told to the caller.
        deadline_of: the call's name → seconds after which its caller is told that it has not finished.
        group: members of this group may call, too.
        log: where refusals and failures go.
    """

    def __init__(
        self,
        path: Path,
        handler: Handler,
        *,
        deadline_of: Callable[[str], float],
        group: str | None = None,
        log: logging.Logger,
    ) -> None:
        self._path = path
        self._handler = handler
        self._deadline_of = deadline_of
        self._group = group
        self._log = log
        self._lock = threading.Lock()
        self._connections: set[threading.Thread] = set()
        self._calls: list[_Call] = []
        self._stopping = False
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the path or group can't be used, or another daemon listens there; names the cure.
        """
        self._gid = group_id(self._group)
        self._listener = open_socket(self._path, self._gid)
        self._inode = self._path.lstat().st_ino
        self._thread = threading.Thread(
            target=self._accept, args=(self._listener,), name="ironpost-control", daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop listening, remove the socket, and give calls under way `timeout` seconds to be answered."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._stopping = True
        with contextlib.suppress(FileNotFoundError):
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        until = time.monotonic() + timeout
        self._thread.join(timeout)
        listener.close()
        with self._lock:
            answering = list(self._connections)
        for thread in answering:
            thread.join(max(0.0, until - time.monotonic()))

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if self._stopping:
                    return
                self._log.warning("no control connection can be accepted: %s", error)
                time.sleep(0.2)
                continue
            try:
                self._begin(connection)
            except RuntimeError as error:  # no more threads
                self._log.error("a control connection was refused: %s", error)
                connection.close()

    def _begin(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections = {thread for thread in self._connections if thread.is_alive()}
            busy = len(self._connections) >= MOST_CONNECTIONS
            thread = threading.Thread(
                target=self._serve, args=(connection, busy), name="ironpost-control-client", daemon=True
            )
            if not busy:
                self._connections.add(thread)
            thread.start()

    def _serve(self, connection: socket.socket, busy: bool) -> None:
        with connection:
            try:
                reply = _failure("busy", "too many control connections at once") if busy else self._reply(connection)
                connection.settimeout(0.5 if busy else PATIENCE)
                connection.sendall(reply)
            except OSError as error:
                self._log.debug("a control client left: %s", error)
            except Exception as error:  # noqa: BLE001 - the stated boundary of this thread: one client's trouble is logged
                self._log.error("a control call failed: %s", describe(error), exc_info=error)

    def _reply(self, connection: socket.socket) -> bytes:
        refusal = allowed(connection, self._gid)
        if refusal:
            self._log.warning("a control call was refused: %s", refusal)
            return _failure("refused", refusal)
        try:
            request = json.loads(read_line(connection, LARGEST_REQUEST, time.monotonic() + PATIENCE))
            name, arguments = request["call"], request.get("args", {})
            if not (isinstance(name, str) and isinstance(arguments, dict)):
                raise TypeError("call is a text, args an object")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return _failure(
                "request", f'a request is one line {{"call": "…", "args": {{…}}}}, not this: {error!r:.200}'
            )
        return self._answer(name, arguments)

    def _answer(self, name: str, arguments: Mapping[str, Any]) -> bytes:
        call = _Call(name, lambda: self._handler(name, arguments))
        deadline = self._deadline_of(name)
        with self._lock:
            self._calls = [known for known in self._calls if not known.done.is_set()]
            same = [known for known in self._calls if known.name == name]
            if len(same) >= MOST_CALLS:
                where = standing(same[0].thread)
                return _failure("busy", f"{name}: {len(same)} earlier calls have not finished{where}")
            call.thread.start()
            self._calls.append(call)
        if not call.done.wait(deadline):
            where = standing(call.thread)
            self._log.warning("%s has not finished within %g s%s", name, deadline, where)
            return _failure("timeout", f"{name} has not finished within {deadline:g} s{where}; it goes on")
        return self._outcome(call)

    def _outcome(self, call: _Call) -> bytes:
        error = call.error
        if isinstance(error, IronpostError):
            return _failure("config" if isinstance(error, ConfigError) else "refused", str(error))
        if error is not None:
            self._log.error("%s raised %s", call.name, describe(error), exc_info=error)
            return _failure("internal", f"{call.name} raised {describe(error)}")
        try:
            reply = json.dumps({"ok": True, "result": call.result}).encode() + b"\n"
        except (TypeError, ValueError, RecursionError) as broken:
            self._log.error("%s returned what is no JSON: %s", call.name, broken)
            return _failure("internal", f"{call.name} returned what is no JSON: {broken}")
        if len(reply) > LARGEST_REPLY:
            return _failure(
                "refused", f"{call.name}: the answer is larger than {LARGEST_REPLY >> 20} MiB; ask for less"
            )
        return reply


def _failure(kind: str, text: str) -> bytes:
    return json.dumps({"ok": False, "error": text, "kind": kind}).encode() + b"\n"

"""A real daemon in a process of its own, for tests: `with DaemonProcess(tmp_path, TOML) as daemon: daemon.metrics()`.

The caller writes the configuration that its test is about; folders and a free port are added where it names none.
Nothing here waits for a fixed time: `eventually` polls until something holds, and gives up only after a minute.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from prometheus_client.parser import text_string_to_metric_families

T = TypeVar("T")
PATIENCE = 60.0
#: Of the caller's environment the daemon must not see these: they would change what it does or where it writes.
_FOREIGN = re.compile(r"IRONPOST_|PYTHONPATH$|PYTHONHOME$|XDG_|NOTIFY_SOCKET$|WATCHDOG_|LISTEN_|_IRONPOST_")


def eventually(check: Callable[[], T], what: str = "", timeout: float = PATIENCE, pause: float = 0.05) -> T:
    """Poll `check` until it returns something true, and return that; `AssertionError` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        if found := check():
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:g} s: {what or check}; last: {found!r}")
        time.sleep(pause)


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of the loopback address that nobody listens on at the moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def parse_metrics(text: str) -> dict[str, float]:
    """An exposition as `name` or `name{label="value",…}` (labels sorted) → value."""
    values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in values, f"{key} is exported twice"
            values[key] = sample.value
    return values


class Response(NamedTuple):
    """What an HTTP request got."""

    status: int
    text: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        return json.loads(self.text)


def _with_defaults(text: str, section: str, defaults: Mapping[str, str | int]) -> str:
    """`text` with those keys added to `[section]` that it does not set itself."""
    present = tomllib.loads(text).get(section, {})
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in defaults.items() if key not in present)
    header = re.search(rf"^\[{section}\][^\n]*\n?", text, re.MULTILINE)
    if header is None:
        return f"{text}\n[{section}]\n{lines}"
    return f"{text[: header.end()]}\n{lines}{text[header.end() :]}"


class DaemonProcess:
    """One daemon with its folder, configuration and port, which all survive its end, so that it can start again.

    Attributes:
        folder: everything it writes: `config.toml`, `data/`, `run/`, `daemon.log`; also its working and home folder.
        port: where it listens on loopback.
        process: the running or last process.
    """

    def __init__(
        self,
        folder: Path,
        toml: str = "",
        *,
        env: Mapping[str, str] | None = None,
        python: Path | str = sys.executable,
        args: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.python = Path(python)
        self.config = folder / "config.toml"
        self.data_dir, self.run_dir = folder / "data", folder / "run"
        self.control_socket = self.run_dir / "control.sock"
        self._log = folder / "daemon.log"
        self._args = args
        inherited = {key: value for key, value in os.environ.items() if not _FOREIGN.match(key)}
        self.env = inherited | {"HOME": str(folder), **(env or {})}
        folder.mkdir(parents=True, exist_ok=True)
        self.configure(toml)
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, toml: str) -> None:
        """Write a new configuration; a running daemon sees it when it reloads. The port stays."""
        given = tomllib.loads(toml).get("metrics", {})
        self.port: int = given.get("port") or getattr(self, "port", None) or free_port()
        self.endpoint: str = given.get("endpoint", "/metrics")
        folders = {"data_dir": str(self.data_dir), "run_dir": str(self.run_dir)}
        toml = _with_defaults(toml, "general", folders)
        self.config.write_text(_with_defaults(toml, "metrics", {"port": self.port}), encoding="utf-8")

    def start(self, *, wait: bool = True) -> Self:
        """Start it (again); with `wait` return when /ready says 200, else at once."""
        assert self.process is None or self.process.poll() is not None, "it runs already"
        command = [str(self.python), "-m", "ironpost_daemon", "--config", str(self.config), *self._args]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.env,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until /ready answers 200."""
        self.until(lambda: self.try_get("/ready"), "/ready answers 200")

    def until(self, check: Callable[[], T], what: str = "", timeout: float = PATIENCE) -> T:
        """`eventually`, but fails at once when the daemon ends meanwhile."""

        def alive_and_check() -> T:
            found = check()
            if not found and self.process is not None and (code := self.process.poll()) is not None:
                raise AssertionError(f"the daemon ended with {code} before: {what}\n{self.log[-8000:]}")
            return found

        return eventually(alive_and_check, what, timeout)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """All that it wrote to stdout and stderr, over all its starts."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def get(self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Response:
        """One HTTP request."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Response(answer.status, answer.read().decode("utf-8", "replace"), dict(answer.headers))

    def try_get(self, path: str) -> Response | None:
        """The answer when it is 200; None for anything else, an absent listener included."""
        try:
            answer = self.get(path)
        except (OSError, http.client.HTTPException):
            return None
        return answer if answer.status == 200 else None

    def metrics(self) -> dict[str, float]:
        """One scrape, as `parse_metrics` gives it."""
        answer = self.get(self.endpoint)
        assert answer.status == 200, f"{self.endpoint}: {answer.status} {answer.text[:500]}"
        return parse_metrics(answer.text)

    def ironpost(self, *args: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run the operator's tool of the same installation on this daemon's configuration."""
        command = [str(self.python.parent / "ironpost"), "--config", str(self.config), *args]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env=self.env, timeout=timeout, check=False
        )

    def ironpost_json(self, *args: str) -> Any:
        """What `ironpost … --json` printed."""
        done = self.ironpost(*args, "--json")
        assert done.stdout, f"ironpost {' '.join(args)}: exit {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit code, once it ended."""
        assert self.process is not None
        return self.process.wait(timeout)

    def terminate(self, timeout: float = PATIENCE) -> int:
        """SIGTERM; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """SIGKILL, as a crash; nothing is left of what it started."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self if self.process is not None else self._start_or_clean_up()

    def _start_or_clean_up(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self.kill()
        if kind is not None:
            print(f"--- log of the daemon in {self.folder} ---\n{self.log[-20_000:]}")


@contextlib.contextmanager
def not_started(folder: Path, toml: str = "", **options: Any) -> Iterator[DaemonProcess]:
    """A daemon that the test starts itself (`start(wait=False)`); it is ended all the same."""
    daemon = DaemonProcess(folder, toml, **options)
    try:
        yield daemon
    finally:
        daemon.kill()

"""The demo's daemon: a real one, as a child process on a scratch configuration, asked as any operator would ask it."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from prometheus_client.parser import text_string_to_metric_families

from ironpost_core import Alert, IronpostError, Key, State
from ironpost_core import metrics as catalogue
from ironpost_core.alerts import readable
from ironpost_daemon.control import call
from ironpost_daemon.exits import CONFIGURATION
from ironpost_daemon.status import Life, PluginStatus

START_DEADLINE: Final = 60.0
STOP_DEADLINE: Final = 20.0
REQUEST_DEADLINE: Final = 10.0
_PAGE: Final = 1_000
_ADDRESS: Final = "127.0.0.1"
_LIBC: Final = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1
#: Of the visitor's environment the demo's daemon must not see these.
_FOREIGN: Final = ("IRONPOST_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")
_CONFIG: Final = """\
[general]
log_format = "text"
data_dir = {data}
run_dir = {run}

[metrics]
port = {port}

[[log_pipeline.sources]]
type = "file"
paths = [{log}]
start = "beginning"
"""


class DemoError(IronpostError):
    """The demo can't go on; the text says why."""


@attrs.frozen(kw_only=True)
class Progress:
    """How far it is, by the metrics: lines read (parsed or not), waiting, dropped, matches, alerts stored."""

    read: int
    parse_errors: int
    waiting: int
    dropped: int
    matches: int
    stored: int


@attrs.define
class Found:
    """What the alerts were."""

    alerts: int = 0
    severities: Counter[str] = attrs.field(factory=Counter)
    rules: Counter[str] = attrs.field(factory=Counter)
    sources: Counter[str] = attrs.field(factory=Counter)

    def add(self, alert: Alert) -> None:
        """Count one."""
        self.alerts += 1
        self.severities[str(alert.severity)] += 1
        self.rules[alert.rule] += 1
        if source := alert.observable(Key.SOURCE_IP):
            self.sources[source] += 1


def _end_with_the_demo() -> None:
    """In the child: have the kernel end it when the demo dies, even by SIGKILL (prctl(2), PR_SET_PDEATHSIG)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class DemoDaemon:
    """One daemon in `folder`, reading `log`."""

    def __init__(self, folder: Path, log: Path, port: int) -> None:
        self.port = port if _is_free(port) else _free_port()
        self.config = folder / "ironpost.toml"
        self._folder = folder
        self._said = folder / "daemon.log"
        self._socket = folder / "run" / "control.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._last_alert = 0
        self._log = log

    @property
    def metrics_url(self) -> str:
        """Where its metrics are."""
        return f"http://{_ADDRESS}:{self.port}/metrics"

    def start(self) -> None:
        """Start it and wait until it is ready; on another port if somebody took the chosen one meanwhile.

        Raises:
            DemoError: it ended, or took too long.
        """
        try:
            self._start()
        except DemoError:
            if self._process is None or self._process.poll() != CONFIGURATION or _is_free(self.port):
                raise
            self.port = _free_port()
            self._start()

    def _start(self) -> None:
        places = {"data": self._folder / "data", "run": self._folder / "run", "log": self._log}
        quoted = {name: json.dumps(str(path), ensure_ascii=False) for name, path in places.items()}
        self.config.write_text(_CONFIG.format(port=self.port, **quoted), encoding="utf-8")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        command = [sys.executable, "-m", "ironpost_daemon", "--config", str(self.config)]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=environ,
                preexec_fn=_end_with_the_demo,  # noqa: PLW1509 - one system call, no Python lock is taken
                start_new_session=True,  # Ctrl-C reaches the demo alone, which then stops the daemon in order
            )
        deadline = time.monotonic() + START_DEADLINE
        while not self._ready():
            self._check_alive()
            if time.monotonic() > deadline:
                raise DemoError(f"the daemon is not ready after {START_DEADLINE:.0f} s; it said:\n{self.last_words()}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        """Asked on its own socket: on the port another demo may answer."""
        try:
            return bool(call(self._socket, "status", timeout=REQUEST_DEADLINE)["ready"])
        except (OSError, IronpostError):
            return False

    def _check_alive(self) -> None:
        if self._process is None or (code := self._process.poll()) is None:
            return
        raise DemoError(f"the daemon ended with exit code {code}; it said:\n{self.last_words()}")

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(_ADDRESS, self.port, timeout=REQUEST_DEADLINE)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8")

    def _call(self, name: str, **arguments: Any) -> Any:
        try:
            return call(self._socket, name, arguments, REQUEST_DEADLINE)
        except (OSError, IronpostError) as error:
            self._check_alive()
            raise DemoError(f"the daemon does not answer: {error}") from error

    def progress(self) -> Progress:
        """A real scrape.

        Raises:
            DemoError: the daemon gave none.
        """
        try:
            status, text = self._get("/metrics")
        except (OSError, http.client.HTTPException) as error:
            self._check_alive()
            raise DemoError(f"{self.metrics_url} does not answer: {error}") from error
        if status != http.HTTPStatus.OK:
            raise DemoError(f"{self.metrics_url} answers {status}")
        return _progress(text)

    def new_alerts(self) -> Iterator[Alert]:
        """Those that came since the last call, oldest first."""
        while page := self._call("alerts", after=self._last_alert, limit=_PAGE):
            for item in page:
                self._last_alert = item["number"]
                yield Alert.from_dict(item)

    def left_out(self) -> list[PluginStatus]:
        """The plugins that don't do their work here, each with its reason."""
        plugins = [PluginStatus.from_dict(item) for item in self._call("plugins")]
        return [plugin for plugin in plugins if plugin.health is not State.HEALTHY or plugin.life is not Life.RUNNING]

    def last_words(self) -> str:
        """The end of what the daemon wrote, made safe to print."""
        if not self._said.exists():
            return ""
        lines = self._said.read_text("utf-8", "backslashreplace").splitlines()[-20:]
        return "\n".join(f"  {readable(line)}" for line in lines)

    def stop(self) -> bool:
        """End it; whether it ended by itself and in order. Ends it in any case."""
        if self._process is None:
            return True
        self._process.terminate()
        try:
            return self._process.wait(STOP_DEADLINE) == 0
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._process.kill()
            self._process.wait()
            return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_ADDRESS, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_ADDRESS, 0))
        return int(probe.getsockname()[1])


def _progress(exposition: str) -> Progress:
    totals: Counter[str] = Counter()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            totals[sample.name.removeprefix(catalogue.PREFIX)] += int(sample.value)
    errors = totals[catalogue.LOG_PIPELINE_PARSE_ERRORS_TOTAL]
    return Progress(
        read=totals[catalogue.LOG_PIPELINE_LOGS_PROCESSED_TOTAL] + errors,
        parse_errors=errors,
        waiting=totals[catalogue.LOG_PIPELINE_BUFFER_SIZE],
        dropped=totals[catalogue.LOG_PIPELINE_LOGS_DROPPED_TOTAL],
        matches=totals[catalogue.LOG_PIPELINE_RULE_MATCHES_TOTAL],
        stored=totals[catalogue.DAEMON_ALERTS_TOTAL],
    )

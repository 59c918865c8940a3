"""Something to look at: a daemon that reads lively logs and a Prometheus that scrapes it, all of it on loopback."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from ironpost_daemon import demo_log
from monitoring.pictures.errors import PictureError

#: A line that no parser of syslog reads.
GARBAGE = b"\x16\x03\x01 GET / HTTP/1.1"
_LOOPBACK = "127.0.0.1"
_CONFIG = """\
general = {{data_dir = {data}, run_dir = {run}}}
metrics = {{port = {port}}}
alerts = {{sinks = [{{type = "jsonl", path = {alerts}}}]}}

[[log_pipeline.sources]]
type = "file"
paths = [{log}]
start = "beginning"

[[log_pipeline.sources]]
type = "syslog"
format = "syslog"
listen = "127.0.0.1:{syslog}"
"""
_SCRAPE = """\
global: {{scrape_interval: 2s, scrape_timeout: 2s}}
scrape_configs:
  - job_name: ironpost
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{instance: ironpost-daemon}}}}]
"""


@contextlib.contextmanager
def after(seconds: int, folder: Path) -> Iterator[str]:
    """The address of a Prometheus that has watched a daemon under load for so long. All files go into `folder`.

    Raises:
        PictureError: one of the two can't be run or ends too early.
    """
    port, web, syslog = _free_port(), _free_port(), _free_port(socket.SOCK_DGRAM)
    places = {name: json.dumps(str(folder / name)) for name in ("data", "run", "alerts", "log")}
    config, scrape, log = (folder / name for name in ("ironpost.toml", "prometheus.yml", "log"))
    log.touch()
    config.write_text(_CONFIG.format(port=port, syslog=syslog, **places), encoding="utf-8")
    scrape.write_text(_SCRAPE.format(port=port), encoding="utf-8")
    address = f"{_LOOPBACK}:{web}"
    agent = [sys.executable, "-m", "ironpost_daemon", f"--config={config}"]
    server = ["prometheus", f"--config.file={scrape}", "--storage.tsdb.path=tsdb", f"--web.listen-address={address}"]
    with _running(agent, folder / "daemon.out") as daemon, _running(server, folder / "prometheus.out"):
        _drive(daemon, config, log, syslog, seconds)
        yield f"http://{address}"


def _drive(daemon: subprocess.Popen[bytes], config: Path, log: Path, syslog: int, seconds: int) -> None:
    """A day of logs at a changing pace, half by file, half by datagram; a good reload, a broken one, the cure."""
    while daemon.poll() is None and not (config.parent / "run" / "control.sock").exists():
        time.sleep(0.1)  # until it takes signals
    good, begun = config.read_text("utf-8"), time.monotonic()
    reloads = {seconds // 3: good, seconds // 2: good + "broken", seconds * 3 // 4: good}
    counts = [_pace(second / seconds) for second in range(seconds)]
    yesterday = datetime.now(UTC) - timedelta(days=1)
    story = demo_log.lines(1, yesterday, max(demo_log.MIN_LINES, sum(counts)))
    with log.open("a", encoding="utf-8") as file, socket.socket(type=socket.SOCK_DGRAM) as sender:
        for second, count in enumerate(counts):
            if daemon.poll() is not None:
                raise PictureError(f"the daemon ended: {config.with_name('daemon.out').read_text('utf-8')[-500:]}")
            lines = list(islice(story, count))
            file.writelines(f"{line}\n" for line in lines[::2])
            file.flush()
            noise = [GARBAGE] * (
                second % 12 < count // 20 or second == seconds - 1
            )  # at the first it may not listen yet
            for datagram in [f"<38>{line}".encode() for line in lines[1::2]] + noise:
                sender.sendto(datagram, (_LOOPBACK, syslog))
            if second in reloads:
                config.write_text(reloads[second], encoding="utf-8")
                daemon.send_signal(signal.SIGHUP)
            time.sleep(max(0.0, begun + second + 1 - time.monotonic()))


def _pace(share: float) -> int:
    """Lines in a second when `share` of the time is over: waves, and a flood after the middle."""
    return round(35 + 25 * math.sin(6 * math.pi * share)) + 120 * (0.6 < share < 0.7)


@contextlib.contextmanager
def _running(command: Sequence[str], said: Path) -> Iterator[subprocess.Popen[bytes]]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("IRONPOST_")}
    try:
        with said.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=said.parent, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environ
            )
    except OSError as error:
        raise PictureError(f"{command[0]} can't be run: {error.strerror} (install it)") from error
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])

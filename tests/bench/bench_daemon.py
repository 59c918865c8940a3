"""Start-up, memory, idle cost, scrape latency under full log load, and time to stop of the real daemon.

Each figure is printed with its ratio to a limit (docs/performance targets) and, where there is one, to a peer measured
in the same run. Prints, asserts nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from daemon_process import DaemonProcess, not_started
from ironpost_daemon.demo_log import lines

ROUNDS = 7
IDLE_SECONDS = 10.0
SCRAPES = 300
PAUSE = 0.02
LOG_LINES = 200_000
LOG_COPIES = 30


def timed(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def median(function: Callable[[], float]) -> float:
    return statistics.median(function() for _ in range(ROUNDS))


def report(name: str, value: float, unit: str, limit: float, against: str) -> None:
    print(f"{name:<34} {value:>9.3f} {unit:<4} {value / limit:>6.2f} x {against}")


def quiet(folder: Path) -> str:
    return f'[[log_pipeline.sources]]\ntype = "file"\npaths = ["{folder}/quiet.log"]\n'


def first_scrape(folder: Path) -> float:
    with not_started(folder, quiet(folder)) as daemon:

        def go() -> None:
            daemon.start(wait=False)
            while daemon.try_get("/metrics") is None:
                time.sleep(0.005)

        seconds = timed(go)
        daemon.terminate()
    return seconds


def command(*arguments: str) -> float:
    return timed(lambda: subprocess.run(arguments, check=True, capture_output=True))


def bench_start(folder: Path) -> None:
    number = iter(range(1000))
    bare = median(lambda: command(sys.executable, "-c", "import aiohttp.web, sqlite3, prometheus_client"))
    cold = median(lambda: first_scrape(folder / f"cold{next(number)}"))
    report("cold start to first good scrape", cold, "s", 1.0, "the limit of 1.0 s")
    report("", cold, "s", bare, "python importing aiohttp, sqlite3, prometheus_client")
    tool = str(Path(sys.executable).parent / "ironpost")
    empty = median(lambda: command(sys.executable, "-c", "import click"))
    shown = median(lambda: command(tool, "--help"))
    report("ironpost --help", shown, "s", 0.3, "the limit of 0.3 s")
    report("", shown, "s", empty, "python importing click")


def bench_idle(folder: Path) -> None:
    with DaemonProcess(folder, quiet(folder)) as daemon:
        daemon.metrics()
        process = psutil.Process(daemon.pid)
        before = sum(process.cpu_times()[:2])
        time.sleep(IDLE_SECONDS)
        used = (sum(process.cpu_times()[:2]) - before) / IDLE_SECONDS
        report(
            "idle RSS, four plugins", process.memory_info().rss / 2**20, "MiB", 80 * 1e6 / 2**20, "the limit of 80 MB"
        )
        report("idle CPU", used * 100, "%", 1.0, "the limit of 1 % of a core")
        report("SIGTERM to exit", timed(daemon.terminate), "s", 2.0, "the limit of 2 s")


def processed(daemon: DaemonProcess) -> float:
    return daemon.metrics()["ironpost_log_pipeline_logs_processed_total"]


def scrape(daemon: DaemonProcess) -> float:
    """Milliseconds for one scrape, after a pause, so that the log and not the scrapes make the load."""
    time.sleep(PAUSE)
    return timed(lambda: daemon.get("/metrics")) * 1000


def bench_scrape_under_load(folder: Path) -> None:
    folder.mkdir()
    log = folder / "auth.log"
    start = datetime(2026, 1, 1, tzinfo=UTC)
    day = "".join(f"{line}\n" for line in lines(1, start, LOG_LINES)).encode("utf-8", "surrogateescape")
    with log.open("wb") as file:
        for _ in range(LOG_COPIES):
            file.write(day)
    config = f'[[log_pipeline.sources]]\ntype = "file"\npaths = ["{log}"]\nstart = "beginning"\n'
    with DaemonProcess(folder, config) as daemon:
        daemon.until(lambda: processed(daemon) > 0, "it reads")
        before, began = processed(daemon), time.perf_counter()
        latencies = sorted(scrape(daemon) for _ in range(SCRAPES))
        after, seconds = processed(daemon), time.perf_counter() - began
    if after >= LOG_LINES * LOG_COPIES:
        print("the log was at its end before the scrapes were: the figures below are of less than full load")
    rate = (after - before) / seconds
    print(f"{'lines read meanwhile':<34} {rate:>9.0f} /s")
    report("scrape p50 under full log load", latencies[len(latencies) // 2], "ms", 50, "the limit of 50 ms")
    report("scrape p99 under full log load", latencies[int(len(latencies) * 0.99)], "ms", 50, "the limit of 50 ms")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ironpost-bench-") as name:
        folder = Path(name)
        bench_start(folder)
        bench_idle(folder / "idle")
        bench_scrape_under_load(folder / "load")


if __name__ == "__main__":
    main()

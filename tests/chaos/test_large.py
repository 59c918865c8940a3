"""Much at once: a large file that is met for the first time, many lines, many addresses.

`make torture` takes 5 GB, 50 million lines and 10 million addresses (IRONPOST_LARGE).
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon_process import DaemonProcess, not_started
from ironpost_logpipe.replay import Replay
from ironpost_logpipe.rulefiles import load_rules
from ironpost_logpipe.state import encode

LARGE = bool(os.environ.get("IRONPOST_LARGE"))
MEGABYTES = 5_000 if LARGE else 300
FEW, MANY = (1_000_000, 50_000_000) if LARGE else (300_000, 3_000_000)
ADDRESSES = 10_000_000 if LARGE else 300_000
OLD, NEW = "203.0.113.7", "198.51.100.9"
FAILED = "{} web1 sshd[1]: Failed password for root from {} port 5022 ssh2\n"


def a_large_log(path: Path) -> tuple[int, int]:
    """A day of lines up to now, with two attacks: its size and how many lines it has."""
    end = datetime.now(UTC)
    count = 0
    with path.open("wb") as file:
        for number in range(MEGABYTES):
            stamp = (end - timedelta(days=1) * (1 - (number + 1) / MEGABYTES)).isoformat()
            text = f"{stamp} web1 CRON[77]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)\n"
            attack = FAILED.format(stamp, OLD) * 9 if number == MEGABYTES // 2 else ""
            lines = [text] * ((1 << 20) // len(text)) + [attack]
            count += len(lines)
            file.write("".join(lines).encode())
        file.write((FAILED.format(datetime.now(UTC).isoformat(), NEW) * 4).encode())
    return path.stat().st_size, count


def at_the_end(daemon: DaemonProcess) -> bool:
    """Whether the last failures were seen."""
    values = daemon.metrics()
    matches, waiting = (values[f"ironpost_log_pipeline_{name}"] for name in ("rule_matches_total", "buffer_size"))
    return matches >= 4 and not waiting


@pytest.mark.timeout(900)
def test_a_large_file_is_live_at_once(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    size, count = a_large_log(log)
    config = f'[[log_pipeline.sources]]\ntype = "file"\npaths = ["{log}"]\n'
    with not_started(tmp_path / "daemon", config) as daemon:
        daemon.start()
        begin = time.perf_counter()
        daemon.until(lambda: at_the_end(daemon), "it is at the end")
        live = time.perf_counter() - begin
        read = daemon.metrics()["ironpost_log_pipeline_logs_collected_total"]
        with log.open("a") as file:
            file.write(FAILED.format(datetime.now(UTC).isoformat(), NEW))
        daemon.until(lambda: daemon.ironpost_json("alerts"), "the fifth failure alerts")
        (alert,) = daemon.ironpost_json("alerts")
    print(f"\n{size / 1e9:.1f} GB: live {live:.2f} s after readiness, {read:,.0f} of {count:,} lines read")
    assert 4 <= read < count / 20  # the longest window of the bundled rules is some minutes of a day
    assert alert["observables"]["source_ip"]["value"] == NEW
    assert alert["count"] == 5


def lines(count: int) -> Iterator[bytes]:
    """Of which each twentieth is a failed login of some hundred addresses."""
    for number in range(0, count, 1000):
        stamp = f"Nov  3 {number // 3_600_000 % 24:02}:{number // 60_000 % 60:02}:{number // 1000 % 60:02}"
        other = f"{stamp} web1 CRON[77]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)\n" * 19
        yield "".join(
            f"{other}{stamp} web1 sshd[1]: Failed password for root from 203.0.113.{number // 1000 % 200} port 1 ssh2\n"
            for _ in range(50)
        ).encode()


def peak_memory(count: int, folder: Path) -> int:
    """Of `ironpost logs replay` with so many lines, in KiB."""
    (folder / "config.toml").write_text("")
    command = [str(Path(sys.executable).parent / "ironpost"), "--config", str(folder / "config.toml")]
    with subprocess.Popen(
        [*command, "logs", "replay", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        for part in lines(count):
            process.stdin.write(part)
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 1, "there were alerts"
    return usage.ru_maxrss


@pytest.mark.timeout(1800)
def test_memory_does_not_grow_with_the_lines(tmp_path: Path) -> None:
    few, many = peak_memory(FEW, tmp_path), peak_memory(MANY, tmp_path)
    print(f"\n{FEW:,} lines: {few / 1024:.1f} MiB, {MANY:,} lines: {many / 1024:.1f} MiB")
    assert many < few * 1.1


@pytest.mark.timeout(1800)
def test_state_is_bounded_whatever_the_number_of_addresses() -> None:
    run = Replay(load_rules([], ["sshd"]).rules, keys=10_000)

    def text(first: int, count: int) -> bytes:
        addresses = (
            f"{n >> 24 & 255 | 1}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in range(first, first + count)
        )
        return "".join(FAILED.format("Nov  3 10:00:00", address) for address in addresses).encode()

    sizes = []
    for first in range(0, ADDRESSES, ADDRESSES // 10):
        for part in range(0, ADDRESSES // 10, 10_000):
            for _ in run.run(Path("a"), io.BytesIO(text(first + part, 10_000))):
                pass
        sizes.append(len(encode({}, run._judge.windows)))
    windows = run._judge.windows
    print(f"\n{ADDRESSES:,} addresses: {len(windows):,} windows, {windows.evictions:,} forgotten, {sizes[-1]:,} bytes")
    assert len(windows) == 10_000
    assert windows.evictions == 2 * ADDRESSES - 10_000  # two rules count each address
    assert max(sizes) < min(sizes) * 1.2

"""Lines per second through the log pipeline's engine: chunks → matcher → judge → publisher, as its one thread does it.

    python tests/bench/bench_logs.py [--lines N] [--json]

The peers in the same run are `json.loads` alone, and a loop over the same patterns with Python's `re`, without parsing
or thresholds. Each figure is the best of three runs on one core; everything else that runs on the machine lowers it.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory

from ironpost_core.alerts import Trust
from ironpost_core.clock import SystemClock
from ironpost_core.testing import CollectingPublisher
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import Chunk, Source
from ironpost_logpipe.config import SyslogSource
from ironpost_logpipe.judge import Judge
from ironpost_logpipe.matcher import Matcher
from ironpost_logpipe.patterns import compile_pattern, span_finder
from ironpost_logpipe.pipeline import Pipeline
from ironpost_logpipe.rulefiles import load_rules, parse_rules
from ironpost_logpipe.rules import Rule
from ironpost_logpipe.tail import FileTail
from ironpost_logpipe.thresholds import Windows
from ironpost_logpipe.times import TimeReader
from ironpost_logpipe.udp import UdpListener

RUNS = 3
OWN_RULE = r"""
id: own-{n}
title: Own {n}
severity: low
detection:
  conditions:
    - {{field: message, modifier: regex, value: '^own event {n} of (?P<user>.*) from (?P<source_ip>\S+)$'}}
threshold: {{by: [source_ip], count: 5, timeframe: 60s}}
"""


def rules(count: int, *, twice: bool = False) -> list[Rule]:
    """The bundled rules and as many more as make `count`; one rule matches a failed login, or with `twice` two do."""
    found = [rule for rule in load_rules([], ["sshd", "sudo"]).rules if twice or rule.id != "ssh-password-spraying"]
    text = "---".join(OWN_RULE.format(n=number) for number in range(count - len(found)))
    return found + list(parse_rules("bench.yaml", text.encode()).rules)


def lines(count: int, hits_in_100: int) -> list[bytes]:
    """Log lines of which so many in a hundred are failed logins of some hundred addresses."""
    made = []
    for number in range(count):
        clock = b"Nov  3 %02d:%02d:%02d" % (10, number // 60_000 % 60, number // 1000 % 60)
        if number % 100 < hits_in_100:
            made.append(
                b"%s web1 sshd[%d]: Failed password for invalid user user%d from 203.0.%d.%d port %d ssh2"
                % (clock, number % 9999, number % 77, number // 256 % 2, number % 256, 1024 + number % 9999)
            )
        else:
            made.append(
                b"%s web1 CRON[%d]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=%d)"
                % (clock, number % 9999, number % 7)
            )
    return made


def json_lines(count: int, hits_in_100: int) -> list[bytes]:
    """The same as a JSON logger writes it."""
    made = []
    for number, line in enumerate(lines(count, hits_in_100)):
        message = line.partition(b"]: ")[2].decode()
        entry = {"time": f"2024-11-03T10:{number // 60_000 % 60:02}:{number // 1000 % 60:02}Z", "level": "info"}
        entry |= {"host": "web1", "app": "sshd", "msg": message}
        request = {"method": "POST", "path": f"/login/{number % 99}", "status": 401}
        made.append(json.dumps(entry | {"pid": number % 9999, "http": request}).encode())
    return made


def with_json(path: Path) -> float:
    """`json.loads` alone on each line."""
    begin = time.perf_counter()
    for line in path.read_bytes().splitlines():
        json.loads(line)
    return time.perf_counter() - begin


def through_the_pipeline(path: Path, count: int, format_: str = "auto", *, twice: bool = False) -> tuple[float, int]:
    """A file of the rules' own through everything but the daemon: seconds, and how many alerts came of it."""
    buffer, publisher = Buffer(100_000, 64 << 20), CollectingPublisher()
    pipeline = Pipeline(
        buffer=buffer,
        judge=Judge(Windows(65_536), TimeReader(zone=UTC)),
        publisher=publisher,
        clock=SystemClock(),
        stopping=threading.Event(),
        log=logging.getLogger("bench"),
    )
    pipeline.matcher = Matcher(rules(count, twice=twice))
    tail, source = FileTail(path, "beginning"), Source(name="bench", trust=Trust.LOCAL, format=format_)
    begin = time.perf_counter()
    while (read := tail.read(0.0)) is not None:
        buffer.put(Chunk(source, read.lines, 0.0, read.start, read.after), 1)
        pipeline._work(buffer.take(1000, 0))
    seconds = time.perf_counter() - begin
    tail.close()
    tally = buffer.tally()
    assert tally.collected == tally.processed, tally
    return seconds, len(publisher.alerts)


def with_re(path: Path, count: int) -> float:
    """The same patterns, one after the other, with Python's `re`."""
    patterns = [re.compile(p.pattern.removeprefix(b"^")) for rule in rules(count) for p in rule.detection.patterns]
    begin = time.perf_counter()
    for line in path.read_bytes().split(b"\n"):
        for pattern in patterns:
            pattern.search(line)
    return time.perf_counter() - begin


def backtracking() -> dict[str, float]:
    """A pattern for which `re` needs exponential time: seconds for 64 KiB, and what a byte costs at 1 MiB beside that.

    The latter is about 1 when the time is linear.
    """
    find = span_finder(compile_pattern(r"^((a+)+)+b$"))

    def seconds(size: int) -> float:
        begin = time.perf_counter()
        find(b"a" * size)
        return time.perf_counter() - begin

    short, long = best(lambda: seconds(1 << 16)), best(lambda: seconds(1 << 20))
    return {"seconds_64_KiB": short, "cost_of_a_byte_at_1_MiB_to_64_KiB": long / short / 16}


def best(run: Callable[[], float]) -> float:
    return min(run() for _ in range(RUNS))


def over_udp(count: int) -> dict[str, float]:
    """Datagrams sent as fast as one thread can, beside the listener and the matcher in this process."""
    buffer, stopping, publisher = Buffer(100_000, 64 << 20), threading.Event(), CollectingPublisher()
    config = SyslogSource(listen="127.0.0.1:0")
    log, clock = logging.getLogger("bench"), SystemClock()
    listener = UdpListener(config, buffer=buffer, clock=clock, stopping=stopping, log=log)
    judge = Judge(Windows(65_536), TimeReader(zone=UTC))
    pipeline = Pipeline(buffer=buffer, judge=judge, publisher=publisher, clock=clock, stopping=stopping, log=log)
    pipeline.matcher = Matcher(rules(10))
    threads = [threading.Thread(target=run) for run in (listener.run, pipeline.run)]
    for thread in threads:
        thread.start()
    while listener.address is None:
        time.sleep(0.01)
    payload = [b"<38>" + line for line in lines(1000, 5)]
    begin = time.perf_counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            sender.sendto(payload[number % 1000], listener.address)
        time.sleep(0.5)
        sender.sendto(b"last", listener.address)  # carries the kernel's count of what it dropped
    seconds = time.perf_counter() - begin - 0.5
    time.sleep(0.5)
    stopping.set()
    for thread in threads:
        thread.join()
    tally = buffer.tally()
    return {
        "sent_per_second": count / seconds,
        "received": tally.collected,
        "dropped_by_kernel": listener.socket_drops,
        "dropped_by_buffer": tally.dropped,
        "unaccounted": count + 1 - tally.collected - listener.socket_drops,
    }


def figures(count: int, folder: Path) -> dict[str, float]:
    """Lines per second, and ratios."""
    found: dict[str, float] = {}
    for name, hits in (("every_line_hits", 100), ("5_percent_hit", 5)):
        path = folder / name
        path.write_bytes(b"\n".join(lines(count, hits)) + b"\n")
        for number in (10, 1000):
            found[f"{name}_{number}_rules"] = count / best(lambda p=path, n=number: through_the_pipeline(p, n)[0])  # type: ignore[misc]
        found[f"{name}_cost_of_1000_rules"] = found[f"{name}_10_rules"] / found[f"{name}_1000_rules"]
        found[f"{name}_two_rules_of_10"] = count / best(lambda p=path: through_the_pipeline(p, 10, twice=True)[0])  # type: ignore[misc]
        found[f"{name}_alerts"] = through_the_pipeline(path, 10)[1]
        found[f"{name}_re_10_rules"] = count / with_re(path, 10)
        found[f"{name}_ratio_to_re_10_rules"] = found[f"{name}_10_rules"] / found[f"{name}_re_10_rules"]
        few = folder / "few"
        few.write_bytes(b"\n".join(lines(max(count // 50, 1000), hits)) + b"\n")
        found[f"{name}_re_1000_rules"] = max(count // 50, 1000) / with_re(few, 1000)
        found[f"{name}_ratio_to_re_1000_rules"] = found[f"{name}_1000_rules"] / found[f"{name}_re_1000_rules"]
    return found


def json_figures(count: int, folder: Path) -> dict[str, float]:
    """The same for JSON, every line of which is parsed; beside it the standard library's parser alone."""
    found: dict[str, float] = {}
    for name, hits in (("json_every_line_hits", 100), ("json_5_percent_hit", 5)):
        path = folder / name
        path.write_bytes(b"\n".join(json_lines(count, hits)) + b"\n")
        found[name] = count / best(lambda p=path: through_the_pipeline(p, 10, "json")[0])  # type: ignore[misc]
        found[f"{name}_json_loads"] = count / best(lambda p=path: with_json(p))  # type: ignore[misc]
        found[f"{name}_ratio_to_json_loads"] = found[name] / found[f"{name}_json_loads"]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        found = figures(options.lines, Path(folder)) | json_figures(options.lines, Path(folder))
    found |= {f"backtracking_pattern_{name}": value for name, value in backtracking().items()}
    udp = over_udp(options.lines)
    if options.json:
        print(json.dumps({"lines_per_second": found, "udp": udp}))
        return
    for name, value in (found | {f"udp_{key}": number for key, number in udp.items()}).items():
        print(f"{name:40} {value:14,.2f}" if value < 100 else f"{name:40} {value:14,.0f}")


if __name__ == "__main__":
    main()

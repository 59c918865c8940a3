"""Journal entries per second: framed, parsed, and through the pipeline from a child that writes them as fast as it can.

    python tests/bench/bench_journal.py [--entries N]

The peer in the same run is `json.loads` on the same entries as `journalctl -o json --all` writes them. Each figure is
the best of three runs, by this process's processor time, of which the child and the rest of the machine take none. The
limit that is asked for is 100,000 entries per second.
"""

from __future__ import annotations

import argparse
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory

from ironpost_core.clock import SystemClock
from ironpost_core.testing import CollectingPublisher
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.config import JournalSource
from ironpost_logpipe.journal import JournalReader
from ironpost_logpipe.journal_entry import parse_journal
from ironpost_logpipe.journal_export import EntryReader
from ironpost_logpipe.judge import Judge
from ironpost_logpipe.matcher import Matcher
from ironpost_logpipe.pipeline import Pipeline
from ironpost_logpipe.rulefiles import load_rules
from ironpost_logpipe.thresholds import Windows
from ironpost_logpipe.times import TimeReader

RUNS = 3
BLOCK = 256 << 10
LIMIT = 100_000
ID = "1048b4712b514786b32c1a9acac82332"


def fields(number: int, hits: bool) -> dict[str, str]:
    """As journald writes an entry of sshd or cron."""
    message = (
        f"Failed password for invalid user user{number % 77} from 203.0.{number // 256 % 2}.{number % 256} port 22 ssh2"
        if hits
        else f"pam_unix(cron:session): session opened for user root(uid=0) by (uid={number % 7})"
    )
    app, unit = ("sshd", "ssh.service") if hits else ("CRON", "cron.service")
    micros = 1_767_268_800_000_000 + number * 10
    return {
        "__CURSOR": f"s={ID};i={number:x};b={ID};m={number:x};t={micros:x};x={number:x}",
        "__REALTIME_TIMESTAMP": str(micros),
        "__MONOTONIC_TIMESTAMP": str(number),
        "_BOOT_ID": ID,
        "_MACHINE_ID": ID,
        "_HOSTNAME": "web1",
        "_RUNTIME_SCOPE": "system",
        "_TRANSPORT": "syslog",
        "PRIORITY": "6",
        "SYSLOG_FACILITY": "10",
        "SYSLOG_IDENTIFIER": app,
        "SYSLOG_PID": str(number % 9999),
        "SYSLOG_TIMESTAMP": "Nov  3 10:00:00 ",
        "MESSAGE": message,
        "_PID": str(number % 9999),
        "_UID": "0",
        "_GID": "0",
        "_COMM": app.lower(),
        "_EXE": f"/usr/sbin/{app.lower()}",
        "_CMDLINE": f"{app.lower()}: daemon",
        "_CAP_EFFECTIVE": "1fffeffffff",
        "_SELINUX_CONTEXT": "unconfined",
        "_SYSTEMD_CGROUP": f"/system.slice/{unit}",
        "_SYSTEMD_UNIT": unit,
        "_SYSTEMD_SLICE": "system.slice",
        "_SYSTEMD_INVOCATION_ID": ID,
        "_SOURCE_REALTIME_TIMESTAMP": str(micros),
    }


def export(count: int, hits_in_100: int) -> bytes:
    """A stream in which so many entries in a hundred are failed logins."""
    entries = (fields(number, number % 100 < hits_in_100) for number in range(count))
    return "".join("".join(f"{name}={value}\n" for name, value in each.items()) + "\n" for each in entries).encode()


def best(run: Callable[[], float]) -> float:
    return min(run() for _ in range(RUNS))


def timed(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def parse(entries: Sequence[bytes]) -> None:
    for entry in entries:
        parse_journal(entry)


def load(lines: Sequence[str]) -> None:
    for line in lines:
        json.loads(line)


def framed(stream: bytes) -> list[bytes]:
    reader = EntryReader()
    return [entry for at in range(0, len(stream), BLOCK) for entry in reader.feed(stream[at : at + BLOCK])]


def through_the_pipeline(stream: Path, count: int) -> float:
    """What it takes from starting the child to the last entry's being worked off, with two threads as in the daemon."""
    program = stream.with_suffix(".sh")
    program.write_text(f'#!/bin/sh\ncase "$*" in *--follow*) exec sleep 60;; *) exec cat {stream};; esac\n')
    program.chmod(0o755)
    buffer, stopping, log = Buffer(100_000, 256 << 20), threading.Event(), logging.getLogger("bench")
    clock, publisher = SystemClock(), CollectingPublisher()
    reader = JournalReader(
        JournalSource(start="beginning"),
        buffer=buffer,
        clock=clock,
        stopping=stopping,
        stored={},
        log=log,
        program=str(program),
    )
    judge = Judge(Windows(65_536), TimeReader(zone=UTC))
    pipeline = Pipeline(buffer=buffer, judge=judge, publisher=publisher, clock=clock, stopping=stopping, log=log)
    pipeline.matcher = Matcher(load_rules([], ["sshd", "sudo"]).rules)
    threads = [threading.Thread(target=run) for run in (reader.run, pipeline.run)]
    begin = time.process_time()
    for thread in threads:
        thread.start()
    while buffer.tally().processed < count:
        time.sleep(0.005)
    seconds = time.process_time() - begin
    stopping.set()
    for thread in threads:
        thread.join()
    tally = buffer.tally()
    assert (tally.collected, tally.processed, tally.dropped) == (count, count, 0), tally
    assert publisher.alerts
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    count: int = parser.parse_args(arguments).entries
    stream = export(count, 5)
    entries = framed(stream)
    assert len(entries) == count
    as_json = [json.dumps(fields(number, number % 100 < 5)) for number in range(count)]
    found = {
        "framed": best(lambda: timed(lambda: framed(stream))),
        "framed_and_parsed": best(lambda: timed(lambda: parse(framed(stream)))),
        "json_loads": best(lambda: timed(lambda: load(as_json))),
    }
    with TemporaryDirectory() as folder:
        for name, hits in (("every_entry_hits", 100), ("5_percent_hit", 5)):
            path = Path(folder) / name
            path.write_bytes(export(count, hits))
            found[f"pipeline_{name}"] = best(lambda path=path: through_the_pipeline(path, count))  # type: ignore[misc]
    for name, seconds in found.items():
        print(f"{name:30} {count / seconds:12,.0f} entries/s {count / seconds / LIMIT:8.2f} of the limit")
    print(f"{'parsed, to json.loads':30} {found['json_loads'] / found['framed_and_parsed']:12.2f}")


if __name__ == "__main__":
    main()

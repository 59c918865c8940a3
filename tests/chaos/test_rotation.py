"""Rotation of all four kinds under a writer at full speed, the daemon killed meanwhile: what is lost or doubled.

Lines are counted exactly: each carries the number of its block, and one rule fires when all of a block's lines were
read, another one when there was one line more. `make torture` does twenty rounds of each kind (IRONPOST_ROUNDS).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_process import DaemonProcess, not_started

ROUNDS = int(os.environ.get("IRONPOST_ROUNDS", "1"))
BLOCK = 50
BURST = 400  # blocks that the writer writes as fast as it can while a rotation happens
RULE = """
id: {id}
title: A block of lines
severity: low
detection:
  conditions:
    - {{field: message, modifier: regex, value: '^block (?P<user>\\d+) line \\d+ x+ end$'}}
threshold: {{by: [user], count: {count}, timeframe: 1h}}
"""
FAILED = "Nov  3 10:00:0{} web1 sshd[123]: Failed password for root from 203.0.113.7 port 5022 ssh2\n"


class Writer:
    """Writes bursts of numbered lines from a thread of its own, in writes that end anywhere."""

    def __init__(self, path: Path, *, cut: bool) -> None:
        self.path = path
        self.blocks = 0
        self.seconds = 0.0
        self.size = 0
        self.written = 0
        self.lock = threading.Lock()
        self._cut = cut
        self._dice = random.Random(1)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def reopen(self) -> None:
        """As programs do when they are told that their log was rotated: between two lines."""
        with self.lock:
            os.close(self._file)
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def burst(self) -> None:
        blocks = [self._block(number) for number in range(self.blocks, self.blocks + BURST)]
        begin = time.perf_counter()
        for self.written, block in enumerate(blocks):
            with self.lock:
                at = self._dice.randrange(len(block)) if self._cut else len(block)
                for part in (block[:at], block[at:]):
                    if part:
                        os.write(self._file, part)
        self.seconds += time.perf_counter() - begin
        self.size += sum(map(len, blocks))
        self.blocks += BURST

    def _block(self, number: int) -> bytes:
        padding = "x" * self._dice.randrange(1, 100)
        text = "Nov  3 10:00:00 web1 app[1]: block {} line {} {} end\n"
        return "".join(text.format(number, line, padding) for line in range(BLOCK)).encode()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        self.written = 0
        thread = threading.Thread(target=self.burst, name="writer")
        thread.start()
        try:
            yield
        finally:
            thread.join()


class Site:
    """A log, its writer, a daemon that follows it, and dice."""

    def __init__(self, folder: Path, kind: str, daemon: DaemonProcess) -> None:
        self.folder, self.kind, self.daemon = folder, kind, daemon
        self.log = folder / "app.log"
        self.writer = Writer(self.log, cut=kind != "copytruncate")
        self.dice = random.Random(f"{kind} {ROUNDS}")
        self.lost: set[int] = set()
        self.up = False

    def pause(self, longest: float) -> None:
        time.sleep(self.dice.uniform(0, longest))

    def start(self) -> None:
        if not self.up:
            self.daemon.start()
            self.up = True

    def kill(self) -> None:
        self.daemon.kill()
        self.up = False

    def terminate(self) -> None:
        assert self.daemon.terminate() == 0
        self.up = False

    def rotate(self) -> None:
        """In the midst of a burst."""
        if self.up and self.kind == "delete":
            self.all_read()  # it must have met the file while it had a name
        at = self.dice.randrange(BURST - 1)
        with self.writer.writing():
            while self.writer.written < at:
                time.sleep(0)
            if self.kind != "delete":
                self._shift()
            getattr(self, f"_{self.kind}")()

    def _shift(self) -> None:
        """Give each rotated file the next number; none is deleted."""
        numbers = sorted((int(each.suffix[1:]) for each in self.folder.glob("app.log.*")), reverse=True)
        for number in numbers:
            (self.folder / f"app.log.{number}").rename(self.folder / f"app.log.{number + 1}")

    def _rename(self) -> None:
        self.log.rename(self.folder / "app.log.1")
        self.writer.reopen()

    def _hold(self) -> None:
        self.log.rename(self.folder / "app.log.1")
        self.log.touch()
        self.pause(0.05)
        self.writer.reopen()

    def _copytruncate(self) -> None:
        shutil.copyfile(self.log, self.folder / "app.log.1")
        os.truncate(self.log, 0)

    def _delete(self) -> None:
        with self.log.open("rb") as deleted:
            self.log.unlink()
            self.pause(0.02)
            self.writer.reopen()
            if not self.up:
                self.lost |= set(blocks_in(deleted.read()))

    def alerts(self) -> Counter[tuple[str, int]]:
        """Rule and block of every stored alert."""
        connection = sqlite3.connect(self.daemon.data_dir / "history.sqlite")
        try:
            bodies = [json.loads(row[0]) for row in connection.execute("SELECT body FROM alerts")]
        finally:
            connection.close()
        return Counter((body["rule"], int(body["observables"]["user"]["value"])) for body in bodies)

    def expected(self) -> set[int]:
        """The blocks that were whole in some file, those that vanished while the daemon was down left out."""
        if self.kind != "copytruncate":
            return set(range(self.writer.blocks)) - self.lost
        lines = Counter(number for path in self.folder.glob("app.log*") for number in blocks_in(path.read_bytes()))
        return {number for number, count in lines.items() if count == BLOCK}

    def all_read(self) -> None:
        """Wait until every line that can be expected was counted."""
        expected = self.expected()

        def missing() -> list[int]:
            return sorted(expected - {number for rule, number in self.alerts() if rule == "whole"})

        try:
            self.daemon.until(lambda: not missing(), "all lines are read", timeout=120)
        except AssertionError as error:
            raise AssertionError(f"{error}; missing: {missing()[:20]} of {len(expected)}") from None

    def gaps(self) -> float:
        return self.daemon.metrics()["ironpost_log_pipeline_files_gaps_total"]


def blocks_in(text: bytes) -> Iterator[int]:
    """The block of each whole line."""
    for line in text.split(b"\n"):
        if line.endswith(b" end"):
            yield int(line.split()[6])


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    folder, rules = tmp_path / "logs", tmp_path / "rules"
    folder.mkdir()
    rules.mkdir()
    (rules / "whole.yaml").write_text(RULE.format(id="whole", count=BLOCK))
    (rules / "doubled.yaml").write_text(RULE.format(id="doubled", count=BLOCK + 1))
    config = f"""
[log_pipeline]
packs = []
rule_dirs = ["{rules}"]
threshold_keys = 2000
[[log_pipeline.sources]]
type = "file"
paths = ["{folder}/app.log"]
start = "beginning"
"""
    with not_started(tmp_path / "daemon", config) as daemon:
        yield Site(folder, request.param, daemon)


def a_round(site: Site) -> None:
    """Some rotations with the daemon running, killed and started meanwhile, and some while it is down."""
    site.start()
    for _ in range(site.dice.randrange(1, 3)):
        site.rotate()
        site.pause(0.5)
    if site.kind == "delete":
        site.all_read()  # what has no name any more is gone with whoever has it open
    site.kill()
    for _ in range(site.dice.randrange(1, 4)):
        site.rotate()
        site.pause(0.1)
    site.start()
    if site.kind != "delete":
        site.pause(0.5)
        site.rotate()
        site.pause(0.3)
        site.kill()


@pytest.mark.timeout(600 + 60 * ROUNDS)
@pytest.mark.parametrize("site", ["rename", "hold", "copytruncate", "delete"], indirect=True)
def test_rotation_loses_and_doubles_nothing(site: Site) -> None:
    site.writer.burst()
    for _ in range(ROUNDS):
        site.start()
        site.all_read()
        site.terminate()  # now it knows the file: what was rotated before that is not its business
        a_round(site)
    site.start()
    site.all_read()
    site.terminate()
    site.rotate()
    site.start()
    site.all_read()
    gaps = site.gaps()
    alerts = site.alerts()
    writer = site.writer
    print(
        f"\n{site.kind}: {writer.blocks * BLOCK:,} lines in {len(list(site.folder.iterdir()))} files, "
        f"{writer.blocks * BLOCK / writer.seconds:,.0f} lines/s ({writer.size / writer.seconds / 1e6:.0f} MB/s); "
        f"{writer.blocks - len(site.expected())} blocks of {writer.blocks} existed nowhere; gaps {gaps:g}"
    )
    assert {rule for rule, _ in alerts} == {"whole"}, "lines were read twice"
    assert max(alerts.values()) == 1, "alerts are doubled"
    assert len(site.expected()) > writer.blocks / 4
    assert gaps == (0 if site.kind in ("rename", "hold") else 1)


@pytest.mark.parametrize("rotated", [False, True])
def test_a_kill_between_the_fourth_and_the_fifth_failure_alerts_once(tmp_path: Path, rotated: bool) -> None:
    log = tmp_path / "auth.log"
    log.write_text("".join(FAILED.format(number) for number in range(4)))
    config = f'[[log_pipeline.sources]]\ntype = "file"\npaths = ["{log}"]\nstart = "beginning"\n'
    with not_started(tmp_path / "daemon", config) as daemon:
        daemon.start()
        daemon.until(lambda: daemon.metrics()["ironpost_log_pipeline_logs_processed_total"] == 4, "four are counted")
        daemon.kill()
        if rotated:
            log.rename(tmp_path / "auth.log.1")
        with log.open("a") as file:
            file.write(FAILED.format(4))
        for _ in range(2):
            daemon.start()
            daemon.until(lambda: daemon.ironpost_json("alerts"), "it alerts")
            daemon.kill()
        daemon.start()
        (alert,) = daemon.ironpost_json("alerts")
        assert alert["count"] == 5

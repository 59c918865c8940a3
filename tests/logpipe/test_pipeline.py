from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import attrs
import pytest

from ironpost_core.alerts import Alert
from ironpost_core.testing import CollectingPublisher, FakeClock
from ironpost_logpipe import state
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import Chunk, Source
from ironpost_logpipe.judge import Judge
from ironpost_logpipe.matcher import Matcher
from ironpost_logpipe.pipeline import Pipeline
from ironpost_logpipe.tail import FileTail
from ironpost_logpipe.thresholds import Windows
from ironpost_logpipe.times import TimeReader
from logpipe.helpers import LIVE, NOW, bundled, failed


class Bench:
    """A pipeline without threads, fed from one file."""

    def __init__(self, publisher: CollectingPublisher, keys: int = 100) -> None:
        self.clock = FakeClock()
        self.stopping = threading.Event()
        self.buffer = Buffer(100_000, 1 << 20)
        self.windows = Windows(keys)
        self.publisher = publisher
        self.pipeline = Pipeline(
            buffer=self.buffer,
            judge=Judge(self.windows, TimeReader(lambda: NOW, UTC)),
            publisher=publisher,
            clock=self.clock,
            stopping=self.stopping,
            log=logging.getLogger("test"),
        )
        self.pipeline.matcher = Matcher(bundled())
        self.pipeline.restore()

    def feed(self, path: Path, dice: random.Random | None = None, reads: int = 10_000) -> bool:
        """Read up to `reads` chunks, small ones with dice; whether the file's end was reached."""
        tail = FileTail(path, "beginning", self.pipeline.positions.get(str(path)))
        source = Source(name=str(path), trust=LIVE.trust)
        try:
            for _ in range(reads):
                read = tail.read(0.0)
                if read is None:
                    return True
                chunk = Chunk(source, read.lines, NOW, read.start, read.after)
                assert self.buffer.put(chunk, 0)
                self.pipeline._work(self.buffer.take(1000, 0))
                self.clock.advance(dice.uniform(0, 0.7) if dice else 2)
            return False
        finally:
            tail.close()


def attack(lines: int) -> bytes:
    dice = random.Random(3)
    text = [
        failed(second // 3, f"203.0.113.{dice.randrange(6)}", dice.choice(["root", "bob"])) for second in range(lines)
    ]
    text[50:50] = [b"", b"\xff\x00", b"Nov  3 10:00:00 web1 cron[1]: x"]
    return b"".join(line + b"\n" for line in text)


def plain(alerts: Sequence[Alert]) -> list[str]:
    return [alert.to_json() for alert in alerts]


class CrashingPublisher(CollectingPublisher):
    """A history in which what came after some moment is lost, as in a crash: alerts and checkpoints in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[Alert | bytes] = []

    def publish(self, alert: Alert) -> bool:
        self.journal.append(alert)
        return True

    def checkpoint(self, key: str, value: bytes) -> None:
        self.journal.append(value)

    def after_crash(self, kept: int) -> CollectingPublisher:
        """What the next start finds."""
        found = CollectingPublisher(checkpoints=dict(self.checkpoints))
        for entry in (*self.alerts, *self.journal[:kept]):
            if isinstance(entry, bytes):
                found.checkpoint(state.KEY, entry)
            else:
                found.publish(entry)
        return found


@pytest.mark.parametrize("seed", range(30))
def test_after_crashes_the_history_is_that_of_an_uninterrupted_run(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironpost_logpipe.opened.BLOCK", 700)  # some seven lines a chunk, so that there are many
    log = tmp_path / "auth.log"
    log.write_bytes(attack(600))
    whole = CollectingPublisher()
    assert Bench(whole, keys=8).feed(log)
    dice = random.Random(seed)
    kept = CollectingPublisher()
    for _ in range(8):
        crashing = CrashingPublisher()
        crashing.alerts, crashing.checkpoints = list(kept.alerts), dict(kept.checkpoints)
        Bench(crashing, keys=8).feed(log, dice, reads=dice.randrange(30))
        kept = crashing.after_crash(dice.randrange(len(crashing.journal) + 1))
    assert Bench(kept, keys=8).feed(log, dice)
    assert len(whole.alerts) > 10
    assert plain(kept.alerts) == plain(whole.alerts)


def test_a_file_waits_for_a_history_that_is_full(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(attack(30))
    publisher = CollectingPublisher(refuse=True)
    bench = Bench(publisher)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (bench.feed(log), done.set()))
    thread.start()
    assert not done.wait(0.3)
    publisher.refuse = False
    for _ in range(1000):
        bench.clock.advance(1)
        if done.wait(0.01):
            break
    thread.join(10)
    assert publisher.alerts
    assert bench.buffer.tally().alerts == len(publisher.alerts)


def test_nothing_is_remembered_past_a_refusal(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(attack(60))
    publisher = CollectingPublisher(refuse=True)
    bench = Bench(publisher)
    tail = FileTail(log, "beginning")
    read = tail.read(0.0)
    assert read is not None
    bench.buffer.put(Chunk(Source(name="x", trust=LIVE.trust), read.lines, NOW, read.start, read.after), 0)
    bench.stopping.set()
    bench.pipeline.run()
    assert bench.pipeline.finished.is_set()
    assert publisher.checkpoints == {}
    tail.close()


def test_what_arrives_live_and_is_refused_is_counted() -> None:
    publisher = CollectingPublisher(refuse=True)
    bench = Bench(publisher)
    bench.buffer.offer(Chunk(LIVE, [failed()] * 5, NOW, senders=["192.0.2.1"] * 5))
    bench.stopping.set()
    bench.pipeline.run()
    tally = bench.buffer.tally()
    assert (tally.processed, tally.refused, tally.alerts, tally.matches, tally.buffered) == (5, 1, 0, 10, 0)
    assert state.KEY in publisher.checkpoints


def test_a_checkpoint_is_written_at_most_once_a_second_and_only_after_work() -> None:
    publisher = CollectingPublisher()
    bench = Bench(publisher)
    seen = []

    def work(lines: int) -> None:
        bench.buffer.offer(Chunk(LIVE, [failed()] * lines, NOW, senders=["192.0.2.1"] * lines))
        bench.pipeline._work(bench.buffer.take(10, 0) if lines else [])
        seen.append(publisher.checkpoints.pop(state.KEY, None) is not None)

    for lines, wait in ((1, 0.0), (1, 0.5), (1, 0.6), (0, 2.0), (1, 0.0)):
        bench.clock.advance(wait)
        work(lines)
    assert seen == [True, False, True, False, True]


def test_a_broken_checkpoint_starts_afresh(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(CollectingPublisher(checkpoints={state.KEY: b"nonsense"}))
    assert bench.pipeline.positions == {}
    assert "starting afresh" in caplog.text


def test_a_matcher_is_exchanged_between_batches() -> None:
    bench = Bench(CollectingPublisher())

    def failures(count: int) -> int:
        bench.buffer.offer(Chunk(LIVE, [failed()] * count, NOW, senders=["192.0.2.1"] * count))
        bench.pipeline._work(bench.buffer.take(10, 0))
        return len(bench.publisher.alerts)

    assert failures(4) == 0
    bench.pipeline.exchange(Matcher(bundled()), frozenset(rule.id for rule in bundled()), 100)
    assert failures(1) == 1
    assert failures(4) == 1
    bench.pipeline.exchange(Matcher(bundled()), frozenset(), 100)
    assert failures(1) == 1


def test_lines_on_which_matching_failed_are_counted_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(CollectingPublisher())
    monkeypatch.setattr(bench.pipeline, "matcher", attrs.NOTHING)
    bench.buffer.offer(Chunk(LIVE, [failed()], NOW, senders=["192.0.2.1"]))
    with pytest.raises(AttributeError):
        bench.pipeline.run()
    bench.stopping.set()
    bench.pipeline.run()
    assert bench.buffer.tally().dropped == 1


def test_positions_of_files_that_are_long_gone_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironpost_logpipe.pipeline._POSITIONS", 3)
    bench = Bench(CollectingPublisher())
    for name in ("a", "b", "c", "a", "d"):
        with (tmp_path / name).open("ab") as file:
            file.write(failed() + b"\n")
        bench.feed(tmp_path / name)
    assert [Path(path).name for path in bench.pipeline.positions] == ["c", "a", "d"]

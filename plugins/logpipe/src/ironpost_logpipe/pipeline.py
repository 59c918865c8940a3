"""The one hot thread: batches from the buffer, through matcher and judge, to the history.

What makes a crash harmless: positions and windows change on this thread only, after each chunk, and a checkpoint is
taken between two chunks, behind all alerts of the first. So it describes exactly the lines before it. Whatever was
published after it is published again after a crash, with the same ids.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from threading import Event

from ironpost_core.alerts import Alert
from ironpost_core.clock import Clock
from ironpost_core.hookspecs import Publisher
from ironpost_logpipe import state
from ironpost_logpipe.buffer import Buffer, Result
from ironpost_logpipe.chunks import Chunk, Cursor, Position
from ironpost_logpipe.exemptions import exempt
from ironpost_logpipe.judge import Judge
from ironpost_logpipe.matcher import Matcher
from ironpost_logpipe.parsers import LABELS

CHECKPOINT_INTERVAL = 1.0
#: A large state is written less often, so that it takes at most this part of the time.
_CHECKPOINT_SHARE = 0.05
_IDLE = 0.25
#: So many files' positions are kept.
_POSITIONS = 10_000
_DRAIN_TIME = 1.0


class _RefusedError(Exception):
    """The history took no more alerts before the end: nothing may be remembered past this point."""


class Pipeline:
    """Takes chunks out of `buffer` until `stopping` is set.

    Args:
        buffer: where chunks come from, and the book of lines.
        judge: decides what becomes an alert.
        publisher: where alerts and checkpoints go.
        clock: tells when a checkpoint is due.
        stopping: ends `run`.
        log: for what operators should know.
        observe: is told each batch's duration in seconds.
    """

    def __init__(
        self,
        *,
        buffer: Buffer,
        judge: Judge,
        publisher: Publisher,
        clock: Clock,
        stopping: Event,
        log: logging.Logger,
        observe: Callable[[float], object] = lambda _: None,
    ) -> None:
        self.positions: dict[str, Position | Cursor] = {}
        #: Rule id → how many of its hits overrides dropped.
        self.exempted: dict[str, int] = {}
        self.matcher = Matcher(())
        self.batch_size = 1000
        self.flush_interval = 0.1
        self.finished = Event()
        self._buffer = buffer
        self._judge = judge
        self._publisher = publisher
        self._clock = clock
        self._stopping = stopping
        self._log = log
        self._observe = observe
        self._changed = False
        self._checkpoint_at = 0.0
        self._swap: tuple[Matcher, frozenset[str], int] | None = None
        self._swapping = threading.Lock()

    def restore(self) -> None:
        """Take up the last checkpoint. Call it before anything runs."""
        data = self._publisher.last_checkpoint(state.KEY)
        if data is None:
            return
        try:
            self.positions = state.decode(data, self._judge.windows)
        except state.StateError as error:
            self._log.warning("starting afresh, without the positions in files: %s", error)

    def exchange(self, matcher: Matcher, same: frozenset[str], limit: int) -> None:
        """Use another matcher from the next batch on; windows of rules not in `same` are forgotten."""
        with self._swapping:
            self._swap = (matcher, same, limit)

    def run(self) -> None:
        """Work until the end; on a supervised thread."""
        lost = self._buffer.abandon()
        if lost:  # this is a restart after an exception; the supervisor has logged it
            self._log.error("%d lines were given up because matching them failed", lost)
        try:
            while not self._stopping.is_set():
                self._work(self._buffer.take(self.batch_size, _IDLE, self.flush_interval))
            self._drain()
            self._checkpoint(0.0)
        except _RefusedError:
            self._log.warning("stopping with alerts refused; their lines are read again at the next start")
        self.finished.set()

    def _drain(self) -> None:
        """Work off what is left, within reason: datagrams can't be read again."""
        deadline = time.monotonic() + _DRAIN_TIME
        while time.monotonic() < deadline and (batch := self._buffer.take(self.batch_size, 0.0)):
            self._work(batch)

    def _work(self, batch: list[Chunk]) -> None:
        self._take_over()
        if batch:
            begin = time.perf_counter()
            self._judge.refresh()
            result = Result()
            for chunk in batch:
                self._process(chunk, result)
            self._buffer.done(result)
            self._observe(time.perf_counter() - begin)
            time.sleep(0)  # gives the other threads a turn: a scrape must not wait for a log
        self._checkpoint(CHECKPOINT_INTERVAL)

    def _take_over(self) -> None:
        with self._swapping:
            swap, self._swap = self._swap, None
        if swap is not None:
            self.matcher, same, limit = swap
            self._judge.windows.keep_rules(same, limit)
            self._changed = True

    def _process(self, chunk: Chunk, result: Result) -> None:
        hits, errors = self.matcher.match(chunk.lines, chunk.source.format)
        result.matches += len(hits)
        for hit in hits:
            rule = hit.rule
            if rule.exemptions and exempt(rule.exemptions, hit.event, hit.captures, chunk.arrived):
                self.exempted[rule.id] = self.exempted.get(rule.id, 0) + 1
                continue
            alert = self._judge.alert(hit, chunk)
            if alert is not None:
                self._send(alert, chunk, result)
        result.processed += len(chunk) - errors
        result.add_errors(LABELS.get(chunk.source.format, "unknown"), errors)
        if chunk.after is not None:
            self._note(chunk.after)
        self._changed = True

    def _note(self, after: Position | Cursor) -> None:
        """Remember a position; of files that are long gone, the longest unchanged is forgotten."""
        self.positions.pop(after.path, None)
        self.positions[after.path] = after
        if len(self.positions) > _POSITIONS:
            del self.positions[next(path for path, each in self.positions.items() if isinstance(each, Position))]

    def _send(self, alert: Alert, chunk: Chunk, result: Result) -> None:
        """Publish. What does not arrive live waits until there is room, the rest is counted as refused."""
        while not self._publisher.publish(alert):
            if self._stopping.is_set() and chunk.after is not None:
                raise _RefusedError
            if self._stopping.is_set() or chunk.source.live:
                result.refused += 1
                return
            self._publisher.settle(0.2)
            self._clock.wait(self._stopping, 0.01)
        result.alerts += 1

    def _checkpoint(self, interval: float) -> None:
        now = self._clock.monotonic()
        if not self._changed or (interval and now < self._checkpoint_at):
            return
        begin = time.perf_counter()
        data = state.encode(self.positions, self._judge.windows, lambda: time.sleep(0))
        self._publisher.checkpoint(state.KEY, data)
        self._changed = False
        cost = time.perf_counter() - begin
        self._checkpoint_at = now + max(interval, cost / _CHECKPOINT_SHARE)

    def known_positions(self) -> Mapping[str, Position | Cursor]:
        """How far each file and journal has been processed; safe to call on any thread."""
        return dict(self.positions)

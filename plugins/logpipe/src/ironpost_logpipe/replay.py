"""A log file through everything but the daemon: `ironpost logs replay`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from ironpost_core.alerts import Alert, Key, Trust
from ironpost_logpipe.chunks import HEAD, MAX_LINE, Chunk, Position, Source
from ironpost_logpipe.exemptions import exempt
from ironpost_logpipe.judge import Judge
from ironpost_logpipe.matcher import Matcher
from ironpost_logpipe.rules import Rule
from ironpost_logpipe.thresholds import Windows
from ironpost_logpipe.times import TimeReader

_BLOCK = 64 << 10
_TOP = 10


@attrs.define
class Summary:
    """What came of a replay."""

    lines: int = 0
    parse_errors: int = 0
    matches: int = 0
    exempted: int = 0
    alerts: int = 0
    seconds: float = 0.0
    size: int = 0
    rules: Counter[str] = attrs.field(factory=Counter)
    sources: Counter[str] = attrs.field(factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able data."""
        return attrs.asdict(self) | {"rules": dict(self.rules), "sources": dict(self.sources.most_common(_TOP))}

    def note(self, alert: Alert) -> None:
        """Count an alert."""
        self.alerts += 1
        self.rules[alert.rule] += 1
        source = alert.observable(Key.SOURCE_IP)
        if source is not None:
            self.sources[source] += alert.count


class Replay:
    """Runs files one after the other; thresholds go on from one to the next. `progress` is told the bytes read."""

    def __init__(
        self,
        rules: Iterable[Rule],
        *,
        keys: int = 65_536,
        format_: str = "auto",
        now: Callable[[], float] = time.time,
        progress: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.summary = Summary()
        self._matcher = Matcher(rules)
        self._judge = Judge(Windows(keys), TimeReader(now))
        self._format = format_
        self._now = now
        self._progress = progress

    def run(self, path: Path, opened: BinaryIO) -> Iterator[Alert]:
        """The alerts of one file, as they come."""
        source = Source(name=str(path), trust=Trust.LOCAL, format=self._format)
        begin = time.perf_counter()
        for chunk in _chunks(source, path, opened, self._now):
            hits, errors = self._matcher.match(chunk.lines, self._format)
            self.summary.lines += len(chunk)
            self.summary.parse_errors += errors
            self.summary.matches += len(hits)
            for hit in hits:
                if exempt(hit.rule.exemptions, hit.event, hit.captures, chunk.arrived):
                    self.summary.exempted += 1
                    continue
                alert = self._judge.alert(hit, chunk)
                if alert is not None:
                    self.summary.note(alert)
                    yield alert
            size = sum(map(len, chunk.lines)) + len(chunk)
            self.summary.size += size
            self._progress(size)
        self.summary.seconds += time.perf_counter() - begin


def _chunks(source: Source, path: Path, opened: BinaryIO, now: Callable[[], float]) -> Iterator[Chunk]:
    rest, offset, head = b"", 0, b""
    while block := opened.read(_BLOCK):
        data = rest + block
        head = (head + block)[:HEAD] if len(head) < HEAD else head
        end = data.rfind(b"\n")
        if end < 0 and len(data) < MAX_LINE:
            rest = data
            continue
        # A line that is longer than lines may be is cut into several here: a replay has no use for skipping.
        taken = data[:end] if end >= 0 else data
        length = end + 1 if end >= 0 else len(data)
        yield Chunk(source, taken.split(b"\n"), now(), offset, Position(str(path), 0, 0, head, offset + length))
        offset, rest = offset + length, data[length:]
    if rest:
        yield Chunk(source, [rest], now(), offset, Position(str(path), 0, 0, head, offset + len(rest)))

"""The log pipeline put together: sources, buffer, matcher thread, and what is said about them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ironpost_core import metrics as catalogue
from ironpost_core.errors import PluginError, Problem
from ironpost_core.hookspecs import Context, Health, State
from ironpost_core.instruments import Reading
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import Position
from ironpost_logpipe.config import (
    DockerSource,
    FileSource,
    JournalSource,
    LogPipelineConfig,
    Source,
    StdinSource,
    sources_of,
)
from ironpost_logpipe.docker import DockerReader
from ironpost_logpipe.files import FileReader
from ironpost_logpipe.journal import JournalReader
from ironpost_logpipe.journal_files import has_journal
from ironpost_logpipe.judge import Judge
from ironpost_logpipe.listening import Listener
from ironpost_logpipe.matcher import Matcher
from ironpost_logpipe.patterns import PatternError
from ironpost_logpipe.pipeline import Pipeline
from ironpost_logpipe.reading import reading
from ironpost_logpipe.rulefiles import Loaded, load_rules
from ironpost_logpipe.rules import Rule
from ironpost_logpipe.stdin import StdinReader
from ironpost_logpipe.tcp import TcpListener
from ironpost_logpipe.thresholds import Windows
from ironpost_logpipe.times import TimeReader
from ironpost_logpipe.udp import UdpListener

Reader: TypeAlias = FileReader | DockerReader | JournalReader | StdinReader | Listener
_STOP_TIME = 2.0
_NAMED_PROBLEMS = 3


class Service:
    """One running log pipeline."""

    def __init__(self, context: Context[LogPipelineConfig]) -> None:
        config = context.config
        self._context = context
        self._log: logging.Logger = context.log
        self._windows = Windows(config.threshold_keys)
        self._buffer = Buffer(config.buffer_capacity, config.buffer_size, config.drop_policy)
        clock = context.clock
        self._pipeline = Pipeline(
            buffer=self._buffer,
            judge=Judge(self._windows, TimeReader(lambda: clock.now().timestamp())),
            publisher=context.alerts,
            clock=clock,
            stopping=context.stopping,
            log=context.log,
            observe=context.metrics.histogram(catalogue.LOG_PIPELINE_PROCESSING_DURATION_SECONDS).observe,
        )
        self._loaded = Loaded(())
        self._matcher = self._pipeline.matcher
        self._readers: list[Reader] = []
        self._running = False

    def start(self) -> None:
        """Load rules, take up the last checkpoint, spawn the threads.

        Raises:
            PluginError: the rules together can't be compiled.
        """
        config = self._context.config
        self._loaded = load_rules(config.rule_dirs, config.packs, config.override)
        for problem in self._loaded.problems:
            self._log.error("%s", problem)
        self._matcher = self._pipeline.matcher = self._compiled(self._loaded)
        self._set_batches(config)
        self._pipeline.restore()
        self._context.metrics.read_with(self.reading)
        self._readers = [self._reader(source) for source in sources_of(config, journal=has_journal())]
        self._running = True
        self._context.spawn("matcher", self._pipeline.run)
        for number, reader in enumerate(self._readers):
            self._context.spawn(f"source-{number}", reader.run)

    def _reader(self, source: Source) -> Reader:
        buffer, clock, stopping = self._buffer, self._context.clock, self._context.stopping
        positions = self._pipeline.known_positions()
        if isinstance(source, FileSource | DockerSource):
            stored = {path: each for path, each in positions.items() if isinstance(each, Position)}
            if isinstance(source, DockerSource):
                return DockerReader(source, buffer=buffer, clock=clock, stopping=stopping, stored=stored)
            return FileReader(
                source,
                buffer=buffer,
                clock=clock,
                stopping=stopping,
                stored=stored,
                window=lambda: longest_window(self._matcher.rules),
                data_dir=_data_dir(self._context.state_dir),
            )
        if isinstance(source, JournalSource):
            return JournalReader(
                source,
                buffer=buffer,
                clock=clock,
                stopping=stopping,
                stored=positions,
                lookback=longest_window(self._matcher.rules),
                log=self._log,
            )
        if isinstance(source, StdinSource):
            return StdinReader(source, buffer=buffer, clock=clock, stopping=stopping)
        listener = UdpListener if source.protocol == "udp" else TcpListener
        return listener(source, buffer=buffer, clock=clock, stopping=stopping, log=self._log)

    def _compiled(self, loaded: Loaded) -> Matcher:
        try:
            return Matcher(loaded.rules)
        except PatternError as error:
            raise PluginError(
                self._context.name, f"the rules can't be used together: {error}", "disable some"
            ) from None

    def _set_batches(self, config: LogPipelineConfig) -> None:
        self._pipeline.batch_size = config.batch_size
        self._pipeline.flush_interval = config.flush_interval

    def reload(self, config: LogPipelineConfig) -> int:
        """Take over another configuration and the rule files as they are now; how many rules are in force.

        A file that is broken now keeps the rules it had; what is wrong with it is logged and in `problems`.

        Raises:
            PluginError: the sources changed, or the rules together can't be compiled; nothing changes then.
        """
        if config.sources != self._context.config.sources:
            what = "log_pipeline.sources can't change while it runs"
            raise PluginError(self._context.name, what, "restart ironpost, or undo that change")
        loaded = load_rules(config.rule_dirs, config.packs, config.override, self._loaded.by_file)
        matcher = self._compiled(loaded)
        same = _unchanged(self._loaded.rules, loaded.rules)
        self._buffer.resize(config.buffer_capacity, config.buffer_size, config.drop_policy)
        self._set_batches(config)
        self._pipeline.exchange(matcher, same, config.threshold_keys)
        known = set(map(str, self._loaded.problems))
        self._loaded, self._matcher = loaded, matcher
        for reader in self._readers:
            if isinstance(reader, TcpListener):
                reader.renew()
        for problem in loaded.problems:
            if str(problem) not in known:
                self._log.error("%s", problem)
        if loaded.kept:
            self._log.warning("the rules of %s stay as they were", ", ".join(loaded.kept))
        return len(matcher.rules)

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with the rule files."""
        return self._loaded.problems

    def stop(self) -> None:
        """Wait for the matcher's last checkpoint."""
        if self._running and not self._pipeline.finished.wait(_STOP_TIME):
            self._log.warning("the matcher did not end in time; what it did last is done again at the next start")

    def reading(self) -> Reading:
        """For the metrics."""
        return reading(
            self._buffer.tally(),
            rules=len(self._matcher.rules),
            evictions=self._windows.evictions,
            listeners=[reader for reader in self._readers if isinstance(reader, Listener)],
            gaps=sum(reader.gaps for reader in self._readers if isinstance(reader, FileReader)),
        )

    def health(self) -> Health:
        """How it is, from what the threads noted last."""
        troubles = [reader.status.trouble for reader in self._readers if reader.status.trouble]
        troubles += _rule_troubles(self._loaded.problems)
        if not self._matcher.rules:
            troubles.append("no rule is in force: see log_pipeline.packs and rule_dirs")
        return Health(State.DEGRADED if troubles else State.HEALTHY, "; ".join(troubles), details=self._details())

    def _details(self) -> dict[str, Any]:
        positions = self._pipeline.known_positions()
        entries = [dict(entry) for reader in self._readers for entry in reader.status.entries]
        for entry in entries:
            position = positions.get(entry["source"])
            if isinstance(position, Position):
                entry["position"] = position.offset
            elif position is not None:
                entry["position"] = position.cursor.decode("latin-1")
        tally = self._buffer.tally()
        return {
            "sources": entries,
            "rules": {
                "in_force": len(self._matcher.rules),
                "files": self._loaded.files,
                "broken": [str(problem) for problem in self._loaded.problems],
                "files_kept_from_before": list(self._loaded.kept),
                "evaluated_on_every_line": [rule.id for rule in self._matcher.unfiltered],
                "hits_dropped_by_exceptions": dict(self._pipeline.exempted),
            },
            "threshold_keys": len(self._windows),
            "alerts_refused": tally.refused,
        }


def longest_window(rules: Iterable[Rule]) -> float:
    """How many seconds back lines matter to these rules; what looks for new keys learns them as they come."""
    thresholds = [rule.document.threshold for rule in rules if rule.document.threshold is not None]
    before = (float(threshold.after.within) for threshold in thresholds if threshold.after is not None)
    return max((*(threshold.span for threshold in thresholds), *before), default=0.0)


def _data_dir(state_dir: Path) -> Path:
    """The daemon's folder, of which each plugin has a part."""
    return state_dir.parent.parent if state_dir.parent.name == "plugins" else state_dir


def _rule_troubles(problems: Sequence[Problem]) -> list[str]:
    named = [str(problem) for problem in problems[:_NAMED_PROBLEMS]]
    more = len(problems) - len(named)
    return [*named, f"{more} more problems in rules"] if more > 0 else named


def _unchanged(before: Sequence[Rule], after: Sequence[Rule]) -> frozenset[str]:
    """The rules that count as they did, so that their windows stay valid."""
    old = {rule.id: (rule.keys, rule.document.threshold) for rule in before}
    return frozenset(rule.id for rule in after if old.get(rule.id) == (rule.keys, rule.document.threshold))

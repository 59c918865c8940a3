"""`ironpost demo`: a real daemon in a scratch folder reads a log with attackers in it, and one sees what it finds.

Neighbours: `demo_log` writes the log, `demo_daemon` runs the daemon, `demo_report` prints.
"""

from __future__ import annotations

import contextlib
import io
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Final

import attrs
import click

from ironpost_daemon import demo_log
from ironpost_daemon.demo_daemon import DemoDaemon, DemoError, Found, Progress
from ironpost_daemon.demo_report import Report
from ironpost_daemon.exits import GOOD, NO, USAGE

SEED: Final = 20_251
#: Give up when no line is read for this long.
PATIENCE: Final = 30.0
#: How gzip, bzip2, xz and zstd files begin.
_COMPRESSED: Final = (b"\x1f\x8b", b"BZ", b"\xfd7", b"\x28\xb5")
#: So much of the path of a Unix socket, which has at most 107 bytes, can be the temporary folder's.
_LONGEST: Final = 60
_TICK: Final = 0.1
_TICK_SERVING: Final = 1.0


@attrs.frozen(kw_only=True)
class Input:
    """What is replayed: a file and how many lines of it; `unfinished` is a last line without an end."""

    path: Path
    lines: int
    generated: bool
    unfinished: bool = False


@click.command()
@click.option(
    "--log",
    "log_file",
    type=click.Path(path_type=Path, readable=False),
    help="Replay this file instead; it is only read, and whole.",
)
@click.option(
    "--lines",
    type=click.IntRange(demo_log.MIN_LINES, 1_000_000),
    default=10_000,
    show_default=True,
    help="How many lines the generated log has.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=9100, show_default=True, help="Where metrics are served."
)
@click.option(
    "--keep-serving/--no-keep-serving",
    default=None,
    help="Go on until Ctrl-C when all is read, or stop. Default: go on when on a terminal.",
)
def demo(log_file: Path | None, lines: int, port: int, keep_serving: bool | None) -> None:
    """See it work: replay a log with attackers in it, without root, in a scratch folder.

    \b
    Example: ironpost demo --log /var/log/auth.log
    Exit codes: 0 all was read (and, of the generated log, attackers found), 1 it was not, 2 usage.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a log may hold what the terminal can't show
    report = Report()
    serve = sys.stdout.isatty() if keep_serving is None else keep_serving
    with _signals_as_interrupt(), _scratch() as name:
        try:
            replayed = _prepare(Path(name), log_file, lines)
        except DemoError as error:
            report.error(str(error))
            sys.exit(USAGE)
        sys.exit(_run(Path(name), replayed, port, report, serve=serve))


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder that is removed in the end, with a name short enough for a socket in it."""
    usual = tempfile.gettempdir()
    return tempfile.TemporaryDirectory(prefix="ironpost-demo-", dir=usual if len(usual) < _LONGEST else "/tmp")  # noqa: S108


def _prepare(folder: Path, log_file: Path | None, lines: int) -> Input:
    """The log to replay, reachable in the scratch folder under a name that needs no quoting.

    Raises:
        DemoError: the visitor's file can't be replayed.
    """
    path = folder / "demo.log"
    if log_file is None:
        yesterday = datetime.now(UTC).astimezone() - timedelta(days=1)
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in demo_log.lines(SEED, yesterday, lines))
        return Input(path=path, lines=lines, generated=True)
    count, unfinished = _count_lines(log_file)
    path.symlink_to(log_file.absolute())
    return Input(path=path, lines=count, generated=False, unfinished=unfinished)


def _count_lines(path: Path) -> tuple[int, bool]:
    """How many whole lines a file has, and whether one that is not ended follows."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DemoError(f"{path}: is no regular file; name a log file")
        with path.open("rb") as file:
            start = end = file.read(2)
            count = start.count(b"\n")
            for end in iter(lambda: file.read(1 << 20), b""):
                count += end.count(b"\n")
    except OSError as error:
        why = error.strerror or "unknown error"
        raise DemoError(f"{path}: can't be read: {why}; name a log file that this user may read") from None
    if start in _COMPRESSED:
        raise DemoError(f"{path}: is compressed; unpack it first and name the result")
    if not count:
        raise DemoError(f"{path}: holds no whole line; there is nothing to replay")
    return count, not end.endswith(b"\n")


@contextlib.contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """Clean up on SIGTERM and SIGHUP as on Ctrl-C, and on that also where a shell made it ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    earlier = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _run(folder: Path, replayed: Input, port: int, report: Report, *, serve: bool) -> int:
    daemon = DemoDaemon(folder, replayed.path, port)
    complete, found = False, Found()
    try:
        daemon.start()
        if daemon.port != port:
            report.say(f"Port {port} is taken; this demo uses {daemon.port} instead.")
        whose = "generated" if replayed.generated else "your"
        report.begin(replayed.lines, whose, daemon.metrics_url, unfinished=replayed.unfinished)
        complete = _follow(daemon, replayed, report, found)
        report.summary(found, daemon.progress(), replayed.lines, daemon.metrics_url)
        report.left_out(daemon.left_out())
        if serve:
            _serve(daemon, report, found)
    except DemoError as error:
        complete = False
        report.error(str(error))
    except KeyboardInterrupt:
        report.say("Stopping.")
    finally:
        clean = daemon.stop()
    if not clean:
        report.error(f"the daemon did not stop cleanly; it said:\n{daemon.last_words()}")
    return GOOD if complete and clean and (found.alerts or not replayed.generated) else NO


def _follow(daemon: DemoDaemon, replayed: Input, report: Report, found: Found) -> bool:
    """Print alerts until every line is read and every alert has come; whether that was so."""
    before, deadline = None, time.monotonic() + PATIENCE
    while True:
        for alert in daemon.new_alerts():
            found.add(alert)
            report.alert(alert)
        now = daemon.progress()
        settled = now.waiting == 0 and now.stored == found.alerts and now == before
        if now.read >= replayed.lines and settled:
            return _all_was_read(now, report)
        if now != before:
            before, deadline = now, time.monotonic() + PATIENCE
        elif time.monotonic() > deadline:
            report.error(f"no line was read for {PATIENCE:.0f} s, {now.read:,} of {replayed.lines:,} until then")
            return False
        time.sleep(_TICK)


def _all_was_read(now: Progress, report: Report) -> bool:
    if now.dropped:
        report.error(f"{now.dropped:,} lines were dropped, the buffer being full")
    return not now.dropped


def _serve(daemon: DemoDaemon, report: Report, found: Found) -> None:
    """Go on until Ctrl-C."""
    report.serving(daemon.config, daemon.metrics_url)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            for alert in daemon.new_alerts():
                found.add(alert)
                report.alert(alert)
            time.sleep(_TICK_SERVING)
    report.say("Stopping.")

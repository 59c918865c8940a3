"""`ironpost demo` as a visitor runs it, and its messages when it can't."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner
from rich.console import Console

from daemon_process import PATIENCE, eventually, free_port
from ironpost_core import Alert, Key, Observable, Severity, State
from ironpost_daemon import demo_daemon, demo_log
from ironpost_daemon.demo import SEED, Input, _follow, demo
from ironpost_daemon.demo_daemon import DemoDaemon, DemoError, Found, Progress
from ironpost_daemon.demo_report import Report
from ironpost_daemon.status import Life, PluginStatus

IRONPOST = Path(sys.executable).with_name("ironpost")
NOW = datetime(2025, 11, 3, 10, tzinfo=UTC)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """The folder in which the demo makes its own; in the end nothing is left there, nor of its processes."""
    with tempfile.TemporaryDirectory(prefix="ip-", dir="/tmp") as name:
        yield Path(name)
        assert not list(Path(name).iterdir())
        assert not [line for line in command_lines() if name in line]


def command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text("utf-8", "replace"))
        except OSError:  # it has just ended
            continue
    return found


def environment(scratch: Path) -> dict[str, str]:
    return os.environ | {"TMPDIR": str(scratch), "IRONPOST_METRICS_ENDPOINT": "/foreign", "IRONPOST_CONFIG": "/foreign"}


def run_demo(scratch: Path, *args: str, port: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(IRONPOST), "demo", "--port", str(port or free_port()), *args]
    return subprocess.run(command, capture_output=True, text=True, env=environment(scratch), timeout=3 * PATIENCE)


def sources(output: str) -> set[str]:
    """The addresses that the printed alerts name."""
    alerts = output.partition("Summary")[0]
    return set(re.findall(r"  source_ip=(\S+)", alerts))


def test_finds_exactly_the_attackers_of_the_generated_log(scratch):
    done = run_demo(scratch)
    assert done.returncode == 0, done.stdout + done.stderr
    who = demo_log.truth(SEED, 10_000)
    assert who.guessing <= sources(done.stdout)
    assert not sources(done.stdout) & (who.innocent | who.scanners)
    assert all(f"user={user}" in done.stdout for user in who.sudo_failing)
    assert "10,000 of 10,000 read" in done.stdout
    assert not done.stderr
    assert "\x1b" not in done.stdout


def test_the_summary_is_complete(scratch):
    port = free_port()
    done = run_demo(scratch, "--lines", "3000", port=port)
    summary = done.stdout.partition("Summary")[2]
    for row in ("lines", "rule matches", "alerts", "by severity", "by rule", "top sources", "metrics", "not shown"):
        assert re.search(rf"^  {row} ", summary, re.MULTILINE), summary
    assert f"http://127.0.0.1:{port}/metrics" in summary
    assert re.search(r"not shown +ebpf \(", summary)


def test_a_taken_port_is_replaced_and_that_is_said(scratch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run_demo(scratch, "--lines", "2000", port=port)
    assert done.returncode == 0, done.stdout + done.stderr
    (instead,) = re.findall(rf"Port {port} is taken; this demo uses (\d+) instead", done.stdout)
    assert f"http://127.0.0.1:{instead}/metrics" in done.stdout


def test_replays_the_visitors_own_file_whole_and_leaves_it_alone(scratch, tmp_path):
    own = tmp_path / "my [odd] *\"log'.txt"
    own.write_text("\n".join(demo_log.lines(3, datetime.now(UTC), 2_500)) + "\n", encoding="utf-8")
    before = own.read_bytes(), own.stat().st_mtime_ns
    done = run_demo(scratch, "--log", str(own))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2,500 of 2,500 read" in done.stdout
    assert demo_log.truth(3, 2_500).guessing <= sources(done.stdout)
    assert (own.read_bytes(), own.stat().st_mtime_ns) == before


def test_a_temporary_folder_too_long_for_a_socket_is_avoided(tmp_path):
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    done = run_demo(folder, "--lines", "2000")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_without_attacks_is_no_failure(scratch, tmp_path):
    own = tmp_path / "calm.log"
    own.write_text("Nov  3 10:00:00 web1 cron[1]: nothing\n" * 50 + "not ended", encoding="utf-8")
    done = run_demo(scratch, "--log", str(own))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "50 of 50 read" in done.stdout
    assert "last line has no end yet and is not read" in done.stdout


def test_a_port_that_another_demo_gets_first_is_replaced(scratch, monkeypatch):
    looks = iter([True])  # free when it is looked at first, taken when the daemon opens it
    really = demo_daemon._is_free
    monkeypatch.setattr("ironpost_daemon.demo_daemon._is_free", lambda port: next(looks, None) or really(port))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, out, err = invoke("--lines", "2000", "--port", str(port), scratch=scratch)
    assert code == 0, out + err
    assert f"Port {port} is taken; this demo uses" in out
    assert "2,000 of 2,000 read" in out


def test_hostile_bytes_are_escaped(scratch, tmp_path):
    own = tmp_path / "hostile.log"
    name = b"\x1b[31m[bold]x\xff\xe2\x80\xae[/bold]\x07"
    line = b"Nov  3 10:00:00 web1 sshd[7]: Failed password for invalid user %s from 203.0.113.5 port 1 ssh2\n"
    own.write_bytes((line % name) * 30)
    done = subprocess.run(
        [str(IRONPOST), "demo", "--port", str(free_port()), "--log", str(own)],
        capture_output=True,
        env=environment(scratch),
        timeout=3 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert b"203.0.113.5" in done.stdout
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f\xff]|\xe2\x80\xae", done.stdout)
    assert b"[bold]" in done.stdout


def test_a_terminal_that_cannot_show_a_character_gets_its_code(scratch, tmp_path, monkeypatch):
    own = tmp_path / "umlaut.log"
    line = "Nov  3 10:00:00 web1 sshd[7]: Failed password for invalid user \u00dcmit from 203.0.113.5 port 1 ssh2\n"
    own.write_text(line * 30, encoding="utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run_demo(scratch, "--log", str(own))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "user=\\xdcmit" in done.stdout


def test_runs_in_this_process_too(scratch):
    code, out, err = invoke("--lines", "2000", "--port", str(free_port()), scratch=scratch)
    assert code == 0, out + err
    assert "2,000 of 2,000 read" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_keeps_serving_until_it_is_told_to_stop(scratch, tmp_path, number):
    port = free_port()
    with (tmp_path / "said").open("wb") as said:
        command = [str(IRONPOST), "demo", "--lines", "2000", "--port", str(port), "--keep-serving"]
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment(scratch), start_new_session=True)
    try:
        text = eventually(lambda: (t := (tmp_path / "said").read_text()) and "goes on serving" in t and t, "it serves")
        assert f"curl http://127.0.0.1:{port}/metrics" in text
        assert f"  {IRONPOST} --config " in text
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
            assert b"ironpost_log_pipeline_logs_processed_total 2000.0" in answer.read()
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_a_killed_demo_leaves_no_daemon_behind(scratch, tmp_path):
    port = free_port()
    with (tmp_path / "said").open("wb") as said:
        command = [str(IRONPOST), "demo", "--lines", "2000", "--port", str(port), "--keep-serving"]
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment(scratch), start_new_session=True)
    try:
        eventually(lambda: "goes on serving" in (tmp_path / "said").read_text(), "it serves")
    finally:
        process.kill()
        process.wait()

    def gone() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    eventually(gone, "its daemon ended")
    for left in scratch.iterdir():  # nobody is there to tidy up
        shutil.rmtree(left)


def invoke(*args: str, scratch: Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(demo, args, env={"TMPDIR": str(scratch)})
    return result.exit_code, result.stdout, result.stderr


def make_missing(path: Path) -> None:
    """Nothing."""


def make_locked(path: Path) -> None:
    path.write_text("line\n")
    path.chmod(0)


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Root reads everything, so be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (make_missing, "No such file or directory"),
        (Path.mkdir, "is no regular file"),
        (os.mkfifo, "is no regular file"),
        (Path.touch, "holds no whole line"),
        (lambda path: path.write_text("no end"), "holds no whole line"),
        (lambda path: path.write_bytes(gzip.compress(b"line\n")), "is compressed"),
        (make_locked, "Permission denied"),
    ],
)
def test_a_file_that_cannot_be_replayed_is_one_message_and_exit_2(scratch, tmp_path, make, says):
    path = tmp_path / "given.log"
    make(path)
    with ordinary_user() if make is make_locked else contextlib.nullcontext():
        code, out, err = invoke("--log", str(path), scratch=scratch)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith(f"demo: {path}: ")
    assert says in err


def test_too_few_lines_are_a_usage_error(scratch):
    code, _, err = invoke("--lines", "10", scratch=scratch)
    assert code == 2
    assert "2000" in err


def test_a_daemon_that_ends_is_shown_with_its_last_words(scratch, tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nprintf 'config: \\033[31mbroken\\n'\nexit 78\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    code, _, err = invoke("--lines", "2000", scratch=scratch)
    assert code == 1
    assert "ended with exit code 78" in err
    assert "config: \\x1b[31mbroken" in err


@attrs.define
class Script:
    """Stands for a `DemoDaemon` whose scrapes are these, the last one for ever."""

    scrapes: list[Progress]
    alerts: list[Alert] = attrs.field(factory=list)

    def progress(self) -> Progress:
        return self.scrapes.pop(0) if len(self.scrapes) > 1 else self.scrapes[0]

    def new_alerts(self) -> list[Alert]:
        found, self.alerts = self.alerts, []
        return found


def scrape(**changes: int) -> Progress:
    return attrs.evolve(Progress(read=10, parse_errors=0, waiting=0, dropped=0, matches=0, stored=0), **changes)


@pytest.mark.parametrize(
    ("scrapes", "alerts", "says"),
    [
        ([scrape(read=5), scrape()], 0, ""),
        ([scrape(waiting=3), scrape(stored=1), scrape(stored=1)], 1, ""),
        ([scrape(read=9)], 0, "no line was read for 0 s, 9 of 10 until then"),
        ([scrape(stored=2)], 1, "10 of 10 until then"),
        ([scrape(dropped=4)], 0, "4 lines were dropped"),
    ],
)
def test_follows_until_all_is_read_and_settled_or_nothing_moves(scrapes, alerts, says, monkeypatch, capsys):
    monkeypatch.setattr("ironpost_daemon.demo.PATIENCE", 0.3)
    monkeypatch.setattr("ironpost_daemon.demo._TICK", 0.01)
    daemon = Script(list(scrapes), [an_alert() for _ in range(alerts)])
    replayed = Input(path=Path("unused"), lines=10, generated=True)
    found = Found()
    complete = _follow(daemon, replayed, Report(), found)  # type: ignore[arg-type]
    assert found.alerts == alerts
    assert complete == (not says)
    assert says in capsys.readouterr().err


def test_a_daemon_that_never_stops_is_killed_and_that_is_no_success(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\ntrap '' TERM\necho trapped\nwhile :; do sleep 0.05; done\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr("ironpost_daemon.demo_daemon.START_DEADLINE", 0.0)
    monkeypatch.setattr("ironpost_daemon.demo_daemon.STOP_DEADLINE", 0.2)
    daemon = DemoDaemon(tmp_path, tmp_path / "log", free_port())
    assert daemon.stop()
    with pytest.raises(DemoError, match="not ready after 0 s"):
        daemon.start()
    eventually(lambda: "trapped" in daemon.last_words(), "the trap is set")
    with pytest.raises(DemoError, match="does not answer"):
        daemon.progress()
    with pytest.raises(DemoError, match="does not answer"):
        list(daemon.new_alerts())
    assert not daemon.stop()


def an_alert(**changes: object) -> Alert:
    observables = [Observable(Key.SOURCE_IP, "203.0.113.5")]
    given = {"rule": "r", "title": "[red]t[/red] :smile:", "severity": Severity.HIGH, "time": NOW}
    return Alert(**(given | {"observables": observables} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("terminal", [True, False])
def test_colours_stand_on_a_terminal_only_and_titles_are_no_markup(terminal):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, color_system="standard" if terminal else None)
    Report(console).alert(an_alert(count=3))
    assert ("\x1b[" in out.getvalue()) == terminal
    assert "[red]t[/red] :smile:" in out.getvalue()
    assert "(3 times)" in out.getvalue()


def test_summary_and_what_is_left_out_hold_no_markup():
    out = io.StringIO()
    report = Report(Console(file=out, width=200, markup=False, emoji=False, highlight=False))
    found = Found()
    found.add(an_alert(rule="[b]rule[/b]"))
    found.add(an_alert(severity=Severity.LOW, observables=[]))
    report.summary(found, Progress(read=5, parse_errors=1, waiting=0, dropped=0, matches=4, stored=2), 5, "http://x")
    status = PluginStatus(
        name="gone",
        distribution="no-such-distribution",
        version="1",
        entry_point="x:Y",
        life=Life.FAILED,
        health=State.UNHEALTHY,
        reason="\x1b[31m[red]why[/red]",
        since=NOW,
    )
    report.left_out([status])
    text = out.getvalue()
    assert "5 of 5 read, 1 not understood" in text
    assert "[b]rule[/b]" in text
    assert "gone (no-such-distribution): \\x1b[31m[red]why[/red]" in text
    assert text.index("high") < text.index("low")

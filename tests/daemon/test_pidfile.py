from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_process import free_port
from ironpost_core import ConfigError
from ironpost_core.config import MetricsConfig
from ironpost_daemon import pidfile
from ironpost_daemon.control_socket import open_socket
from ironpost_daemon.http_bind import listen
from ironpost_daemon.pidfile import AlreadyRunning, PidFile, hold_folder

PATIENCE = 30.0
HOLD = """
import sys
from pathlib import Path
from ironpost_daemon.pidfile import AlreadyRunning, PidFile
held = PidFile(Path(sys.argv[1]))
try:
    held.acquire()
except AlreadyRunning:
    print("refused", flush=True)
else:
    print("held", flush=True)
    sys.stdin.read()
    held.release()
"""


def starter(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ironpost.pid"


@pytest.fixture
def other(path: Path) -> Iterator[subprocess.Popen[str]]:
    with starter(path) as process:
        assert said(process) == "held"
        yield process
        process.kill()


def test_it_holds_this_process_number_and_is_removed_at_the_end(path: Path) -> None:
    held = PidFile(path)
    held.release()  # not held: nothing to do
    held.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    held.release()
    assert not path.exists()
    held.release()


def test_a_second_process_is_told_who_runs(path: Path, other: subprocess.Popen[str]) -> None:
    with pytest.raises(AlreadyRunning) as caught:
        PidFile(path).acquire()
    assert caught.value.pid == other.pid
    for part in (str(other.pid), sys.executable, str(path), "general.run_dir and data_dir"):
        assert part in str(caught.value)
    assert path.read_text() == f"{other.pid}\n"


def test_a_killed_processs_file_is_taken_over_and_that_is_logged(
    path: Path, other: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait(PATIENCE)
    assert path.read_text() == f"{other.pid}\n"
    held = PidFile(path)
    with caplog.at_level(logging.WARNING):
        held.acquire()
    assert f"process {other.pid} left behind" in caplog.text
    assert path.read_text() == f"{os.getpid()}\n"
    held.release()


def test_a_stopped_process_lets_the_next_one_start(path: Path, other: subprocess.Popen[str]) -> None:
    other.communicate(timeout=PATIENCE)
    assert not path.exists()
    held = PidFile(path)
    held.acquire()
    held.release()


def test_of_many_starters_exactly_one_wins(path: Path) -> None:
    path.write_text("999999\n")
    starters = [starter(path) for _ in range(8)]
    try:
        answers = [said(process) for process in starters]
        assert sorted(answers) == ["held", *["refused"] * 7]
        assert path.read_text() == f"{starters[answers.index('held')].pid}\n"
    finally:
        for process in starters:
            process.communicate(timeout=PATIENCE)


def test_a_file_removed_while_it_was_locked_is_not_relied_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = fcntl.flock
    removals = iter([True, False])

    def flock(descriptor: int, how: int) -> None:
        lock(descriptor, how)
        if next(removals, False):
            path.unlink()

    monkeypatch.setattr(fcntl, "flock", flock)
    held = PidFile(path)
    held.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    held.release()


def test_a_holder_that_has_not_written_its_number_yet_is_waited_for(path: Path) -> None:
    with path.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        caught: list[AlreadyRunning] = []

        def second() -> None:
            try:
                PidFile(path).acquire()
            except AlreadyRunning as error:
                caught.append(error)

        thread = threading.Thread(target=second)
        thread.start()
        holder.write(f"{os.getppid()}\n")
        holder.flush()
        thread.join(PATIENCE)
    assert [error.pid for error in caught] == [os.getppid()]


def test_a_holder_that_never_writes_a_number_is_reported_without_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pidfile, "_PATIENCE", 0.05)
    with path.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning, match="another process runs already") as caught:
            PidFile(path).acquire()
    assert (caught.value.pid, caught.value.command) == (None, "")


def test_a_file_that_someone_else_put_there_is_left_alone_on_release(path: Path) -> None:
    held = PidFile(path)
    held.acquire()
    path.unlink()
    path.write_text("another's")
    held.release()
    assert path.read_text() == "another's"


@pytest.mark.parametrize("content", ["root:x:0:0:root\n", "12 34", "-1", "9" * 50, "\0"])
def test_a_file_that_holds_something_else_is_never_overwritten(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(ConfigError, match="some other file"):
        PidFile(path).acquire()
    assert path.read_text() == content


def test_places_that_can_not_be_are_refused_with_a_cure(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "target")
    for place, what in (
        (tmp_path / "no" / "such.pid", "does not exist"),
        (tmp_path, "is a folder"),
        (pipe, "no regular file"),
        (link, "symbolic link"),
        (Path("/proc/ironpost.pid"), "general.pid_file"),
        (Path("/dev/null"), "no regular file"),
    ):
        with pytest.raises(ConfigError, match=what) as caught:
            PidFile(place).acquire()
        assert str(place) in str(caught.value)
        assert caught.value.problems[0].remedy
    assert not (tmp_path / "target").exists()


def test_a_full_disk_is_refused_with_a_cure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(ConfigError, match=r"No space left on device.*make room"):
        PidFile(path).acquire()


def test_a_data_folder_serves_one_daemon(tmp_path: Path) -> None:
    lock = hold_folder(tmp_path)
    with pytest.raises(ConfigError, match=r"general\.data_dir: another daemon keeps its data in .*data_dir of its own"):
        hold_folder(tmp_path)
    lock.close()
    hold_folder(tmp_path).close()


def test_a_data_folder_that_cannot_be_locked_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    hold_folder(tmp_path).close()
    assert "can't be locked" in caplog.text


def test_a_forked_child_that_outlives_the_holder_holds_nothing(path: Path) -> None:
    """As multiprocessing forks by default, without exec: the children of a daemon that was killed go on for a while."""
    script = """if True:
        import os, socket, sys, time
        from pathlib import Path
        from ironpost_core.config import MetricsConfig
        from ironpost_daemon.control_socket import open_socket
        from ironpost_daemon.http_bind import listen
        from ironpost_daemon.pidfile import PidFile, hold_folder
        file = PidFile(Path(sys.argv[1]))
        file.acquire()
        lock, (listener,) = hold_folder(Path(sys.argv[1]).parent), listen(MetricsConfig(port=int(sys.argv[2])))
        control = open_socket(Path(sys.argv[1]).with_name("control.sock"), None)
        child = os.fork()
        if child == 0:
            os.close(1)
            time.sleep(60)
        else:
            print(child, flush=True)
        os._exit(0)
    """
    port = free_port()
    command = [sys.executable, "-c", script, str(path), str(port)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    child = int(done.stdout)
    try:
        PidFile(path).acquire()
        hold_folder(path.parent).close()
        for listener in (*listen(MetricsConfig(port=port)), open_socket(path.with_name("control.sock"), None)):
            listener.close()
    finally:
        os.kill(child, signal.SIGKILL)

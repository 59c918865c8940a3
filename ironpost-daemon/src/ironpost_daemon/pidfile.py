"""The PID file and the data folder: one daemon for each, by locks that the kernel drops when their holder dies."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
from pathlib import Path
from typing import Final, NoReturn

from ironpost_core import ConfigError, IronpostError, Problem

_LARGEST: Final = 64
#: How long a second starter waits for the first, which holds the lock already, to write its number.
_PATIENCE: Final = 1.0
_STEP: Final = 0.02

log = logging.getLogger("ironpost.pidfile")


class AlreadyRunning(IronpostError):  # noqa: N818 - a state of affairs that is not this process's error
    """Another daemon holds the PID file: `pid` and `command` say which, None and empty when that can't be told."""

    def __init__(self, path: Path, pid: int | None, command: str) -> None:
        who = f"process {pid}" if pid is not None else "another process"
        told = f" ({command})" if command else ""
        super().__init__(
            f"{who}{told} runs already and holds {path}; stop it, or give this one a general.run_dir and data_dir"
            " (and pid_file, if that is set) of its own"
        )
        self.path = path
        self.pid = pid
        self.command = command


class PidFile:
    """Held from `acquire` to `release` or the end of the process, whatever ends it.

    The lock, not the file's existence, says who runs, so nothing can be stale but the number in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        # In a child that a plugin forked, the lock would outlive the daemon.
        os.register_at_fork(after_in_child=self._let_go)

    def acquire(self) -> None:
        """Lock the file and write this process's number into it.

        Raises:
            AlreadyRunning: another process holds it.
            ConfigError: it can't be made, written to or locked, or it is some other file; names the cure.
        """
        while True:
            descriptor = self._open()
            try:
                held = self._lock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if held:
                self._descriptor = descriptor
                return
            os.close(descriptor)  # it was removed by its holder just before it was locked here

    def release(self) -> None:
        """Remove the file and let go of the lock; nothing when it is not held."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            if self._is_at_path(descriptor):
                self._path.unlink()
        except OSError as error:
            log.warning("the PID file %s can't be removed: %s", self._path, error.strerror)
        finally:
            os.close(descriptor)

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        try:
            # Not blocking, in case that it is a pipe; no symbolic link, in case that others may write to the folder.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            return os.open(self._path, flags, 0o644)
        except FileNotFoundError:
            self._refuse(f"its folder {self._path.parent} does not exist", "make this folder, or set general.pid_file")
        except IsADirectoryError:
            self._refuse("is a folder", "name a file in it")
        except OSError as error:
            what = "is a symbolic link" if error.errno == errno.ELOOP else f"can't be written: {error.strerror}"
            self._refuse(what, "make it writable for the daemon's user, or set general.pid_file to another file")

    def _lock(self, descriptor: int) -> bool:
        """Whether the lock was taken and the file is still the one at the path."""
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._refuse("is no regular file", "set general.pid_file to another file")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = self._holder(descriptor)
            raise AlreadyRunning(self._path, pid, _command(pid)) from None
        except OSError as error:
            self._refuse(f"can't be locked: {error.strerror}", "set general.pid_file to a file on a local disk")
        if not self._is_at_path(descriptor):
            return False
        self._write(descriptor)
        return True

    def _write(self, descriptor: int) -> None:
        old = os.pread(descriptor, _LARGEST, 0)
        if old and _number(old) is None:
            self._refuse("is some other file: it holds no process number", "set general.pid_file to another file")
        if old:
            log.warning("took over the PID file %s, which process %s left behind", self._path, _number(old))
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            os.fsync(descriptor)
        except OSError as error:
            self._refuse(f"can't be written: {error.strerror}", "make room on its disk, or set general.pid_file")

    def _is_at_path(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.lstat())
        except FileNotFoundError:
            return False

    @staticmethod
    def _holder(descriptor: int) -> int | None:
        """The number that the holder wrote; waits a moment for it while there is none or that of a dead process."""
        end = time.monotonic() + _PATIENCE
        while True:
            pid = _number(os.pread(descriptor, _LARGEST, 0))
            if (pid is not None and Path(f"/proc/{pid}").exists()) or time.monotonic() > end:
                return pid
            time.sleep(_STEP)

    def _refuse(self, what: str, remedy: str) -> NoReturn:
        raise ConfigError([Problem(where=f"general.pid_file {self._path}", what=what, remedy=remedy)])


class FolderLock:
    """What `hold_folder` gives. A forked child lets go of it, as of the PID file's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        os.register_at_fork(after_in_child=self.close)

    def close(self) -> None:
        """Let go of the folder."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def hold_folder(folder: Path) -> FolderLock:
    """Lock the data folder until `FolderLock.close`: two daemons would mix up their positions in it.

    Raises:
        ConfigError: another daemon holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        remedy = "stop it, or give this one a general.data_dir of its own"
        raise ConfigError(
            [Problem(where="general.data_dir", what=f"another daemon keeps its data in {folder}", remedy=remedy)]
        ) from None
    except OSError as error:
        log.warning(
            "the data folder %s can't be locked, so see to it that one daemon uses it: %s", folder, error.strerror
        )
    return FolderLock(descriptor)


def _number(data: bytes) -> int | None:
    text = data.strip()
    return int(text) if text.isdigit() and len(text) < 20 else None


def _command(pid: int | None) -> str:
    """The command line of a process, or empty when it can't be read."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    line = raw.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")[:200]
    return "".join(character if character.isprintable() else "?" for character in line)

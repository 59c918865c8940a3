"""journalctl as a child process: its output by the block, its complaints, its end.

Nothing has to tell the kernel to end it with the daemon: journalctl watches its output and ends as soon as nobody can
read it any more (since version 240; an older one ends with the next entry), also when the daemon died by SIGKILL.
"""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Self

_BLOCK = 256 << 10
_PIPE = 1 << 20
_COMPLAINT = 500
_END_TIME = 1.0


class Child:
    """A running command; a context manager that leaves nothing behind.

    Raises:
        OSError: it can't be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pipesize=_PIPE,
        )
        self._streams = [each for each in (self._process.stdout, self._process.stderr) if each is not None]
        self._out, self._err = (each.fileno() for each in self._streams)
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(self._out, selectors.EVENT_READ)
        self._waiting.register(self._err, selectors.EVENT_READ)
        self._said = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._waiting.close()
        for stream in self._streams:
            stream.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def complaint(self) -> str:
        """The last line that it wrote to its standard error."""
        lines = self._said.decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def read(self, timeout: float) -> bytes | None:
        """A block of its output; nothing at its end, None when none came in `timeout` seconds."""
        ready = {key.fd for key, _ in self._waiting.select(timeout)}
        if self._err in ready:
            said = os.read(self._err, _BLOCK)
            self._said = (self._said + said)[-_COMPLAINT:]
            if not said:
                self._waiting.unregister(self._err)
        return os.read(self._out, _BLOCK) if self._out in ready else None

    def status(self) -> int:
        """Its exit status, once its output has ended; negative when a signal ended it."""
        try:
            status = self._process.wait(_END_TIME)
        except subprocess.TimeoutExpired:
            self._end()  # it closed its output and goes on: not what journalctl does
            return self._process.returncode
        while self.read(0) is None and self._err in self._waiting.get_map():
            pass
        return status

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_TIME)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

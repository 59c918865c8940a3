"""A file of alerts, one JSON object a line, rotated by size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

import attrs

from ironpost_core import Alert, Clock, Size, setting
from ironpost_core.settings import UnfitError, between
from ironpost_daemon.sinks.base import Sink, SinkConfig
from ironpost_daemon.subscription import RetryError

#: Seconds between two fsyncs. A power cut may cost the file the end of a burst, never the history.
SYNC_EVERY: Final = 0.1


def _absolute(instance: object, attribute: attrs.Attribute[Path], value: Path) -> None:
    if not value.is_absolute():
        raise UnfitError(attribute.name, str(value), "an absolute path")


@attrs.frozen(kw_only=True)
class JsonlSink(SinkConfig):
    """Appends alerts to a file as JSON lines."""

    type: Literal["jsonl"] = setting(default="jsonl", help="JSON lines in a file.")
    path: Path = setting(help="The file.", check=_absolute, example="/var/log/ironpost/alerts.jsonl")
    max_size: Size = setting(
        default=Size.parse("64MiB"), help="The size at which it is rotated; 0 never.", check=between(0, 1 << 50)
    )
    keep: int = setting(default=5, help="How many rotated files are kept, as PATH.1 (newest), PATH.2 …",
                        unit="files", check=between(0, 1000))  # fmt: skip


class JsonlWriter(Sink):
    """The file is opened with mode 0600, again when it was moved away, and never holds half a line."""

    def __init__(self, config: JsonlSink, name: str, clock: Clock) -> None:
        super().__init__(config, name)
        self._path = config.path
        self._max_size = config.max_size
        self._keep = config.keep
        self._clock = clock
        self._file: int | None = None
        self._synced = clock.monotonic()

    def send(self, alert: Alert) -> None:
        """Append one line; RetryError when the disk or the folder does not allow it now."""
        line = alert.to_json().encode() + b"\n"
        try:
            self._append(line)
            if self._clock.monotonic() - self._synced >= SYNC_EVERY:
                self.flush()
        except OSError as error:
            raise RetryError(f"{self._path} can't be written: {error.strerror}") from error

    def _append(self, line: bytes) -> None:
        file = self._opened()
        size = os.fstat(file).st_size
        if self._max_size and size and size + len(line) > self._max_size:
            self._rotate()
            file, size = self._opened(), 0
        try:
            written = os.write(file, line)
            if written != len(line):
                raise OSError(28, "No space left on device")
        except OSError:
            os.ftruncate(file, size)
            raise

    def _opened(self) -> int:
        if self._file is not None and not self._in_place(self._file):
            self.close()
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._end_line(self._file)
        return self._file

    def _in_place(self, file: int) -> bool:
        """Whether the path still names the open file; somebody else may rotate it, too."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False

    def _end_line(self, file: int) -> None:
        """A crash in the middle of a write must not spoil the next line."""
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")

    def _rotate(self) -> None:
        self.close()
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, self._keep + 1))]
        names[-1].unlink(missing_ok=True)
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if newer.exists():
                newer.rename(older)

    def flush(self) -> None:
        """Have what was written survive a power cut."""
        if self._file is not None:
            os.fsync(self._file)
            self._synced = self._clock.monotonic()

    def close(self) -> None:
        """Flush and close."""
        file, self._file = self._file, None
        if file is not None:
            try:
                os.fsync(file)
            finally:
                os.close(file)

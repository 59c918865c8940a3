"""Secrets in configuration: written in three forms, read when needed, shown never."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ironpost_core.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

MASK: Final = "***"
LARGEST: Final = 64 * 1024


class Secret:
    """A password or token: the text itself, or the file or environment variable it stands in.

    Two are equal when they come from the same place. No way of printing one shows the text.
    """

    __slots__ = ("_kind", "_source")
    EXPECTED: Final = 'a text, {file = "…"} or {env = "…"}'

    def __init__(self, source: str, kind: Literal["text", "file", "env"] = "text") -> None:
        self._source = source
        self._kind = kind

    @property
    def place(self) -> Mapping[str, str] | None:
        """Where it is read from, as ``{"file": …}`` or ``{"env": …}``; None when it was written literally."""
        return None if self._kind == "text" else {self._kind: self._source}

    def reveal(self, environ: Mapping[str, str] | None = None) -> str:
        """The text, read now; ConfigError when the file or variable gives none."""
        if self._kind == "file":
            return self._from_file()
        if self._kind == "env":
            text = (os.environ if environ is None else environ).get(self._source, "")
            return text or self._fail("is not set or empty", "set this variable for the daemon, or change the setting")
        return self._source

    def _from_file(self) -> str:
        cure = "put the secret in this file, readable by the daemon's user only"
        try:
            with Path(self._source).open("rb") as file:
                data = file.read(LARGEST + 1)
            text = data.decode().rstrip("\r\n")
        except (OSError, ValueError) as error:
            # A decoding error's own text would show a part of the secret.
            reason = error.strerror if isinstance(error, OSError) else "is not a UTF-8 text"
            return self._fail(f"can't be read: {reason}", cure)
        if len(data) > LARGEST:
            return self._fail("is larger than 64KiB", cure)
        return text or self._fail("is empty", cure)

    def _fail(self, what: str, remedy: str) -> str:
        noun = "file" if self._kind == "file" else "environment variable"
        raise ConfigError([Problem(where=f"secret in {noun} {self._source}", what=what, remedy=remedy)])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._kind, self._source) == (other._kind, other._source)

    def __hash__(self) -> int:
        return hash((self._kind, self._source))

    def __repr__(self) -> str:
        return MASK

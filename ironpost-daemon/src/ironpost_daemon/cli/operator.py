"""What a command finds as ``ctx.obj``: the daemon over its control socket, and the configuration it would read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ironpost_core.config import Loaded
from ironpost_core.errors import ConfigError
from ironpost_core.schema import Section
from ironpost_daemon.configuration import Folders, find_file, read

C = TypeVar("C")


class LocalOperator:
    """The implementation of `ironpost_core.hookspecs.Operator`."""

    def __init__(self, given: Path | None) -> None:
        self.path = find_file(given, os.environ)

    def call(self, action: str, arguments: Mapping[str, Any] | None = None, timeout: float = 60.0) -> Any:
        """Have the running daemon do something.

        Raises:
            ActionError: no daemon runs, or it refused.
            ConfigError: the configuration that says where it listens can't be used.
        """
        # Imported late: the rule tools, which call no daemon, run where Linux's modules don't exist.
        from ironpost_daemon import control

        return control.call(self.folders().control, action, dict(arguments or {}), timeout)

    def folders(self) -> Folders:
        """Where the daemon of this configuration keeps its files."""
        loaded = self._loaded([])
        if "general" not in loaded.values:
            raise ConfigError(loaded.problems_of("general"))
        return Folders.of(loaded.values["general"], os.environ)

    def section(self, section: Section[C]) -> C:
        """One section as the daemon would read it now; ConfigError with every problem of it."""
        loaded = self._loaded([section])
        if section.name not in loaded.values:
            raise ConfigError(loaded.problems_of(section.name))
        value: C = loaded.values[section.name]
        return value

    def _loaded(self, sections: list[Section[Any]]) -> Loaded:
        return read(self.path, plugins=sections, environ=os.environ)

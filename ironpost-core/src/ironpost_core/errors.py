"""The one tree of errors. Each carries data (what, where, how to mend it), and its text says all three."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence


@attrs.frozen(kw_only=True)
class Problem:
    """One thing that is wrong with what a user wrote, and how to mend it.

    Attributes:
        where: a key path such as ``metrics.port``, a file name, or both (``rules/a.yaml: detection``).
        what: what was found and why that is wrong, without a full stop.
        remedy: what was expected, or what to do; empty when ``what`` says it.
        file: the file it stands in, or None for a value that came from elsewhere.
        line: the line in that file, counted from 1, or None when unknown.
    """

    where: str
    what: str
    remedy: str = ""
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        text = f"{self.where}: {self.what}" if self.where else self.what
        text = f"{place}: {text}" if place else text
        return f"{text} ({self.remedy})" if self.remedy else text


class IronpostError(Exception):
    """The root: everything that ironpost raises on purpose."""


class ConfigError(IronpostError):
    """What a user configured can't be used. Holds every problem of the document, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class RuleError(ConfigError):
    """A rule, policy or pack file can't be used; the others can."""


class PluginError(IronpostError):
    """A plugin broke the contract. `plugin` names it, `remedy` says what its author or the operator can do."""

    def __init__(self, plugin: str, what: str, remedy: str = "") -> None:
        super().__init__(f"plugin {plugin}: {what}" + (f" ({remedy})" if remedy else ""))
        self.plugin = plugin
        self.what = what
        self.remedy = remedy


class SourceError(IronpostError):
    """Input can't be opened or read; `source` names it."""

    def __init__(self, source: str, what: str, remedy: str = "") -> None:
        super().__init__(f"{source}: {what}" + (f" ({remedy})" if remedy else ""))
        self.source = source
        self.what = what
        self.remedy = remedy


class ActionError(IronpostError):
    """An action was refused or failed; the text is shown to the operator who asked for it."""

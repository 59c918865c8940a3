"""From a file, the environment and the command line to every section's configuration, with all that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from ironpost_core import environment
from ironpost_core.document import parse
from ironpost_core.errors import Problem
from ironpost_core.former import FormerKeys
from ironpost_core.leaves import from_text
from ironpost_core.schema import Field, Section, is_plain, keys_of
from ironpost_core.structure import FAILED, Report, structure
from ironpost_core.toml_lines import KeyPath
from ironpost_core.wording import did_you_mean, dotted, joined

DAEMON_SECTIONS: Final = ("general", "metrics", "alerts")
KNOWN_SECTIONS: Final[Mapping[str, str]] = {
    "ebpf": "ironpost-plugin-ebpf",
    "log_pipeline": "ironpost-plugin-logpipe",
    "container": "ironpost-plugin-guard",
    "sbom": "ironpost-plugin-sbom",
}
"""Our plugins' sections → the package that brings each."""


def section_of(problem: Problem) -> str:
    """The section a problem stands in: the first part of its key path."""
    return re.split(r"[.\[]", problem.where, maxsplit=1)[0]


@attrs.frozen(kw_only=True)
class Loaded:
    """What came of a configuration.

    Attributes:
        values: section → its configuration; sections with problems are absent.
        problems: every error, sections in the order given, unknown ones last.
        warnings: what is odd and can be used all the same, former keys among it.
        environment_problems: variables whose value can't be used: ignored when running, errors when checking.
        origins: key (``metrics.port``) → "default", "file", "environment" or "command line".
    """

    values: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    environment_problems: tuple[Problem, ...] = ()
    origins: Mapping[str, str] = attrs.field(factory=dict)

    def problems_of(self, section: str) -> tuple[Problem, ...]:
        """The errors of one section."""
        return tuple(problem for problem in self.problems if section_of(problem) == section)


@attrs.frozen(kw_only=True)
class _Set:
    """A value that does not come from the file."""

    raw: object
    origin: str
    place: str


_Overlay = dict[tuple[str, ...], _Set]


@attrs.define(kw_only=True)
class _Loader:
    """One document on its way."""

    file: str | None
    sections: Sequence[Section[Any]]
    document: Mapping[str, Any]
    lines: Mapping[KeyPath, int]
    overlay: _Overlay = attrs.field(factory=dict)
    values: dict[str, Any] = attrs.field(factory=dict)
    problems: list[Problem] = attrs.field(factory=list)
    warnings: list[Problem] = attrs.field(factory=list)
    ignored: list[Problem] = attrs.field(factory=list)
    origins: dict[str, str] = attrs.field(factory=dict)

    def usable(self) -> list[Section[Any]]:
        """The sections whose classes can be read at all and claim no one else's name or variable."""
        good: list[Section[Any]] = []
        for section in self.sections:
            try:
                if any(section.name == other.name for other in good):
                    found: tuple[Problem, ...] = (Problem(where=section.name, what="two plugins claim this section"),)
                else:
                    found = environment.clashes([*good, section])
            except Exception as error:  # noqa: BLE001  # an author's broken class must not stop other plugins
                found = (_author_error(section, error),)
            self.problems.extend(found)
            if not found:
                good.append(section)
        return good

    def from_environment(self, sections: Sequence[Section[Any]], environ: Mapping[str, str]) -> None:
        found, unknown = environment.given(sections, environ)
        self.warnings.extend(unknown)
        for each in found:
            raw = from_text(each.field.kind, each.text)
            self.overlay[each.path] = _Set(raw=raw, origin="environment", place=f"in {each.name}")

    def from_command_line(self, sections: Sequence[Section[Any]], overrides: Mapping[str, Any]) -> None:
        known: dict[str, tuple[tuple[str, ...], Field]] = {}
        for section in sections:
            known.update({dotted(path): (path, field) for path, field in keys_of(section.type, (section.name,))})
        for key, value in overrides.items():
            if key not in known:
                what = "unknown key on the command line"
                self.problems.append(Problem(where=key, what=what, remedy=did_you_mean(key, known)))
                continue
            path, field = known[key]
            raw = from_text(field.kind, value) if isinstance(value, str) and is_plain(field.kind) else value
            self.overlay[path] = _Set(raw=raw, origin="command line", place="on the command line")

    def read(self, section: Section[Any]) -> None:
        try:
            self._read(section)
        except Exception as error:  # noqa: BLE001  # an author's broken check must not stop other plugins
            self.problems.append(_author_error(section, error))

    def _read(self, section: Section[Any]) -> None:
        data, former = self._from_former_keys(section)
        while True:
            mine = {path: each for path, each in self.overlay.items() if path[0] == section.name}
            report = Report(
                file=self.file,
                lines=self.lines,
                elsewhere={path: each.place for path, each in mine.items()},
                written=former.written,
                found=[*former.problems.found],
            )
            value = structure(section.type, _merged(data, mine), (section.name,), report)
            if not self._ignore_variables(report):
                break
        self.warnings.extend(_by_line(former.notes))
        self.problems.extend(_by_line(report))
        if value is not FAILED:
            self.values[section.name] = value
        self.origins.update(_origins(section, data, mine))

    def _from_former_keys(self, section: Section[Any]) -> tuple[Any, FormerKeys]:
        """The section's data in today's terms, and what became of its former keys."""
        data = self.document.get(section.name, {})
        report = Report(file=self.file, lines=self.lines)
        table = dict(data) if isinstance(data, Mapping) else {}
        keys = FormerKeys(section=section, table=table, problems=report, notes=attrs.evolve(report, found=[]))
        if section.former is not None:
            section.former(keys)
        return (keys.table if isinstance(data, Mapping) else data), keys

    def _ignore_variables(self, report: Report) -> bool:
        """Take variables that can't be used out of the overlay; say whether there were any."""
        bad = []
        for at, problem in report.found:
            for path, each in self.overlay.items():
                if each.origin == "environment" and at[: len(path)] == path:
                    bad.append(path)
                    hint = environment.kubernetes_hint(str(each.raw))
                    remedy = joined(problem.remedy, "the variable is ignored", hint)
                    self.ignored.append(attrs.evolve(problem, remedy=remedy))
        for path in bad:
            self.overlay.pop(path, None)
        return bool(bad)

    def check_names(self) -> None:
        """Every section of the document is someone's."""
        registered = [section.name for section in self.sections]
        for name, value in self.document.items():
            if name in registered or name in DAEMON_SECTIONS:
                continue
            place: dict[str, Any] = {"where": dotted([name]), "file": self.file, "line": self.lines.get((name,))}
            if name in KNOWN_SECTIONS:
                what = "this section does nothing, because its plugin is not installed"
                self.warnings.append(Problem(**place, what=what, remedy=f"install {KNOWN_SECTIONS[name]}"))
                continue
            names = sorted({*registered, *KNOWN_SECTIONS, *DAEMON_SECTIONS})
            table = isinstance(value, Mapping | list)
            what = "unknown section" if table else "a key outside of any section"
            known = f"sections are {', '.join(names)}"
            self.problems.append(Problem(**place, what=what, remedy=did_you_mean(name, names) or known))


def _by_line(report: Report) -> list[Problem]:
    return sorted(report.problems, key=lambda problem: problem.line or 0)


def _author_error(section: Section[Any], error: Exception) -> Problem:
    what = f"its configuration class is broken: {type(error).__name__}: {error}"
    return Problem(where=section.name, what=what, remedy="report this to the plugin's author")


def _merged(data: Any, overlay: _Overlay) -> Any:
    """The section's data with the overlay's values in place; what is no table stays, to be reported."""
    if not isinstance(data, Mapping):
        return data
    merged = dict(data)
    for path, each in overlay.items():
        table = merged
        for key in path[1:-1]:
            inner = table.get(key, {})
            if not isinstance(inner, Mapping):
                break
            table[key] = dict(inner)
            table = table[key]
        else:
            table[path[-1]] = each.raw
    return merged


def _origins(section: Section[Any], data: Any, overlay: _Overlay) -> Iterable[tuple[str, str]]:
    for path, _ in keys_of(section.type, (section.name,)):
        if path in overlay:
            yield dotted(path), overlay[path].origin
            continue
        value = data
        for key in path[1:]:
            value = value.get(key) if isinstance(value, Mapping) else None
        yield dotted(path), "default" if value is None else "file"


def load(
    text: bytes | None,
    *,
    file: str | None,
    sections: Sequence[Section[Any]],
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """Read a configuration: defaults, then the file, then the environment, then the command line.

    Args:
        text: the file's content; None for no file.
        file: its name in messages.
        sections: those of the daemon and of every plugin, in the order in which they claim names.
        environ: the environment variables.
        overrides: dotted key → a text to be read like a variable, or a value.

    Raises:
        ConfigError: it is not a TOML document at all. All else is in the result.
    """
    document, lines = parse(text or b"", file)
    loader = _Loader(file=file, sections=sections, document=document, lines=lines)
    usable = loader.usable()
    loader.from_environment(usable, environ)
    loader.from_command_line(usable, overrides or {})
    for section in usable:
        loader.read(section)
    loader.check_names()
    # A section that two claim, or that an override misnames, must not look usable.
    broken = {section_of(problem) for problem in loader.problems}
    return Loaded(
        values={name: value for name, value in loader.values.items() if name not in broken},
        problems=tuple(loader.problems),
        warnings=tuple(loader.warnings),
        environment_problems=tuple(loader.ignored),
        origins=loader.origins,
    )

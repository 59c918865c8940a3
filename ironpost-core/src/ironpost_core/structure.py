"""From TOML data to configuration classes, leaf by leaf, so that one report holds every problem."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_origin

import attrs

from ironpost_core.errors import Problem
from ironpost_core.leaves import MisfitError, describe, leaf_of
from ironpost_core.schema import (
    Field,
    fields_of,
    is_optional,
    is_table,
    item_of,
    members,
    tags_of,
    value_of,
)
from ironpost_core.secret import Secret
from ironpost_core.toml_lines import KeyPath
from ironpost_core.validators import UnfitError
from ironpost_core.wording import any_of, did_you_mean, dotted, joined, kind_of, shown

FAILED: Final[Any] = type("Failed", (), {"__repr__": lambda self: "FAILED"})()
"""Stands for a value that could not be made; its problems are in the report."""


@attrs.define(kw_only=True)
class Report:
    """Collects the problems of one document.

    Attributes:
        file: its name in messages.
        lines: the line of each key path.
        elsewhere: key paths whose value is not from the file → where it is from ("in IRONPOST_METRICS_PORT").
        written: key paths whose value comes from a former key → the path that the user wrote.
        found: the problems, each with its key path.
    """

    file: str | None = None
    lines: Mapping[KeyPath, int] = attrs.field(factory=dict)
    elsewhere: Mapping[KeyPath, str] = attrs.field(factory=dict)
    written: Mapping[KeyPath, KeyPath] = attrs.field(factory=dict)
    found: list[tuple[KeyPath, Problem]] = attrs.field(factory=list)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems, in the order of the document's keys."""
        return tuple(problem for _, problem in self.found)

    def add(self, at: KeyPath, what: str, remedy: str = "") -> None:
        """Note one problem; its line is that of the key, or of the nearest table or key around it."""
        origin = next((self.elsewhere[path] for path in _outward(at) if path in self.elsewhere), None)
        if origin is not None:
            problem = Problem(where=dotted(at), what=f"{what} {origin}", remedy=remedy)
        else:
            former = next((path for path in _outward(at) if path in self.written), ())
            here = (*self.written.get(former, ()), *at[len(former) :])
            line = next((self.lines[path] for path in _outward(here) if path in self.lines), None)
            problem = Problem(where=dotted(here), what=what, remedy=remedy, file=self.file, line=line)
        self.found.append((at, problem))

    def unfit(self, at: KeyPath, value: object, expected: str, hint: str = "", *, hidden: bool = False) -> None:
        """Note a value that is not what was expected; a hidden one is not shown."""
        found = kind_of(value) if hidden else shown(value)
        self.add(at, f"found {found}", joined(f"expected {expected}", hint))

    def unknown_key(self, at: KeyPath, known: Sequence[str]) -> None:
        """Note a key that is none of those known beside it."""
        self.add(at, "unknown key", did_you_mean(str(at[-1]), known) or f"known here: {', '.join(known)}")


def _outward(at: KeyPath) -> list[KeyPath]:
    """The path, then those of the tables and lists around it."""
    return [at[:size] for size in range(len(at), 0, -1)]


def structure(kind: Any, data: object, at: KeyPath, report: Report, *, base: Any = None, hidden: bool = False) -> Any:
    """Make a value of a type from TOML data.

    Args:
        kind: an attrs class, a scalar, list, table or union type.
        data: what the TOML parser gave.
        at: its key path.
        report: where its problems go.
        base: for an attrs class, the instance that keys left out are taken from, instead of the defaults.
        hidden: whether the value must not appear in messages.

    Returns:
        The value, or FAILED with at least one more problem in the report.
    """
    if data is None and is_optional(kind):
        return None
    several = members(kind)
    if len(several) > 1:
        return _union(several, data, at, report, hidden=hidden)
    only = several[0]
    leaf = leaf_of(only)
    if leaf is not None:
        try:
            return leaf.read(data)
        except MisfitError as misfit:
            report.unfit(at, data, leaf.expected, misfit.hint, hidden=hidden or only is Secret)
            return FAILED
    if is_table(only):
        return _table(only, data, at, report, base)
    if (item := item_of(only)) is not None:
        return _list(only, item, data, at, report, hidden=hidden)
    if (value := value_of(only)) is not None:
        return _mapping(value, data, at, report, hidden=hidden)
    if only in (Any, object):
        return data
    report.add(at, f"has the type {only}, which configuration can't hold", "report this to the plugin's author")
    return FAILED


def _list(kind: Any, item: Any, data: object, at: KeyPath, report: Report, *, hidden: bool) -> Any:
    if not isinstance(data, list):
        tables = isinstance(data, Mapping) and any(map(is_table, members(item)))
        hint = f"write [[{dotted(at)}]] with two brackets" if tables else "write it in brackets: […]"
        report.unfit(at, data, describe(kind), hint, hidden=hidden or Secret in members(item))
        return FAILED
    values = [structure(item, each, (*at, index), report, hidden=hidden) for index, each in enumerate(data)]
    if any(value is FAILED for value in values):
        return FAILED
    return (get_origin(kind) if get_origin(kind) in (list, frozenset) else tuple)(values)


def _mapping(value: Any, data: object, at: KeyPath, report: Report, *, hidden: bool) -> Any:
    if not isinstance(data, Mapping):
        report.unfit(at, data, "a table", hidden=hidden or Secret in members(value))
        return FAILED
    values = {key: structure(value, each, (*at, key), report, hidden=hidden) for key, each in data.items()}
    return FAILED if any(each is FAILED for each in values.values()) else values


def _union(several: tuple[Any, ...], data: object, at: KeyPath, report: Report, *, hidden: bool) -> Any:
    tables = tuple(filter(is_table, several))
    if isinstance(data, Mapping) and len(tables) > 1:
        return _tagged(tables, data, at, report)
    trials = [attrs.evolve(report, found=[]) for _ in several]
    for kind, trial in zip(several, trials, strict=True):
        value = structure(kind, data, at, trial, hidden=hidden)
        if value is not FAILED:
            return value
    # A member of the right shape failed deeper inside: its own problems say more than "none of these".
    for trial in trials:
        if all(len(path) > len(at) for path, _ in trial.found):
            report.found.extend(trial.found)
            return FAILED
    hints = [problem.remedy.partition("; ")[2] for trial in trials for problem in trial.problems]
    expected = " or ".join(dict.fromkeys(map(describe, several)))
    report.unfit(at, data, expected, next(filter(None, hints), ""), hidden=hidden or Secret in several)
    return FAILED


def _tagged(tables: tuple[Any, ...], data: Mapping[str, Any], at: KeyPath, report: Report) -> Any:
    by_tag = {tag: table for table in tables for tag in tags_of(table)}
    tag = data.get("type")
    if isinstance(tag, str) and tag in by_tag:
        return structure(by_tag[tag], data, at, report)
    if tag is None:
        report.add((*at, "type"), "is missing", f"expected {any_of(by_tag)}")
    else:
        report.unfit((*at, "type"), tag, any_of(by_tag), did_you_mean(str(tag), by_tag))
    return FAILED


def _table(cls: Any, data: object, at: KeyPath, report: Report, base: Any) -> Any:
    if not isinstance(data, Mapping):
        report.unfit(at, data, "a table", f"write [{dotted(at)}]")
        return FAILED
    before = len(report.found)
    fields = fields_of(cls)
    _unknown_keys(cls, fields, data, at, report)
    values: dict[str, Any] = {field.name: _value(field, data, at, report, base) for field in fields}
    made = types.SimpleNamespace(**{name: value for name, value in values.items() if value is not FAILED})
    for field in fields:
        if hasattr(made, field.name):
            _validate(field, made, at, report)
    if len(report.found) > before:
        return FAILED
    try:
        return cls(**{field.attribute.alias or field.name: values[field.name] for field in fields})
    except ValueError as error:
        report.add(at, str(error))
        return FAILED


def _unknown_keys(cls: Any, fields: tuple[Field, ...], data: Mapping[str, Any], at: KeyPath, report: Report) -> None:
    known = [field.key for field in fields]
    obsolete: Mapping[str, str] = getattr(cls, "OBSOLETE", {})
    for key in data:
        if key in obsolete:
            report.add((*at, key), "is no longer a key", obsolete[key])
        elif key not in known:
            report.unknown_key((*at, key), known)


def _value(field: Field, data: Mapping[str, Any], at: KeyPath, report: Report, base: Any) -> Any:
    if field.key not in data:
        if base is not None:
            return getattr(base, field.name)
        if field.required:
            report.add((*at, field.key), "is missing", f"expected {describe(field.kind)}")
            return FAILED
        return field.default()
    inner = getattr(base, field.name) if base is not None else field.default()
    inner = inner if is_table(type(inner)) else None
    return structure(field.kind, data[field.key], (*at, field.key), report, base=inner, hidden=field.meta.secret)


def _validate(field: Field, made: types.SimpleNamespace, at: KeyPath, report: Report) -> None:
    validator = field.attribute.validator
    value = getattr(made, field.name)
    if validator is None:
        return
    try:
        validator(made, field.attribute, value)
    except UnfitError as error:
        hidden = field.meta.secret or isinstance(error.found, Secret)
        report.unfit((*at, field.key, *error.at), error.found, error.expected, error.hint, hidden=hidden)
    except AttributeError as error:
        if error.obj is not made:
            raise
        # It looked at another key, which has a problem of its own.
    except ValueError as error:
        report.add((*at, field.key), str(error))

"""Keys that a section had once: a file that still holds them is read in today's terms, with a warning for each.

A plugin that renames a key gives its `Section` a function that says so:

>>> def former(keys: FormerKeys) -> None:
...     keys.renamed("max_rules", "rules")
...     keys.gone("colour", "nothing is painted any more")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from ironpost_core.plain import as_json, toml
from ironpost_core.schema import Section, fields_of, is_plain, item_of, members
from ironpost_core.secret import Secret
from ironpost_core.structure import FAILED, Report, structure
from ironpost_core.toml_lines import KeyPath
from ironpost_core.wording import joined

LONGEST: Final = 400
"""A longer value is cut in warnings."""


def as_toml(key: str, value: object) -> str:
    """``key = value`` for a warning."""
    text = f"{key} = {toml(as_json(value))}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


@attrs.define(kw_only=True)
class FormerKeys:
    """One section as it stands in the file, for `Section.former` to put into today's terms.

    Keys that are not there are passed over, so a function names all former keys one after the other.

    Attributes:
        section: whose it is.
        table: its keys with their TOML values.
        problems: former keys that can't be used.
        notes: what became of the others; they are shown as warnings.
        written: key path of today → the path that the user wrote, where a value comes from a former key.
    """

    section: Section[Any]
    table: dict[str, Any]
    problems: Report
    notes: Report
    written: dict[KeyPath, KeyPath] = attrs.field(factory=dict)

    def renamed(self, key: str, now: str, *, kind: Any = object, into: Callable[[Any], Any] | None = None) -> None:
        """Take `key` for `now`.

        Args:
            key: the former key.
            now: what it is called; both at once are an error.
            kind: the former type (`int`, `str` …), where `into` needs it.
            into: makes the TOML value that is written today from the former one.
        """
        value = self.take(key, kind, instead=now)
        if value is not FAILED:
            self.table[now] = value if into is None else into(value)
            self.came_from((now,), key)
            self.note(key, f"is called {now} now", self._read_as(now))

    def reworded(self, key: str, old: str, new: str, why: str = "") -> None:
        """Take the value `old` of a key for `new`; other values are left alone."""
        if self.table.get(key) == old:
            self.table[key] = new
            self.note(key, "this value is written differently now", joined(self._read_as(key), why))

    def gone(self, key: str, why: str, *, instead: str = "") -> None:
        """Drop a key that does nothing any more, with the reason; together with `instead` it is an error."""
        if self.take(key, instead=instead) is not FAILED:
            self.note(key, "does nothing any more", why)

    def gone_table(self, key: str, why: Mapping[str, str]) -> None:
        """Drop a table that does nothing any more, with a reason for each key in it; others are unknown keys."""
        table = self.take(key, dict[str, object], hidden=True)  # a text in its place may be a secret of the table's
        for inner in () if table is FAILED else table:
            at = (self.section.name, key, inner)
            if inner in why:
                self.notes.add(at, "does nothing any more", why[inner])
            else:
                self.problems.unknown_key(at, tuple(why))

    def take(self, key: str, kind: Any = object, *, instead: str = "", hidden: bool = False) -> Any:
        """Remove a key and return its value; FAILED when it isn't there or, which is noted, can't be used.

        Args:
            key: the former key.
            kind: the type that it had; only `object` goes without a check.
            instead: the key of today, which must not be set as well.
            hidden: show no value in a problem.
        """
        if key not in self.table:
            return FAILED
        value, at = self.table.pop(key), (self.section.name, key)
        if instead and instead in self.table:
            self.problems.add(at, f"is a former name of {instead}, which is set too", f"set only {instead}")
            return FAILED
        hidden = hidden or (bool(instead) and not self._may_be_shown(instead))
        return structure(kind, value, at, self.problems, hidden=hidden)

    def came_from(self, at: KeyPath, key: str) -> None:
        """Have problems of the value at `at` (below the section) named at the former key that it was made from."""
        self.written[(self.section.name, *at)] = (self.section.name, key)

    def note(self, key: str, what: str, remedy: str = "") -> None:
        """Warn of a former key: what became of it, and its present form or the reason."""
        self.notes.add((self.section.name, key), what, remedy)

    def _read_as(self, now: str) -> str:
        return f"read as {as_toml(now, self.table[now])}" if self._may_be_shown(now) else "its value is taken over"

    def _may_be_shown(self, now: str) -> bool:
        """Whether it is a plain key of today without a secret in it."""
        for field in fields_of(self.section.type):
            if field.key == now:
                item = item_of(field.kind)
                secret = field.meta.secret or Secret in members(field.kind if item is None else item)
                return is_plain(field.kind) and not secret
        return False

"""Environment variables: their names are made from the configuration classes, never taken apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from ironpost_core.errors import Problem
from ironpost_core.schema import Field, Section, is_plain, keys_of
from ironpost_core.wording import did_you_mean, dotted, joined, shown

PREFIX: Final = "IRONPOST_"
RESERVED: Final = ("IRONPOST_CONFIG", "IRONPOST_BUILD_COMMIT")
"""Variables that mean something else and are read elsewhere."""


@attrs.frozen(kw_only=True)
class Given:
    """One variable that sets a key."""

    name: str
    path: tuple[str, ...]
    field: Field
    text: str


def name_of(path: Sequence[str]) -> str:
    """The variable that sets the key at `path`."""
    return PREFIX + "_".join(path).upper().replace("-", "_")


def settable(section: Section[Any]) -> Iterator[tuple[tuple[str, ...], Field]]:
    """The keys of a section that one text can set: scalars and lists of scalars, also in its tables."""
    return ((path, field) for path, field in keys_of(section.type, (section.name,)) if is_plain(field.kind))


def names_of(section: Section[Any]) -> Mapping[str, tuple[str, ...]]:
    """Variable → key path (the section's name first), for every key that a variable can set."""
    names: dict[str, tuple[str, ...]] = {}
    for path, _ in settable(section):
        names.setdefault(name_of(path), path)
    return names


def clashes(sections: Sequence[Section[Any]]) -> tuple[Problem, ...]:
    """One problem for each key whose variable is taken already, by an earlier key or by ironpost itself."""
    taken = dict.fromkeys(RESERVED, "ironpost itself")
    problems: list[Problem] = []
    for section in sections:
        for path, _ in settable(section):
            name = name_of(path)
            if name in taken:
                what = f"its environment variable {name} is taken by {taken[name]}"
                problems.append(
                    Problem(where=dotted(path), what=what, remedy="the plugin's author must rename the key")
                )
            taken.setdefault(name, dotted(path))
    return tuple(problems)


def given(sections: Sequence[Section[Any]], environ: Mapping[str, str]) -> tuple[list[Given], list[Problem]]:
    """The variables that set a key, and a warning for each that looks like one of ours but sets none."""
    keys: dict[str, tuple[tuple[str, ...], Field]] = {}
    for section in sections:
        for path, field in settable(section):
            keys.setdefault(name_of(path), (path, field))
    found: list[Given] = []
    unknown: list[Problem] = []
    for name, text in sorted(environ.items()):
        if name in keys:
            path, field = keys[name]
            found.append(Given(name=name, path=path, field=field, text=text))
        elif name.startswith(PREFIX) and name not in RESERVED:
            unknown.append(_unknown(name, text, keys))
    return found, unknown


def _unknown(name: str, text: str, known: Mapping[str, object]) -> Problem:
    close = did_you_mean(name, [each.lower() for each in known]).upper().replace("DID YOU MEAN", "did you mean")
    return Problem(where=name, what="unknown environment variable", remedy=joined(close, kubernetes_hint(text)))


def kubernetes_hint(text: str) -> str:
    """Whom a value such as ``tcp://10.0.0.1:9100`` comes from, when it looks like that."""
    if not text.startswith(("tcp://", "udp://")):
        return ""
    return f"{shown(text)} is what Kubernetes sets for a service of that name; enableServiceLinks: false stops it"

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ironpost_core.toml_lines import DEEPEST, KeyPath, line_of

DOCUMENT = '''\
# comment [not.a.table]
top = 1
"quoted key"."with \\u00e9" = 2
'lit.eral' = "# no comment"

[metrics]   # trailing
port = 9100
text = """
[not.a.table]
not = "a key" """
list = [
  "a", # ]
  { x = 1,
    y = "]" },
]
after.dotted.key = 1

[[alerts.sinks]]
type = 'x'
[[alerts.sinks]]
[alerts.sinks.retry]
times = 3
[[alerts.sinks.headers]]
name = \'\'\'
it's [a] """name"""\'\'\'\'
last = true
'''


def test_every_key_has_its_line() -> None:
    assert line_of(DOCUMENT.replace("{ x = 1,\n    y", "{ x = 1, y")) == {
        ("top",): 2,
        ("quoted key",): 3,
        ("quoted key", "with é"): 3,
        ("lit.eral",): 4,
        ("metrics",): 6,
        ("metrics", "port"): 7,
        ("metrics", "text"): 8,
        ("metrics", "list"): 11,
        ("metrics", "after"): 15,
        ("metrics", "after", "dotted"): 15,
        ("metrics", "after", "dotted", "key"): 15,
        ("alerts",): 17,
        ("alerts", "sinks"): 17,
        ("alerts", "sinks", 0): 17,
        ("alerts", "sinks", 0, "type"): 18,
        ("alerts", "sinks", 1): 19,
        ("alerts", "sinks", 1, "retry"): 20,
        ("alerts", "sinks", 1, "retry", "times"): 21,
        ("alerts", "sinks", 1, "headers"): 22,
        ("alerts", "sinks", 1, "headers", 0): 22,
        ("alerts", "sinks", 1, "headers", 0, "name"): 23,
        ("alerts", "sinks", 1, "headers", 0, "last"): 25,
    }


def test_line_ends_of_windows_count_once() -> None:
    assert line_of("a = 1\r\n\r\n[b]\r\nc = 2\r\n") == {("a",): 1, ("b",): 3, ("b", "c"): 4}


def test_a_key_of_very_many_parts_is_bounded() -> None:
    assert len(line_of("a." * 300_000 + "a = 1\nb = 2")) == DEEPEST + 1


@pytest.mark.parametrize("text", ["[", "[[", "[[]]", "[a", "=", "a", 'a = """', '"\\q" = 1', "a = [", "]", '"', "a.."])
def test_what_is_not_toml_raises_nothing(text: str) -> None:
    assert all(line == 1 for line in line_of(text).values())


@given(st.text(st.sampled_from(" \t\r\nab0.=[]{}#,\"'\\u"), max_size=80))
@example('a="""\'"""""')
def test_no_text_raises_and_what_is_toml_is_covered(text: str) -> None:
    lines = line_of(text)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert {(key,) for key in data} == {path for path in lines if len(path) == 1}


KEYS = st.one_of(st.sampled_from(["a", "b", "type", "x-1"]), st.text(max_size=4).filter(lambda key: key.isprintable()))
INLINE = st.sampled_from(
    [
        "1",
        "true",
        '"[x]"',
        "'#'",
        '"""\n[x]\ny = 1"""',
        "[1, # ]\n [2]]",
        "{ a = 1, b = [{}] }",
        "[{ a = 1 }]",
        "''''''",
    ]
)
TREES: st.SearchStrategy[Any] = st.recursive(
    INLINE,
    lambda inner: st.one_of(
        st.dictionaries(KEYS, inner, max_size=4),
        st.lists(st.dictionaries(KEYS, inner, max_size=3), min_size=1, max_size=3),
    ),
    max_leaves=12,
)


class Writer:
    """Writes a tree as TOML in varying styles and notes the line of each key as it goes."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def key(self, key: str) -> str:
        bare = key.isascii() and key.replace("-", "a").isalnum()
        if bare and self.draw(st.booleans()):
            return key
        if "'" not in key and self.draw(st.booleans()):
            return f"'{key}'"
        return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def name(self, keys: list[str]) -> str:
        return str(self.draw(st.sampled_from([".", " . "]))).join(map(self.key, keys))

    def put(self, line: str, *paths: KeyPath) -> None:
        self.text += self.draw(st.sampled_from(["", "\n", "# [x]\n", "  "]))
        for path in paths:
            self.lines.setdefault(path, self.text.count("\n") + 1)
        self.text += line + self.draw(st.sampled_from(["\n", " # ] =\n", "\r\n"]))

    def table(self, tree: dict[str, Any], path: KeyPath, keys: list[str]) -> None:
        inner: list[tuple[str, Any]] = []
        for key, value in tree.items():
            if isinstance(value, str):
                self.put(f"{self.key(key)} = {value}", (*path, key))
            elif isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), str):
                ((last, text),) = value.items()
                self.put(f"{self.name([key, last])}={text}", (*path, key), (*path, key, last))
            else:
                inner.append((key, value))
        for key, value in inner:
            for index, each in enumerate(value if isinstance(value, list) else [value]):
                name, at = [*keys, key], (*path, key)
                if isinstance(value, list):
                    self.put(f"[[{self.name(name)}]]", at, (*at, index))
                    self.table(each, (*at, index), name)
                else:
                    self.put(f"[ {self.name(name)} ]", at)
                    self.table(each, at, name)


def paths_in(data: Any, tree: Any, path: KeyPath = ()) -> set[KeyPath]:
    """The key paths that the parser reports, down to where the tree has an inline value."""
    if isinstance(tree, str):
        return {path}
    pairs = data.items() if isinstance(data, dict) else enumerate(data)
    return {path}.union(*(paths_in(value, tree[key], (*path, key)) for key, value in pairs))


@given(st.data(), st.dictionaries(KEYS, TREES, max_size=4))
def test_every_key_that_the_parser_reports_has_its_line(data: st.DataObject, tree: dict[str, Any]) -> None:
    writer = Writer(data.draw)
    writer.table(tree, (), [])
    parsed = tomllib.loads(writer.text)
    lines = line_of(writer.text)
    assert lines == writer.lines
    assert set(lines) == paths_in(parsed, tree) - {()}

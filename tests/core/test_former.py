from __future__ import annotations

import doctest
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from ironpost_core import former
from ironpost_core.config import Loaded, Section, load
from ironpost_core.former import LONGEST, FormerKeys
from ironpost_core.settings import Duration, Secret, between, each, non_empty, setting


@attrs.frozen(kw_only=True)
class Part:
    size: int = setting(default=1, help="Its size.", check=between(1, 9))


@attrs.frozen(kw_only=True)
class Porch:
    names: tuple[str, ...] = setting(default=(), help="Names.", check=each(non_empty()))
    limit: int = setting(default=5, help="A limit.", check=between(1, 10))
    wait: Duration = setting(default=Duration(1), help="A pause.")
    mode: str = setting(default="plain", help="How.")
    token: Secret | None = setting(default=None, help="A token.")
    tokens: tuple[Secret, ...] = setting(default=(), help="Tokens.")
    by_name: Mapping[str, Secret] = setting(factory=dict, help="Tokens by name.")
    address: str = setting(default="", help="An address with a token in it.", secret=True)
    parts: tuple[Part, ...] = setting(default=(), help="Parts.")


@attrs.frozen(kw_only=True)
class Example:
    rules: int = setting(default=3, help="As in the guide.")
    save_every: Duration = setting(default=Duration(5), help="As in the guide.")


def of_former_times(keys: FormerKeys) -> None:
    keys.renamed("name", "names", kind=str, into=lambda name: [name])
    keys.renamed("max", "limit")
    keys.renamed("wait_secs", "wait", kind=int, into=lambda seconds: f"{seconds}s")
    keys.reworded("mode", "simple", "plain")
    keys.reworded("mode", "gold", "plain", "nothing is gilded any more")
    keys.renamed("pieces", "parts")
    keys.renamed("key", "token")
    keys.renamed("keys", "tokens")
    keys.renamed("named", "by_name")
    keys.renamed("url", "address", kind=str, into=str.strip)
    keys.gone("colour", "nothing is painted any more")
    keys.gone("style", "it is drawn in another way", instead="mode")
    keys.gone_table("store", {"url": "nothing is stored", "days": "say it elsewhere"})


PORCH = Section("porch", Porch, "A porch.", of_former_times)


def read(text: str, section: Section[Any] = PORCH, **more: Any) -> Loaded:
    return load(f"[porch]\n{text}\n".encode(), **{"file": "f", "sections": [section], "environ": {}, **more})


def warnings(loaded: Loaded) -> list[str]:
    assert not loaded.problems
    return [str(warning) for warning in loaded.warnings]


def problems(text: str, **more: Any) -> list[str]:
    loaded = read(text, **more)
    assert "porch" not in loaded.values
    return [str(problem) for problem in loaded.problems]


def test_the_example_in_the_docstring_runs() -> None:
    assert doctest.testmod(former) == (0, 1)


def test_the_example_in_the_guide_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "plugin-guide.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(from ironpost_core\.former .*?)^```$", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    loaded = read("max_rules = 1\nsave_secs = 2\ncolour = 3", Section("porch", Example, "", names["former"]))
    assert len(warnings(loaded)) == 3
    assert loaded.values["porch"] == Example(rules=1, save_every=Duration(2))


@pytest.mark.parametrize(
    ("text", "value", "warning"),
    [
        ("name = 'a'", Porch(names=("a",)), 'name: is called names now (read as names = ["a"])'),
        ("max = 7", Porch(limit=7), "max: is called limit now (read as limit = 7)"),
        ("wait_secs = 90", Porch(wait=Duration(90)), 'wait_secs: is called wait now (read as wait = "90s")'),
        ("mode = 'simple'", Porch(), 'mode: this value is written differently now (read as mode = "plain")'),
        (
            "mode = 'gold'",
            Porch(),
            'mode: this value is written differently now (read as mode = "plain"; nothing is gilded any more)',
        ),
        (
            "pieces = [{size = 2}]",
            Porch(parts=(Part(size=2),)),
            "pieces: is called parts now (its value is taken over)",
        ),
        ("colour = 'red'", Porch(), "colour: does nothing any more (nothing is painted any more)"),
        ("style = 5", Porch(), "style: does nothing any more (it is drawn in another way)"),
        ("[porch.store]\ndays = 5", Porch(), "store.days: does nothing any more (say it elsewhere)"),
    ],
)
def test_a_former_key_is_taken_over_or_dropped_with_one_warning(text: str, value: Porch, warning: str) -> None:
    loaded = read(text)
    line = text.count("\n") + 2
    assert warnings(loaded) == [f"f:{line}: porch.{warning}"]
    assert loaded.values["porch"] == value


def test_keys_of_today_are_left_alone() -> None:
    loaded = read("names = ['a']\nlimit = 7\nwait = '2s'\nmode = 'bold'\n[[porch.parts]]\nsize = 3")
    assert warnings(loaded) == []
    expected = Porch(names=("a",), limit=7, wait=Duration(2), mode="bold", parts=(Part(size=3),))
    assert loaded.values["porch"] == expected


def test_warnings_stand_in_the_order_of_the_file() -> None:
    lines = [problem.line for problem in read("colour = 1\nstyle = 1\nmax = 1\nname = 'a'").warnings]
    assert lines == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("limit = 1\nmax = 2", "f:3: porch.max: is a former name of limit, which is set too (set only limit)"),
        ("style = 1\nmode = ''", "f:2: porch.style: is a former name of mode, which is set too (set only mode)"),
        ("\nname = 5", "f:3: porch.name: found 5 (expected a text; put it in quotes)"),
        ("\nname = ''", 'f:3: porch.name[0]: found "" (expected something that is not empty)'),
        ("\nmax = 'x'", 'f:3: porch.max: found "x" (expected a whole number)'),
        ("max = 11", "f:2: porch.max: found 11 (expected a value from 1 to 10)"),
        ("wait_secs = '5s'", 'f:2: porch.wait_secs: found "5s" (expected a whole number)'),
        ("mode = 5", "f:2: porch.mode: found 5 (expected a text; put it in quotes)"),
        (
            "[[porch.pieces]]\n[[porch.pieces]]\nsize = 0",
            "f:4: porch.pieces[1].size: found 0 (expected a value from 1 to 9)",
        ),
        ("store = 5", "f:2: porch.store: found a value of another type (expected a table)"),
        ("[porch.store]\ndais = 5", 'f:3: porch.store.dais: unknown key (did you mean "days"?)'),
        ("[porch.store]\nx = 5", "f:3: porch.store.x: unknown key (known here: url, days)"),
        ("lmit = 5", 'f:2: porch.lmit: unknown key (did you mean "limit"?)'),
    ],
)
def test_what_cannot_be_used_is_one_error_at_the_key_that_was_written(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_two_former_names_of_one_key_are_an_error_too() -> None:
    def twice(keys: FormerKeys) -> None:
        keys.renamed("max", "limit")
        keys.renamed("most", "limit")

    assert problems("max = 1\nmost = 2", sections=[Section("porch", Porch, "", twice)]) == [
        "f:3: porch.most: is a former name of limit, which is set too (set only limit)"
    ]


def test_one_report_holds_problems_of_former_and_of_todays_keys_in_their_order() -> None:
    found = read("wait = 5\nname = 5\n[porch.store]\nx = 1\n[[porch.parts]]\nsize = 0").problems
    assert [(problem.where, problem.line) for problem in found] == [
        ("porch.wait", 2),
        ("porch.name", 3),
        ("porch.store.x", 5),
        ("porch.parts[0].size", 7),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "key = 'hunter2'",
        "keys = ['hunter2']",
        "url = 'http://hunter2@host'",
        "[porch.store]\nurl = 'hunter2'",
        "colour = 'hunter2'",
        "url = ['hunter2']",
        "keys = 'hunter2'",
        "named = 'hunter2'",
        "key = 'hunter2'\ntoken = 'hunter2'",
        "[porch.store]\nulr = 'hunter2'",
    ],
)
def test_secrets_and_what_is_dropped_are_never_shown(text: str) -> None:
    loaded = read(text)
    said = " ".join(map(str, (*loaded.problems, *loaded.warnings)))
    assert "porch." in said
    assert "hunter2" not in said


def test_a_long_value_is_cut_and_control_characters_are_escaped() -> None:
    (warning,) = warnings(read(f'name = "\\u001b{"a" * 2 * LONGEST}"'))
    assert len(warning) < LONGEST + 100
    assert "\\u001baaa" in warning
    assert warning.endswith("…)")


def test_the_environment_and_the_command_line_win() -> None:
    loaded = read("max = 7\nname = 'a'", environ={"IRONPOST_PORCH_LIMIT": "3"}, overrides={"porch.names": "b"})
    assert len(warnings(loaded)) == 2
    assert loaded.values["porch"] == Porch(limit=3, names=("b",))
    assert [loaded.origins[f"porch.{key}"] for key in ("limit", "names")] == ["environment", "command line"]


def test_a_variable_that_cannot_be_used_is_named_by_todays_key_and_the_file_counts() -> None:
    loaded = read("max = 7", environ={"IRONPOST_PORCH_LIMIT": "30"})
    assert len(warnings(loaded)) == 1
    assert loaded.values["porch"].limit == 7
    (problem,) = loaded.environment_problems
    assert str(problem).startswith("porch.limit: found 30 in IRONPOST_PORCH_LIMIT")


def test_a_former_key_is_from_the_file() -> None:
    origins = read("max = 7\nstyle = 1").origins
    assert {key: origins[f"porch.{key}"] for key in ("limit", "mode")} == {"limit": "file", "mode": "default"}


def test_a_section_that_is_no_table_or_not_there_is_read_as_ever() -> None:
    assert load(None, file=None, sections=[PORCH], environ={}).values == {"porch": Porch()}
    (problem,) = load(b"porch = 5", file="f", sections=[PORCH], environ={}).problems
    assert str(problem) == "f:1: porch: found 5 (expected a table; write [porch])"


def test_a_key_without_a_name_is_no_key_of_today() -> None:
    assert problems('"" = 1\ncolour = 2') == ['f:2: porch."": unknown key (known here: ' + ", ".join(KEYS) + ")"]


KEYS = [field.name for field in attrs.fields(Porch)]


@pytest.mark.parametrize("now", ["mode", "nope"])
def test_an_authors_mistake_refuses_that_section_only(now: str) -> None:
    def broken(keys: FormerKeys) -> None:
        keys.renamed("max", now, into=lambda value: value + 1)

    loaded = read("max = 'x'", sections=[Section("porch", Porch, "", broken), Section("other", Part)])
    (problem,) = loaded.problems
    assert str(problem).startswith("porch: its configuration class is broken: TypeError: ")
    assert set(loaded.values) == {"other"}


def test_a_name_of_today_that_is_none_is_an_unknown_key_and_its_value_is_not_shown() -> None:
    def misspelt(keys: FormerKeys) -> None:
        keys.renamed("max", "limt")

    loaded = read("max = 5", sections=[Section("porch", Porch, "", misspelt)])
    assert [str(problem) for problem in loaded.problems] == ['f:2: porch.max: unknown key (did you mean "limit"?)']
    assert [str(warning) for warning in loaded.warnings] == [
        "f:2: porch.max: is called limt now (its value is taken over)"
    ]

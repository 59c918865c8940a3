from __future__ import annotations

import pytest

from ironpost_core import (
    ActionError,
    ConfigError,
    IronpostError,
    PluginError,
    Problem,
    RuleError,
    SourceError,
)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(where="a.b", what="found 1"), "a.b: found 1"),
        (Problem(where="", what="is a folder", file="x.toml"), "x.toml: is a folder"),
        (Problem(where="a", what="w", remedy="r", file="x.toml", line=3), "x.toml:3: a: w (r)"),
        (Problem(where="a", what="w", line=3), "3: a: w"),
        (Problem(where="", what="w", remedy="r"), "w (r)"),
    ],
)
def test_a_problem_says_place_value_and_remedy(problem, text):
    assert str(problem) == text


@pytest.mark.parametrize("kind", [ConfigError, RuleError])
def test_a_config_error_holds_every_problem(kind):
    problems = [Problem(where="a", what="w"), Problem(where="b", what="v")]
    error = kind(problems)
    assert str(error) == "a: w\nb: v"
    assert error.problems == tuple(problems)


@pytest.mark.parametrize(("kind", "text"), [(PluginError, "plugin ebpf: lost"), (SourceError, "ebpf: lost")])
def test_who_what_and_remedy(kind, text):
    assert str(kind("ebpf", "lost")) == text
    error = kind("ebpf", "lost", "find it")
    assert str(error) == f"{text} (find it)"
    assert (getattr(error, "plugin", None) or error.source, error.what, error.remedy) == ("ebpf", "lost", "find it")


def test_one_tree():
    for kind in (ConfigError, PluginError, SourceError, ActionError):
        assert issubclass(kind, IronpostError)
    assert issubclass(RuleError, ConfigError)

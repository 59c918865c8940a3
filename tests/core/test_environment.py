from __future__ import annotations

from collections.abc import Mapping

import attrs

from ironpost_core.config import MetricsConfig, Section
from ironpost_core.environment import clashes, given, name_of, names_of
from ironpost_core.settings import setting


@attrs.frozen(kw_only=True)
class Inner:
    depth: int = setting(default=1, help="How deep.")


@attrs.frozen(kw_only=True)
class Config:
    names: tuple[str, ...] = setting(default=(), help="Names.")
    inner: Inner = setting(factory=Inner, help="A table.")
    tables: tuple[Inner, ...] = setting(default=(), help="Tables.")
    labels: Mapping[str, str] = setting(factory=dict, help="Labels.")


@attrs.frozen(kw_only=True)
class Clashing:
    inner_depth: int = setting(default=1, help="Named like a key in a table.")
    inner: Inner = setting(factory=Inner, help="A table.")


@attrs.frozen(kw_only=True)
class Commit:
    commit: str = setting(default="", help="Named like a variable that means something else.")


@attrs.frozen(kw_only=True)
class Pipeline:
    batch: int = setting(default=1, help="A batch.")


METRICS = Section("metrics", MetricsConfig)


def test_names_are_made_for_scalars_and_lists_of_scalars_also_in_tables() -> None:
    assert names_of(Section("my-plugin", Config)) == {
        "IRONPOST_MY_PLUGIN_NAMES": ("my-plugin", "names"),
        "IRONPOST_MY_PLUGIN_INNER_DEPTH": ("my-plugin", "inner", "depth"),
    }


def test_the_names_of_the_metrics_section_are_those_promised() -> None:
    names = names_of(METRICS)
    for key in ("enabled", "listen_addr", "port", "endpoint"):
        assert names[f"IRONPOST_METRICS_{key.upper()}"] == ("metrics", key)
        assert name_of(("metrics", key)) in names


def test_two_keys_with_one_name_refuse_the_later() -> None:
    sections = [Section("log", Clashing), Section("log_inner", Inner), Section("build", Commit)]
    assert [str(problem) for problem in clashes(sections)] == [
        "log.inner.depth: its environment variable IRONPOST_LOG_INNER_DEPTH is taken by log.inner_depth "
        "(the plugin's author must rename the key)",
        "log_inner.depth: its environment variable IRONPOST_LOG_INNER_DEPTH is taken by log.inner_depth "
        "(the plugin's author must rename the key)",
        "build.commit: its environment variable IRONPOST_BUILD_COMMIT is taken by ironpost itself "
        "(the plugin's author must rename the key)",
    ]
    assert clashes([METRICS, Section("log", Pipeline)]) == ()


def test_what_is_set_is_found_and_what_is_not_ours_is_left_alone() -> None:
    environ = {"IRONPOST_METRICS_PORT": "1", "PATH": "/bin", "IRONPOST_CONFIG": "/x", "IRONPOST_BUILD_COMMIT": "abc"}
    found, unknown = given([METRICS], environ)
    assert [(each.name, each.path, each.text) for each in found] == [
        ("IRONPOST_METRICS_PORT", ("metrics", "port"), "1")
    ]
    assert unknown == []


def test_unknown_variables_are_warned_about() -> None:
    environ = {
        "IRONPOST_METRICS_PROT": "hunter2",
        "IRONPOST_ZZZ": "1",
        "IRONPOST_METRICS_PORT_9100_TCP": "tcp://10.0.0.1:9100",
    }
    found, unknown = given([METRICS], environ)
    assert found == []
    assert [str(problem) for problem in unknown] == [
        'IRONPOST_METRICS_PORT_9100_TCP: unknown environment variable (did you mean "IRONPOST_METRICS_PORT"?; '
        '"tcp://10.0.0.1:9100" is what Kubernetes sets for a service of that name; '
        "enableServiceLinks: false stops it)",
        'IRONPOST_METRICS_PROT: unknown environment variable (did you mean "IRONPOST_METRICS_PORT"?)',
        "IRONPOST_ZZZ: unknown environment variable",
    ]

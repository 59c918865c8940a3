from __future__ import annotations

import enum
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any, Literal

import attrs
import pytest

from ironpost_core.config import KNOWN_SECTIONS, Loaded, MetricsConfig, Section, load
from ironpost_core.errors import ConfigError, Problem
from ironpost_core.loading import section_of
from ironpost_core.settings import Duration, Secret, non_empty, setting, when_enabled


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@attrs.frozen(kw_only=True)
class Tls:
    cert: str = setting(default="", help="The certificate.")
    versions: tuple[int, ...] = setting(default=(12, 13), help="Versions.")


@attrs.frozen(kw_only=True)
class Webhook:
    type: Literal["webhook"] = setting(default="webhook", help="Which.")
    url: str = setting(help="Where to.")


@attrs.frozen(kw_only=True)
class Stdout:
    type: Literal["stdout"] = setting(default="stdout", help="Which.")


@attrs.frozen(kw_only=True)
class Alerts:
    keep: Duration = setting(default=Duration(60), help="How long.")
    level: Level = setting(default=Level.LOW, help="From which on.")
    never: tuple[IPv4Network, ...] = setting(default=(), help="Never these.")
    sinks: tuple[Webhook | Stdout, ...] = setting(default=(), help="Where to.")
    tls: Tls = setting(factory=Tls, help="TLS.")
    token: Secret | None = setting(default=None, help="A token.")


@attrs.frozen(kw_only=True)
class Optional:
    enabled: bool = setting(default=False, help="On.")
    interfaces: tuple[str, ...] = setting(default=(), help="Which.", check=when_enabled(non_empty()))


METRICS = Section("metrics", MetricsConfig)
ALERTS = Section("alerts", Alerts)
OPTIONAL = Section("optional", Optional)
ALL = (METRICS, ALERTS, OPTIONAL)


def read(text: str = "", sections: tuple[Section[Any], ...] = ALL, **more: Any) -> Loaded:
    given: dict[str, Any] = {"environ": {}, "file": "ironpost.toml", **more}
    return load(text.encode(), sections=sections, **given)


def texts(problems: tuple[Problem, ...]) -> list[str]:
    return [str(problem) for problem in problems]


def test_no_file_gives_the_defaults() -> None:
    loaded = load(None, file=None, sections=ALL, environ={})
    assert loaded.values == {"metrics": MetricsConfig(), "alerts": Alerts(), "optional": Optional()}
    assert (loaded.problems, loaded.warnings, loaded.environment_problems) == ((), (), ())
    assert set(loaded.origins.values()) == {"default"}


def test_the_command_line_beats_the_environment_beats_the_file() -> None:
    loaded = read(
        "[metrics]\nport = 1\nendpoint = '/file'\nlisten_addr = 'file'\n",
        environ={"IRONPOST_METRICS_PORT": "2", "IRONPOST_METRICS_LISTEN_ADDR": "environment"},
        overrides={"metrics.port": "3"},
    )
    assert loaded.values["metrics"] == MetricsConfig(port=3, endpoint="/file", listen_addr="environment")
    assert {key: loaded.origins[f"metrics.{key}"] for key in ("port", "listen_addr", "endpoint", "enabled")} == {
        "port": "command line",
        "listen_addr": "environment",
        "endpoint": "file",
        "enabled": "default",
    }


def test_variables_and_options_reach_into_tables() -> None:
    loaded = read(
        "[alerts.tls]\ncert = 'a'\n",
        environ={"IRONPOST_ALERTS_TLS_VERSIONS": "12"},
        overrides={"alerts.sinks": [{"type": "stdout"}], "alerts.keep": "1h", "alerts.token": {"env": "X"}},
    )
    assert loaded.values["alerts"] == Alerts(
        tls=Tls(cert="a", versions=(12,)), sinks=(Stdout(),), keep=Duration(3600), token=Secret("X", "env")
    )
    assert loaded.origins["alerts.tls.cert"] == "file"
    assert loaded.origins["alerts.tls.versions"] == "environment"


@pytest.mark.parametrize(
    ("text", "value"), [(t, v) for v, ts in ((True, "true 1 YES on"), (False, "false 0 no off")) for t in ts.split()]
)
def test_variables_spell_yes_and_no_in_several_ways(text: str, value: bool) -> None:
    assert read(environ={"IRONPOST_METRICS_ENABLED": text}).values["metrics"].enabled is value


def test_one_report_holds_every_problem() -> None:
    document = """\
[metrics]
prot = 9100
port = 70000
enabled = "false"
[alerts]
keep = 300
level = "hgih"
never = ["10.0.0.0/8", "10.0.0.1/8"]
[[alerts.sinks]]
type = "stdout"
[[alerts.sinks]]
type = "webhok"
[[alerts.sinks]]
type = "webhook"
[metrcs]
"""
    assert texts(read(document).problems) == [
        'ironpost.toml:2: metrics.prot: unknown key (did you mean "port"?)',
        "ironpost.toml:3: metrics.port: found 70000 (expected a value from 1 to 65535)",
        'ironpost.toml:4: metrics.enabled: found "false" (expected true or false; remove the quotes)',
        "ironpost.toml:6: alerts.keep: found 300 (expected a duration with its unit such as "
        '"30s", "5m" or "1h30m"; did you mean "300s"?)',
        'ironpost.toml:7: alerts.level: found "hgih" (expected "low" or "high"; did you mean "high"?)',
        'ironpost.toml:8: alerts.never[1]: found "10.0.0.1/8" (expected an IPv4 network; did you mean "10.0.0.0/8"?)',
        'ironpost.toml:12: alerts.sinks[1].type: found "webhok" (expected "webhook" or "stdout"; '
        'did you mean "webhook"?)',
        "ironpost.toml:13: alerts.sinks[2].url: is missing (expected a text)",
        'ironpost.toml:15: metrcs: unknown section (did you mean "metrics"?)',
    ]


def test_a_broken_section_does_not_harm_the_others() -> None:
    loaded = read("[metrics]\nport = 0\n[alerts]\nkeep = '1s'\n")
    assert "metrics" not in loaded.values
    assert loaded.values["alerts"].keep == 1
    assert len(loaded.problems_of("metrics")) == 1
    assert loaded.problems_of("alerts") == ()


def test_a_section_is_found_in_the_key_path() -> None:
    for where in ("alerts", "alerts.sinks[0].url", "alerts[0]"):
        assert section_of(Problem(where=where, what="")) == "alerts"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("metrics = 5", "ironpost.toml:1: metrics: found 5 (expected a table; write [metrics])"),
        ("[[metrics]]", "ironpost.toml:1: metrics: found a list (expected a table; write [metrics])"),
        ("port = 5", 'ironpost.toml:1: port: a key outside of any section (did you mean "sport"?)'),
        (
            "zzz = 5",
            "ironpost.toml:1: zzz: a key outside of any section (sections are alerts, container, ebpf, general, "
            "log_pipeline, metrics, optional, sbom)",
        ),
        ("[[optionl]]", 'ironpost.toml:1: optionl: unknown section (did you mean "optional"?)'),
        (
            "[alerts]\ntls = 1",
            "ironpost.toml:2: alerts.tls: found 1 (expected a table; write [alerts.tls])",
        ),
        (
            "[optional]\nenabled = true",
            "ironpost.toml:1: optional.interfaces: found an empty list (expected something that is not empty)",
        ),
    ],
)
def test_sections_of_the_wrong_shape(document: str, problem: str) -> None:
    environ = {"IRONPOST_METRICS_PORT": "1", "IRONPOST_ALERTS_TLS_CERT": "x"}
    sections = (*ALL, Section("sport", Optional)) if document.startswith("port") else ALL
    assert texts(read(document, sections, environ=environ).problems) == [problem]


def test_a_section_whose_plugin_is_missing_is_a_warning() -> None:
    loaded = read("".join(f"[{name}]\n" for name in KNOWN_SECTIONS))
    assert loaded.problems == ()
    assert texts(loaded.warnings)[0] == (
        "ironpost.toml:1: ebpf: this section does nothing, because its plugin is not installed "
        "(install ironpost-plugin-ebpf)"
    )
    assert len(loaded.warnings) == len(KNOWN_SECTIONS)


def test_a_tool_that_reads_one_section_does_not_mind_the_daemons() -> None:
    loaded = read("[general]\nx = 1\n[metrics]\n[optional]\n", (OPTIONAL,))
    assert (loaded.problems, loaded.warnings) == ((), ())


def test_what_kubernetes_sets_for_a_service_is_ignored_and_reported() -> None:
    environ = {"IRONPOST_METRICS_PORT": "tcp://10.0.0.1:9100", "IRONPOST_METRICS_PORT_9100_TCP": "tcp://10.0.0.1:9100"}
    loaded = read("[metrics]\nport = 9101\n", environ=environ)
    assert loaded.values["metrics"].port == 9101
    assert loaded.origins["metrics.port"] == "file"
    assert loaded.problems == ()
    assert texts(loaded.environment_problems) == [
        'metrics.port: found "tcp://10.0.0.1:9100" in IRONPOST_METRICS_PORT (expected a whole number; '
        'the variable is ignored; "tcp://10.0.0.1:9100" is what Kubernetes sets for a service of that name; '
        "enableServiceLinks: false stops it)"
    ]
    assert [problem.where for problem in loaded.warnings] == ["IRONPOST_METRICS_PORT_9100_TCP"]


def test_a_variable_that_fails_its_check_is_ignored_too_but_not_the_others() -> None:
    environ = {
        "IRONPOST_METRICS_PORT": "0",
        "IRONPOST_METRICS_ENDPOINT": "/x",
        "IRONPOST_ALERTS_NEVER": "a,10.0.0.0/8,b",
    }
    loaded = read(environ=environ)
    assert loaded.values["metrics"] == MetricsConfig(endpoint="/x")
    assert loaded.values["alerts"].never == ()
    assert [problem.where for problem in loaded.environment_problems] == [
        "metrics.port",
        "alerts.never[0]",
        "alerts.never[2]",
    ]


def test_a_secret_in_a_variable_is_not_shown() -> None:
    loaded = read(environ={"IRONPOST_ALERTS_TOKEN": "hunter2"})
    assert loaded.values["alerts"].token.reveal() == "hunter2"
    assert "hunter2" not in repr(loaded)


def test_an_option_that_cannot_be_used_refuses_its_section() -> None:
    loaded = read(overrides={"metrics.port": "x", "metrics.prot": "1", "alerts.keep": 5})
    assert texts(loaded.problems) == [
        'metrics.prot: unknown key on the command line (did you mean "metrics.port"?)',
        'metrics.port: found "x" on the command line (expected a whole number)',
        'alerts.keep: found 5 on the command line (expected a duration with its unit such as "30s", "5m" or "1h30m"; '
        'did you mean "5s"?)',
    ]
    assert set(loaded.values) == {"optional"}


def test_what_is_no_toml_is_refused_whole() -> None:
    with pytest.raises(ConfigError, match=r"^ironpost.toml:1: this is not TOML"):
        read("[")


def test_a_section_claimed_twice_goes_to_neither() -> None:
    loaded = read("", (METRICS, OPTIONAL, METRICS))
    assert texts(loaded.problems) == ["metrics: two plugins claim this section"]
    assert set(loaded.values) == {"optional"}


@attrs.frozen(kw_only=True)
class TakesPort:
    port: int = setting(default=1, help="A port.")


@attrs.frozen(kw_only=True)
class TakesNestedPort:
    metrics: TakesPort = setting(factory=TakesPort, help="A table.")


def test_a_plugin_whose_variable_is_taken_is_refused() -> None:
    loaded = read("", (Section("a_metrics", TakesPort), Section("a", TakesNestedPort), OPTIONAL))
    assert texts(loaded.problems_of("a")) == [
        "a.metrics.port: its environment variable IRONPOST_A_METRICS_PORT is taken by a_metrics.port "
        "(the plugin's author must rename the key)"
    ]
    assert set(loaded.values) == {"a_metrics", "optional"}


def failing(instance: object, attribute: object, value: Any) -> None:
    raise RuntimeError("boom")


@attrs.frozen(kw_only=True)
class FailingCheck:
    key: int = attrs.field(default=1, validator=failing)


@attrs.frozen(kw_only=True)
class UnknownType:
    key: "NoSuchType" = attrs.field(default=1)  # type: ignore[name-defined]  # noqa: F821, UP037  # that is the test


def test_an_authors_mistake_refuses_that_plugin_only() -> None:
    loaded = read("", (Section("bad", FailingCheck), Section("worse", UnknownType), OPTIONAL))
    assert texts(loaded.problems) == [
        "worse: its configuration class is broken: NameError: name 'NoSuchType' is not defined "
        "(report this to the plugin's author)",
        "bad: its configuration class is broken: RuntimeError: boom (report this to the plugin's author)",
    ]
    assert set(loaded.values) == {"optional"}


def test_the_given_mappings_are_not_changed() -> None:
    overrides: Mapping[str, Any] = {"alerts.tls.cert": "x"}
    environ = {"IRONPOST_METRICS_PORT": "x"}
    read(environ=environ, overrides=overrides)
    assert (environ, overrides) == ({"IRONPOST_METRICS_PORT": "x"}, {"alerts.tls.cert": "x"})


def test_an_empty_variable_takes_an_optional_value_away() -> None:
    loaded = read("[alerts]\ntoken = 'x'\n", environ={"IRONPOST_ALERTS_TOKEN": ""})
    assert loaded.values["alerts"].token is None
    assert loaded.origins["alerts.token"] == "environment"

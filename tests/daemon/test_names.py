from __future__ import annotations

from typing import Any

import attrs
import pytest

from ironpost_core import MetricSpec, PluginError
from ironpost_core.metrics import PLUGIN_PREFIXES, catalogue_of
from ironpost_daemon.names import daemon_names, register_specs


def gauge(name: str, **labels: tuple[str, ...]) -> MetricSpec:
    return MetricSpec(name=name, kind="gauge", help="Something", labels=labels)


def counter(name: str) -> MetricSpec:
    return MetricSpec(name=name, kind="counter", help="Something")


def test_the_four_plugins_and_a_third_party_one_fit_together() -> None:
    taken = daemon_names()
    for plugin in PLUGIN_PREFIXES:
        register_specs(taken, plugin, catalogue_of(plugin))
    register_specs(taken, "guard2", [])
    register_specs(taken, "canary", [gauge("canary_birds"), gauge("canary_mood", mood=("good", "bad"))])
    assert taken["ironpost_canary_birds"] == "canary"
    assert taken["ironpost_ebpf_packets_total"] == "ebpf"
    assert taken["ironpost_daemon_uptime_seconds"] == "daemon"


def test_two_clashing_plugins_are_both_named_and_the_first_keeps_its_series() -> None:
    taken: dict[str, str] = {}
    register_specs(taken, "canary", [counter("canary_big_seen_total")])
    before = dict(taken)
    with pytest.raises(PluginError, match=r"plugin canary_big: .*ironpost_canary_big_seen .*plugin canary ") as caught:
        register_specs(taken, "canary_big", [gauge("canary_big_fine"), counter("canary_big_seen_total")])
    assert caught.value.plugin == "canary_big"
    assert taken == before


@pytest.mark.parametrize(
    "second",
    [
        gauge("canary_took_count"),
        gauge("canary_took_bucket"),
        gauge("canary_took_created"),
        MetricSpec(name="canary_took_sum", kind="histogram", help="X", buckets=(1.0,)),
    ],
)
def test_series_are_compared_not_only_names(second: MetricSpec) -> None:
    first = MetricSpec(name="canary_took", kind="histogram", help="X", buckets=(1.0,))
    for specs in ([first, second], [second, first]):
        with pytest.raises(PluginError, match="taken by the plugin itself"):
            register_specs({}, "canary", specs)


@pytest.mark.parametrize(
    "plugin", ["daemon", "system", "log", "log_pipeline", "container", "ebpf_more", "daemon_x", "sbom_scanner"]
)
def test_reserved_prefixes_are_refused(plugin: str) -> None:
    with pytest.raises(PluginError, match="reserved"):
        register_specs({}, plugin, [gauge(f"{plugin}_x")])
    register_specs({}, plugin, [])


@pytest.mark.parametrize("name", ["other_x", "canaryx", "canaries_x", "guard_x"])
def test_foreign_prefixes_are_refused(name: str) -> None:
    with pytest.raises(PluginError, match="must begin with canary_"):
        register_specs({}, "canary", [gauge(name)])


def test_open_labels_are_refused() -> None:
    with pytest.raises(PluginError, match="label who is open"):
        register_specs({}, "canary", [gauge("canary_x", who=())])


@pytest.mark.parametrize("thing", ["canary_x", None, object()])
def test_what_is_no_spec_is_refused(thing: Any) -> None:
    with pytest.raises(PluginError, match="return a sequence of MetricSpec"):
        register_specs({}, "canary", [thing])


def test_the_four_must_export_their_whole_catalogue_unchanged() -> None:
    specs = list(catalogue_of("guard"))
    with pytest.raises(PluginError, match="does not return container_guard_policies_loaded"):
        register_specs({}, "guard", specs[:-1])
    with pytest.raises(PluginError, match="a changed copy of container_guard_policies_loaded"):
        register_specs({}, "guard", [*specs[:-1], attrs.evolve(specs[-1], help="Mine")])
    register_specs({}, "guard", [*specs, gauge("container_guard_further")])

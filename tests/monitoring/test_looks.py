"""How panels look where that says something: steps, colours, what stands there for no value, the boards' frames."""

from __future__ import annotations

import re

import pytest

from boards import BOARDS, NAMES, of_panels

#: Panel → from which value on it has which colour; the others are blue.
STEPS: dict[str, dict[float | None, str]] = {
    "ironpost-overview: Daemon uptime": {None: "orange", 300: "green"},
    "ironpost-overview: Active plugins": {None: "red", 1: "green"},
    "ironpost-overview: Alerts per minute": {None: "green", 10: "orange", 50: "red"},
    "ironpost-log-pipeline: Error ratio": {None: "green", 0.01: "orange", 0.05: "red"},
    "ironpost-security: Critical CVEs": {None: "green", 1: "red"},
    "ironpost-security: High CVEs": {None: "green", 1: "orange"},
    "ironpost-security: Isolation success rate": {None: "red", 0.9: "orange", 1: "green"},
    "ironpost-security: Vulnerability database age": {None: "green", 604_800: "orange", 2_592_000: "red"},
    "ironpost-plugins: Hosts gone": {None: "green", 1: "red"},
    "ironpost-plugins: Failed plugins": {None: "green", 1: "red"},
    "ironpost-plugins: Restarts (1 h)": {None: "green", 1: "orange"},
    "ironpost-plugins: Alerts lost (1 h)": {None: "green", 1: "red"},
    "ironpost-plugins: History failures (1 h)": {None: "green", 1: "red"},
}
#: Panel → what stands there without a value, and its colour; the others have "no data".
NO_VALUE = {
    **dict.fromkeys(
        (
            "ironpost-overview: Daemon uptime",
            "ironpost-overview: Active plugins",
            "ironpost-overview: Events per minute",
            "ironpost-overview: Alerts per minute",
            "ironpost-plugins: Hosts gone",
            "ironpost-plugins: Failed plugins",
            "ironpost-plugins: Restarts (1 h)",
            "ironpost-plugins: Alerts lost (1 h)",
            "ironpost-plugins: History failures (1 h)",
        ),
        ("down", "red"),
    ),
    **{f"ironpost-log-pipeline: Processing latency {name}": ("idle", "text") for name in ("p50", "p95", "p99")},
    "ironpost-security: XDP time per packet": ("idle", "text"),
    "ironpost-security: Scan duration p95": ("no scan", "text"),
    "ironpost-security: Isolation success rate": ("no isolation", "text"),
    "ironpost-security: Vulnerability database age": ("no database", "orange"),
    "ironpost-plugins: Sink failures": ("no sink", "text"),
    "ironpost-plugins: Host CPU": ("off", "text"),
    "ironpost-plugins: Host memory in use": ("off", "text"),
    "ironpost-plugins: Disk space left": ("off", "text"),
    "ironpost-plugins: Disk traffic": ("off", "text"),
}
#: Series → colour, in all panels that colour it.
COLOURS = {
    "critical": "dark-red",
    "high": "red",
    "medium": "orange",
    "low": "yellow",
    "info": "blue",
    "success": "green",
    "disconnect success": "light-green",
    "pause success": "green",
    "stop success": "dark-green",
    "disconnect failure": "light-red",
    "pause failure": "red",
    "stop failure": "dark-red",
    "violations": "orange",
    "by the kernel": "orange",
    **dict.fromkeys(("failure", "failed", "blocked", "by the buffer"), "red"),
}
LOOKS = {asked.place: asked.panel for asked in of_panels()}
DEFAULTS = {place: panel["fieldConfig"]["defaults"] for place, panel in LOOKS.items()}


@pytest.mark.parametrize("place", LOOKS)
def test_a_value_has_its_steps_colour_and_no_value_a_text(place):
    defaults = DEFAULTS[place]
    steps = {step["value"]: step["color"] for step in defaults["thresholds"]["steps"]}
    assert steps == STEPS.get(place, {None: "blue"})
    assert defaults["thresholds"]["mode"] == "absolute"
    (absent,) = (one["options"]["result"] for one in defaults["mappings"] if one["type"] == "special")
    assert (absent["text"], absent["color"]) == NO_VALUE.get(place, ("no data", "text"))
    assert defaults["noValue"] == absent["text"]


def test_steps_and_texts_are_of_panels_that_exist():
    assert not (STEPS.keys() | NO_VALUE.keys()) - LOOKS.keys()


def test_dials_end_where_their_share_does():
    dials = {place: DEFAULTS[place] for place, panel in LOOKS.items() if panel["type"] == "gauge"}
    assert {place: (one["min"], one["max"]) for place, one in dials.items()} == {
        "ironpost-log-pipeline: Error ratio": (0, 0.1),
        "ironpost-security: Isolation success rate": (0, 1),
    }


def test_a_plugin_that_is_up_is_green_one_that_failed_red():
    (states,) = (
        one["options"] for one in DEFAULTS["ironpost-plugins: Plugins up"]["mappings"] if one["type"] == "value"
    )
    assert {value: (state["text"], state["color"]) for value, state in states.items()} == {
        "1": ("up", "green"),
        "0": ("failed", "red"),
    }


@pytest.mark.parametrize("place", LOOKS)
def test_a_series_has_the_same_colour_everywhere(place):
    for override in LOOKS[place]["fieldConfig"]["overrides"]:
        (colour,) = override["properties"]
        assert colour["value"]["fixedColor"] == COLOURS[override["matcher"]["options"]]


@pytest.mark.parametrize("place", LOOKS)
def test_single_values_are_of_this_moment_and_columns_a_minute_apart(place):
    panel = LOOKS[place]
    single = panel["type"] in {"stat", "gauge", "bargauge", "piechart"}
    assert {(target["instant"], target["range"]) for target in panel["targets"]} == {(single, not single)}
    columns = DEFAULTS[place].get("custom", {}).get("drawStyle") == "bars"
    assert panel.get("interval") == ("1m" if columns else None)


@pytest.mark.parametrize("name", NAMES)
def test_a_board_shows_the_last_hour_of_all_hosts_and_lets_choose_among_them(name):
    board = BOARDS[name]
    assert (board["time"], board["refresh"]) == ({"from": "now-1h", "to": "now"}, "30s")
    source, hosts = board["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (hosts["name"], hosts["type"]) == ("instance", "query")
    assert hosts["query"]["query"] == "label_values(ironpost_daemon_build_info, instance)"
    assert (hosts["includeAll"], hosts["multi"], hosts["allValue"]) == (True, True, ".+")
    assert hosts["current"]["value"] == ["$__all"]
    assert hosts["refresh"] == 2, "hosts are asked for anew with each time range"


@pytest.mark.parametrize("name", NAMES)
def test_annotations_are_on_and_have_colours_of_their_own(name):
    marks = BOARDS[name]["annotations"]["list"]
    assert all(mark["enable"] and not mark["hide"] for mark in marks)
    assert {mark["name"]: mark["iconColor"] for mark in marks} == {
        "Isolations": "purple",
        "Failed isolations": "red",
        "Reloads": "blue",
        "Failed reloads": "orange",
    }


#: What a query speaks of → the unit that its panel must have; the first that fits counts.
UNITS = (
    (r" / ", "percentunit"),
    (r"histogram_quantile|uptime_seconds|time\(\)", "s"),
    (r"bits_per_second", "bps"),
    (r"rate\(\w+_bytes", "Bps"),
    (r"_bytes", "bytes"),
    (r"process_cpu_seconds", "percentunit"),
    (r"ebpf_packets_blocked", "cps"),  # rarely more than one a second, which "pps" would show as thousandths
    (r"ebpf_\w*packets", "pps"),
    (r"\* 60$|\* 3600$|increase\(", "short"),
    (r"rate\(", "cps"),
    (r"", "short"),
)


@pytest.mark.parametrize("asked", list(of_panels()), ids=lambda asked: f"{asked.place} {asked.legend}")
def test_a_panels_unit_is_that_of_its_queries(asked):
    unit = next(unit for speaks_of, unit in UNITS if re.search(speaks_of, asked.expr))
    assert asked.panel["fieldConfig"]["defaults"]["unit"] == unit


def test_shares_of_a_whole_are_pies_and_dials():
    kinds = {asked.place: asked.panel["type"] for asked in of_panels()}
    assert [place for place, kind in kinds.items() if kind == "piechart"] == [
        "ironpost-overview: CVE distribution",
        "ironpost-security: Protocol distribution",
    ]
    assert [place for place, kind in kinds.items() if kind == "gauge"] == [
        "ironpost-log-pipeline: Error ratio",
        "ironpost-security: Isolation success rate",
    ]
    assert kinds["ironpost-security: CVEs by severity"] == "bargauge"

"""The dashboards as files: equal to what the generator makes, known to Grafana's schema, and true to the catalogue."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from boards import BOARDS, FOLDER, NAMES, Asked, of_annotations, of_panels
from ironpost_core.metrics import MetricSpec, describe_all, describe_fixed
from monitoring.generator import frame
from monitoring.generator.__main__ import dashboards, main
from monitoring.generator.panels import Panel, course
from monitoring.pictures.substitute import substitute
from real import program

PANELS = list(of_panels())
QUERIES = [*PANELS, *of_annotations()]
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}
#: Every name in the exposition → its spec and the labels of its series.
KNOWN: dict[str, MetricSpec] = {}
for _spec in describe_all():
    for _name in ([f"{_spec.full_name}{end}" for end in ("_bucket", "_count", "_sum")], [_spec.full_name])[
        _spec.kind != "histogram"
    ]:
        KNOWN[_name] = _spec
SELECTOR = re.compile(r"\b(?P<name>(?:ironpost|process)_\w+)\{(?P<matchers>[^}]*)\}")
#: What the design demands, in its order.
DESIGNED = {
    "ironpost-overview": [
        "Daemon uptime",
        "Active plugins",
        "Events per minute",
        "Alerts per minute",
        "Monitored containers",
        "Event rate",
        "Alert rate",
        "Isolation actions",
        "CVE distribution",
        "eBPF throughput",
    ],
    "ironpost-log-pipeline": [
        "Collection rate",
        "Processing rate",
        "Error rate",
        "Error ratio",
        "Rule match rate",
        "Alert send rate",
        "Buffer size",
        "Dropped logs",
        "Processing latency p50",
        "Processing latency p95",
        "Processing latency p99",
    ],
    "ironpost-security": [
        "CVEs by severity",
        "Critical CVEs",
        "High CVEs",
        "Scan duration p95",
        "Scans per hour",
        "Policy violations",
        "Isolation success rate",
        "Isolation actions by type",
        "Blocked packets",
        "Protocol distribution",
        "Packets per second by protocol",
        "Vulnerability database age",
    ],
}


def place(asked: Asked) -> str:
    return asked.place


def labels_of(name: str) -> set[str]:
    """The labels that a series of this name can have in Prometheus."""
    own = set() if name in PROCESS else set(KNOWN[name].labels)
    return own | {"instance", "job"} | ({"le"} if name.endswith("_bucket") else set())


def test_what_is_committed_is_what_the_generator_makes(tmp_path):
    main(tmp_path)
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(f"{name}.json" for name in NAMES)
    for name, text in dashboards().items():
        assert (FOLDER / name).read_text("utf-8") == text, f"{name} is old: run `make dashboards`"
        assert (tmp_path / name).read_text("utf-8") == text


@pytest.mark.parametrize("name", NAMES)
def test_grafanas_schema_knows_every_key(name):
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(BOARDS[name]), cls=JSONEncoder))
    assert again == BOARDS[name]


def test_an_unknown_key_would_be_seen():
    register_default_plugins()
    board = json.loads(json.dumps(BOARDS["ironpost-overview"]))
    board["panels"][0]["options"]["colour"] = "mauve"
    assert json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder)) != board


@pytest.mark.parametrize("name", NAMES)
def test_the_data_source_is_the_provisioned_one_unless_another_is_chosen(name):
    provisioned = yaml.safe_load((FOLDER.parent / "provisioning/datasources/prometheus.yml").read_text("utf-8"))
    (source,) = provisioned["datasources"]
    variables = {variable["name"]: variable for variable in BOARDS[name]["templating"]["list"]}
    assert list(variables) == ["datasource", "instance"]
    current = variables["datasource"]["current"]
    assert (current["value"], current["text"]) == (source["uid"], source["name"])
    assert variables["datasource"]["query"] == source["type"] == "prometheus"
    assert BOARDS[name]["uid"] == name
    uids = re.findall(r'"uid": "([^"]*)"', json.dumps([BOARDS[name][key] for key in ("panels", "annotations")]))
    assert set(uids) == {"${datasource}"}
    assert variables["instance"]["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_numbers_and_places_of_their_own_within_the_grid(name):
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["w"] > 0, panel["title"]
        assert at["h"] > 0, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
    assert len(taken) == 24 * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels), "holes"


@pytest.mark.parametrize(("name", "titles"), DESIGNED.items())
def test_the_designed_panels_are_there_in_their_order(name, titles):
    shown = [panel["title"] for panel in BOARDS[name]["panels"]]
    assert shown[: len(titles)] == titles


def test_the_overviews_rows_are_the_designed_ones():
    rows: dict[int, list[str]] = {}
    for panel in BOARDS["ironpost-overview"]["panels"]:
        rows.setdefault(panel["gridPos"]["y"], []).append(panel["type"])
    assert list(rows.values()) == [["stat"] * 5, ["timeseries"] * 2, ["timeseries", "piechart", "timeseries"]]


@pytest.mark.parametrize("asked", PANELS, ids=place)
def test_each_panel_says_what_it_shows_and_in_which_unit(asked):
    panel = asked.panel
    assert len(panel["title"]) < 40
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_each_fixed_metric_is_shown_somewhere():
    shown = {match["name"] for asked in PANELS for match in SELECTOR.finditer(asked.expr)}
    unseen = [spec.name for spec in describe_fixed() if not {spec.full_name, f"{spec.full_name}_bucket"} & shown]
    assert unseen == []


@pytest.mark.parametrize("asked", QUERIES, ids=place)
def test_the_names_and_labels_in_a_query_exist_and_it_asks_for_the_chosen_hosts(asked):
    names = re.findall(r"\b(?:ironpost|process)_\w+", asked.expr)
    selectors = list(SELECTOR.finditer(asked.expr))
    assert len(selectors) == len(names) > 0, "a metric without a selector"
    known = set.intersection(*(labels_of(selector["name"]) for selector in selectors))
    for selector in selectors:
        matchers = dict(re.findall(r'(\w+)=~?"([^"]*)"', selector["matchers"]))
        assert matchers.pop("instance") == "$instance"
        spec = KNOWN.get(selector["name"])
        for label, value in matchers.items():
            assert spec is not None
            assert value in spec.labels[label]
    kept = {label for labels in re.findall(r"\bby \(([^)]*)\)", asked.expr) for label in labels.split(", ")}
    assert kept <= known
    assert set(re.findall(r"\{\{(\w+)\}\}", asked.legend)) <= (kept - {"le"} or {"instance"})


@pytest.mark.parametrize("asked", QUERIES, ids=place)
def test_counters_stand_under_a_rate_and_quantiles_are_summed_by_bound(asked):
    for selector in SELECTOR.finditer(asked.expr):
        name = selector["name"]
        counts = name.endswith(("_total", "_bucket", "_count", "_sum"))
        before = asked.expr[: selector.start()]
        assert counts == before.endswith(("rate(", "increase(")), name
        ranged = asked.expr[selector.end() :].startswith("[")
        assert ranged == (counts or before.endswith("last_over_time(")), name
        assert name.endswith("_bucket") == before.endswith("sum by (le) (rate("), name
    assert ("histogram_quantile" in asked.expr) == ("_bucket" in asked.expr)


@pytest.mark.parametrize("name", NAMES)
def test_series_are_coloured_by_names_that_occur(name):
    for panel in BOARDS[name]["panels"]:
        possible = {text for asked in PANELS if asked.panel is panel for text in _legends(asked.expr, asked.legend)}
        coloured = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
        assert coloured <= possible, panel["title"]


def _legends(expr: str, legend: str) -> set[str]:
    """What series of this query can be called."""
    labels = re.findall(r"\{\{(\w+)\}\}", legend)
    specs = [KNOWN[found["name"]] for found in SELECTOR.finditer(expr) if found["name"] in KNOWN]
    texts = set() if labels else {legend}
    for spec in specs:
        for values in itertools.product(*(spec.labels.get(label, ()) for label in labels)):
            text = legend
            for label, value in zip(labels, values, strict=True):
                text = text.replace(f"{{{{{label}}}}}", value)
            texts.add(text)
    return texts


def test_the_dashboards_lead_to_each_other():
    for name, board in BOARDS.items():
        (link,) = board["links"]
        assert (link["type"], link["tags"], link["keepTime"], link["includeVars"]) == (
            "dashboards",
            ["ironpost"],
            True,
            True,
        )
        assert board["tags"] == ["ironpost"]
        for panel in board["panels"]:
            for one in panel.get("links", []):
                target = re.match(r"/d/([\w-]+)\?", one["url"])
                assert target is not None
                assert target[1] in set(NAMES) - {name}
                assert one["title"] == BOARDS[target[1]]["title"]
    assert all(panel.get("links") for panel in BOARDS["ironpost-overview"]["panels"])


@pytest.mark.parametrize("name", NAMES)
def test_isolations_and_reloads_are_marked(name):
    marks = {mark["name"] for mark in BOARDS[name]["annotations"]["list"]}
    assert marks == {"Isolations", "Failed isolations", "Reloads", "Failed reloads"}


def test_a_row_that_is_too_wide_is_refused():
    panel = Panel("x", "x.", "vector(1)", width=13, unit="short", draw=course)
    with pytest.raises(ValueError, match="width 26 does not fit"):
        frame.dashboard(frame.OVERVIEW, "x", [frame.Row(4, [panel, panel])])


@pytest.mark.real
def test_promtool_takes_every_query(tmp_path: Path):
    rules: list[dict[str, Any]] = [
        {"record": f"panel:{number}", "expr": substitute(asked.expr, step_seconds=15)}
        for number, asked in enumerate(QUERIES)
    ]
    assert len(rules) > 60
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([program("promtool"), "check", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout

"""A real Prometheus scrapes a real daemon: every fixed metric is there, typed and helped, before any event."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon_process import DaemonProcess, eventually
from ironpost_core.metrics import describe_fixed
from prometheus_server import Prometheus, prometheus_with
from real import program

pytestmark = pytest.mark.real

# What promtool objects to and the fixed names force.
FORCED_OBJECTIONS = {'ironpost_ebpf_bits_per_second use base unit "bytes" instead of "bits"'}
# The client library's own process collector is none of ours.
QUIET = """
[[log_pipeline.sources]]
type = "file"
paths = ["quiet.log"]
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    folder = tmp_path_factory.mktemp("daemon")
    with DaemonProcess(folder, QUIET.replace("quiet.log", str(folder / "quiet.log"))) as process:
        yield process


@pytest.fixture(scope="module")
def prometheus(daemon: DaemonProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    config = (
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        f"  - {{job_name: ironpost, static_configs: [{{targets: ['127.0.0.1:{daemon.port}']}}]}}\n"
    )
    with prometheus_with(config, tmp_path_factory.mktemp("prometheus")) as server:
        eventually(lambda: server.series('up{job="ironpost"} == 1'), "prometheus has scraped the daemon")
        yield server


def test_up_is_1(prometheus: Prometheus) -> None:
    assert [float(one["value"][1]) for one in prometheus.series('up{job="ironpost"}')] == [1.0]


@pytest.mark.parametrize("spec", describe_fixed(), ids=lambda spec: spec.name)
def test_each_fixed_metric_is_there_before_any_event(prometheus: Prometheus, spec: Any) -> None:
    # Prometheus asks for OpenMetrics, in which a counter's family has no suffix.
    family = spec.full_name.removesuffix("_total")
    metadata = eventually(
        lambda: prometheus.get("/api/v1/metadata", metric=family).get(family), "metadata is there", timeout=20
    )
    assert [(one["type"], one["help"]) for one in metadata] == [(spec.kind, spec.help)]
    suffix = "_count" if spec.kind == "histogram" else ""
    found = prometheus.series(spec.full_name + suffix)
    labels = {tuple(sorted((k, v) for k, v in one["metric"].items() if k in spec.labels)) for one in found}
    if spec.name == "daemon_build_info":
        assert len(found) == 1
        assert {"version", "commit", "python_version"} <= set(found[0]["metric"])
        return
    expected = itertools.product(*([(key, value) for value in values] for key, values in spec.labels.items()))
    assert labels == {tuple(sorted(combination)) for combination in expected}
    if spec.kind == "counter":
        assert {float(one["value"][1]) for one in found} == {0.0}


def test_four_plugins_are_registered(prometheus: Prometheus) -> None:
    assert [float(one["value"][1]) for one in prometheus.series("ironpost_daemon_plugins_registered")] == [4.0]


def test_promtool_objects_to_nothing_else(daemon: DaemonProcess, tmp_path: Path) -> None:
    text = daemon.get("/metrics").text
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    objections = {line for line in (done.stdout + done.stderr).splitlines() if line.strip()}
    assert objections == FORCED_OBJECTIONS
    assert "_created" not in text

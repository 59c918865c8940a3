"""Every query of every panel, asked of a real Prometheus with the shipped configuration that scrapes a real daemon.

First while nothing happens, then under a load that includes all that can go wrong without other plugins.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import re
import signal
import socket
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from boards import Asked, of_annotations, of_panels
from contract.zoo.site import write_distribution
from daemon_process import DaemonProcess, eventually, free_port
from ironpost_core.metrics import SEVERITIES
from ironpost_daemon.demo_log import lines
from monitoring.pictures.substitute import substitute
from prometheus_server import Prometheus, prometheus_with

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

SHIPPED = Path(__file__).parents[2] / "monitoring" / "prometheus" / "prometheus.yml"
SCRAPE_INTERVAL = 15
#: Grafana asks for annotations at this distance, or a larger one.
MARK_STEP = 60
PANELS = list(of_panels())
MARKS = list(of_annotations())
#: Panels that only show something once their plugin does its work. The list shrinks with each and ends empty.
WAITING = {
    # ebpf
    "ironpost-overview: eBPF throughput",
    "ironpost-security: Blocked packets",
    "ironpost-security: Protocol distribution",
    "ironpost-security: Packets per second by protocol",
    "ironpost-security: Packets seen",
    "ironpost-security: Bytes seen",
    "ironpost-security: XDP time per packet",
    # guard
    "ironpost-overview: Monitored containers",
    "ironpost-overview: Isolation actions",
    "ironpost-security: Policy violations",
    "ironpost-security: Isolation success rate",
    "ironpost-security: Isolation actions by type",
    "ironpost-security: Guard at work",
    "ironpost-security: Policies",
    "every board: Isolations",
    "every board: Failed isolations",
    # sbom
    "ironpost-overview: CVE distribution",
    "ironpost-security: CVEs by severity",
    "ironpost-security: Critical CVEs",
    "ironpost-security: High CVEs",
    "ironpost-security: Scan duration p95",
    "ironpost-security: Scans per hour",
    "ironpost-security: Vulnerability database age",
    "ironpost-security: Packages scanned",
}
CONFIG = """
[alerts]
backlog = 20
queue_capacity = 50

[[alerts.sinks]]
type = "webhook"
name = "deaf"
url = "http://127.0.0.1:{nobody}/"

[log_pipeline]
batch_size = 10000
flush_interval = "10s"
buffer_capacity = 5000

[[log_pipeline.sources]]
type = "file"
paths = ["{folder}/auth.log"]

[[log_pipeline.sources]]
type = "syslog"
listen = "127.0.0.1:{udp}"
format = "syslog"
"""
#: Does what a third party's plugin may do wrong, as soon as there is a file called trouble.
GRUMPY = """
from pathlib import Path

HEARD = MetricSpec(name="grumpy_heard", kind="gauge", help="Alerts that it heard")

class Grumpy(Plugin):
    def ironpost_metrics(self):
        return (HEARD,)

    def ironpost_start(self, context):
        self.context = context
        context.metrics.read_with(self.read)
        context.spawn("fall", self.fall)
        context.spawn("shout", self.shout)

    def ironpost_alert(self, alert):
        raise RuntimeError("does not want to hear it")

    def read(self):
        if Path("trouble").exists():
            raise RuntimeError("does not want to say it")
        return {HEARD: 0}

    def fall(self):
        while not self.context.clock.wait(self.context.stopping, 2):
            if Path("trouble").exists():
                raise RuntimeError("fell")

    def shout(self):
        while not self.context.clock.wait(self.context.stopping, 1):
            for number in range(1000 if Path("trouble").exists() else 0):
                noise = Alert(rule="noise", title="Noise", severity=Severity.INFO, time=self.context.clock.now())
                self.context.alerts.publish(noise)
"""


@attrs.frozen
class Site:
    """What runs: a daemon, and the Prometheus that scrapes it as three hosts."""

    daemon: DaemonProcess
    prometheus: Prometheus
    udp: int
    targets: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, extra, udp = (
        tmp_path_factory.mktemp("daemon"),
        tmp_path_factory.mktemp("site"),
        free_port(socket.SOCK_DGRAM),
    )
    write_distribution(extra, "grumpy", "grumpy", GRUMPY, plugins={"grumpy": "grumpy:Grumpy"})
    write_distribution(extra, "gone", plugins={"gone": "gone_for_good:Gone"})
    (folder / "auth.log").touch()
    config = CONFIG.format(folder=folder, udp=udp, nobody=free_port())
    with (
        DaemonProcess(folder, config, env={"PYTHONPATH": str(extra)}) as daemon,
        _prometheus(daemon, targets := tmp_path_factory.mktemp("prometheus") / "targets") as prometheus,
    ):
        yield Site(daemon, prometheus, udp, targets)


@contextlib.contextmanager
def _prometheus(daemon: DaemonProcess, targets: Path) -> Iterator[Prometheus]:
    """The shipped configuration; only the addresses of a container network are those of this machine."""
    port = free_port()
    targets.mkdir()
    target = f"127.0.0.1:{daemon.port}"
    for host in ("second", "third"):
        (targets / f"{host}.yml").write_text(f"- targets: ['{target}']\n  labels: {{instance: {host}}}\n")
    config = SHIPPED.read_text("utf-8")
    moved = {"ironpost:9100": target, "localhost:9090": f"127.0.0.1:{port}", "/etc/prometheus/targets": str(targets)}
    for shipped, here in moved.items():
        assert shipped in config
        config = config.replace(shipped, here)
    with prometheus_with(config, targets.parent, port) as prometheus:
        eventually(lambda: len(prometheus.series("up == 1")) == 4, "all targets are up")
        eventually(lambda: _scrapes(prometheus) >= 2, "each was scraped twice", timeout=90)
        yield prometheus


def _scrapes(prometheus: Prometheus) -> float:
    found = prometheus.series("min(count_over_time(up[10m]))")
    return float(found[0]["value"][1]) if found else 0


def expression(asked: Asked, instance: str = ".+") -> str:
    step = SCRAPE_INTERVAL if asked.panel else MARK_STEP
    return str(substitute(asked.expr, step_seconds=step, instance=instance))


def values_of(found: list[Any]) -> list[float]:
    return [float(value) for one in found for _, value in one.get("values", [one.get("value", (0, "NaN"))])]


# -- while nothing happens ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def idle(site: Site) -> dict[Asked, list[Any]]:
    """What each query answers on an idle daemon, now and over the last minute."""
    now = time.time()
    return {
        asked: site.prometheus.series(expression(asked))
        + site.prometheus.courses(expression(asked), now - 60, now, SCRAPE_INTERVAL)
        for asked in [*PANELS, *MARKS]
    }


def test_no_query_is_refused_and_none_gives_what_is_no_number(idle):
    for asked, found in idle.items():
        assert all(map(math.isfinite, values_of(found))), asked.place


def test_a_panel_without_a_value_says_so_in_its_own_words(idle):
    silent = [asked for asked in PANELS if not idle[asked]]
    assert silent
    assert [one.place for one in silent if one.panel["fieldConfig"]["defaults"]["noValue"] == "no data"] == []


def test_what_depends_on_a_closed_set_of_labels_has_all_its_series_from_the_start(idle):
    by_severity = [asked for asked in PANELS if asked.legend in SEVERITIES]
    assert len(by_severity) == 3 * len(SEVERITIES)
    assert [asked.place for asked in by_severity if not idle[asked]] == []
    (by_action,) = (asked for asked in PANELS if asked.legend == "{{action}} {{result}}")
    assert len({frozenset(one["metric"].items()) for one in idle[by_action]}) == 6


def test_nothing_is_marked(idle):
    assert [asked.place for asked in MARKS if idle[asked]] == []


def test_a_host_can_be_chosen(site):
    (plugins,) = (asked for asked in PANELS if asked.place == "ironpost-overview: Active plugins")
    assert values_of(site.prometheus.series(expression(plugins))) == [15.0]
    assert values_of(site.prometheus.series(expression(plugins, "second"))) == [5.0]
    assert values_of(site.prometheus.series(expression(plugins, "ironpost-daemon"))) == [5.0]
    assert site.prometheus.series(expression(plugins, "nobody")) == []


def test_other_programs_are_not_taken_for_the_daemon(site):
    assert site.prometheus.series("process_open_fds{job='prometheus'}")
    (asked,) = (asked for asked in PANELS if asked.title == "Open descriptors")
    assert {one["metric"]["instance"] for one in site.prometheus.series(expression(asked))} == {
        "ironpost-daemon",
        "second",
        "third",
    }


# -- under load ---------------------------------------------------------------------------------------------------


@attrs.define
class Load:
    """Writes a log with attackers in it and sends datagrams, more than fit, some of them no syslog."""

    site: Site
    stopping: threading.Event = attrs.field(factory=threading.Event)

    def write(self) -> None:
        story = itertools.cycle(list(lines(7, datetime.now(UTC), 20_000)))
        with (self.site.daemon.folder / "auth.log").open("a", encoding="utf-8") as log:
            while not self.stopping.wait(0.2):
                log.writelines(f"{next(story)}\n" for _ in range(400))
                log.flush()

    def send(self) -> None:
        rng, target = random.Random(7), ("127.0.0.1", self.site.udp)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not self.stopping.wait(1):
                for number in range(6_000):
                    sender.sendto(rng.choice((b"<38>app: %d" % number, b"no syslog at all")), target)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=work, name=work.__name__) for work in (self.write, self.send)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()


def break_things(daemon: DaemonProcess) -> None:
    """A reload that works, one that doesn't, and a history that can't be written for a while."""
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: daemon.metrics()['ironpost_daemon_config_reloads_total{result="success"}'] == 1, "a reload")
    good = daemon.config.read_text("utf-8")
    daemon.config.write_text(good + "\n[nonsense]\n")
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: daemon.metrics()['ironpost_daemon_config_reloads_total{result="failure"}'] == 1, "no reload")
    daemon.config.write_text(good)
    failures = "ironpost_daemon_history_failures_total"
    with contextlib.closing(sqlite3.connect(daemon.data_dir / "history.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        daemon.until(lambda: daemon.metrics()[failures] >= 1, "the history can't be written")
        other.execute("ROLLBACK")


@pytest.fixture(scope="module")
def loaded(site: Site, idle: dict[Asked, list[Any]]) -> dict[str, set[float]]:
    """Panel or mark → every value that it showed from the beginning of the load on, until all showed something."""
    begun = time.time()
    seen: dict[str, set[float]] = defaultdict(set)

    def everything_shows() -> bool:
        now = time.time()
        for asked in [*PANELS, *MARKS]:
            found = site.prometheus.courses(expression(asked), begun, now, SCRAPE_INTERVAL)
            seen[asked.place] |= set(values_of(found)) | set(values_of(site.prometheus.series(expression(asked))))
        return all(shows(seen[asked.place]) for asked in [*PANELS, *MARKS] if asked.place not in WAITING)

    (site.daemon.folder / "trouble").touch()
    (site.targets / "third.yml").unlink()  # a host that is not heard from any more
    with Load(site).running():
        break_things(site.daemon)
        with contextlib.suppress(AssertionError):  # the tests below say which one did not
            eventually(everything_shows, timeout=120, pause=3)
    return seen


def shows(values: set[float]) -> bool:
    """Whether a panel showed anything but 0."""
    return bool(values - {0.0})


def test_each_panel_of_daemon_and_log_pipeline_shows_the_load(loaded):
    assert sorted(place for place, values in loaded.items() if not shows(values) and place not in WAITING) == []


def test_only_those_wait_that_show_nothing_yet(loaded):
    known = {asked.place for asked in [*PANELS, *MARKS]}
    assert sorted(place for place in WAITING if place not in known or shows(loaded[place])) == []


def test_no_value_is_no_number_under_load_either(loaded):
    assert [place for place, values in loaded.items() if not all(map(math.isfinite, values))] == []


def test_series_are_called_by_labels_that_they_have(site, loaded):
    for asked in PANELS:
        for one in site.prometheus.series(expression(asked)):
            missing = set(re.findall(r"\{\{(\w+)\}\}", asked.legend)) - one["metric"].keys()
            assert not missing, asked.place


def test_a_third_partys_plugin_is_on_the_plugins_board_as_ours_are(site, loaded):
    for title in ("Plugins up", "Restarts", "Alerts by plugin", "Alert queue", "Alerts refused", "Alerts dropped"):
        (asked,) = (one for one in PANELS if one.place == f"ironpost-plugins: {title}")
        modules = {one["metric"]["module"] for one in site.prometheus.series(expression(asked))}
        assert {"grumpy", "logpipe"} <= modules, title


def test_a_reload_is_marked_on_its_host(site, loaded):
    (asked,) = (one for one in MARKS if one.place == "every board: Reloads")
    found = site.prometheus.courses(expression(asked), time.time() - 300, time.time(), MARK_STEP)
    assert {one["metric"]["instance"] for one in found} >= {"ironpost-daemon", "second"}

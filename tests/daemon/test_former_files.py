"""Whole files of the first design: read with warnings alone, by the operator's tool and by a real daemon."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon_process import DaemonProcess, free_port, not_started
from ironpost_core import Section
from ironpost_core.config import Loaded, load
from ironpost_daemon.configuration import DAEMON
from ironpost_daemon.references import installed

FILE = """\
# One host, as it was set up for the program before.
[general]
log_level = "warn"
log_format = "pretty"
data_dir = "FOLDER/data"
pid_file = "FOLDER/run/former.pid"

[ebpf]
enabled = false
interface = "eth7"
xdp_mode = "skb"
ring_buffer_size = 262144
blocklist_max_entries = 10000

[log_pipeline]
enabled = true
sources = ["syslog", "file"]
syslog_bind = "127.0.0.1:PORT"
watch_paths = ["FOLDER/watched.log"]
batch_size = 100
flush_interval_secs = 1

[log_pipeline.storage]
postgres_url = "postgresql://me:hunter2@127.0.0.1:5432/alerts"
redis_url = "redis://:hunter2@127.0.0.1:6379"
retention_days = 14

[container]
enabled = true
docker_socket = "unix://FOLDER/docker.sock"
poll_interval_secs = 10
policy_path = "FOLDER/policies"
auto_isolate = false

[sbom]
enabled = true
scan_dirs = ["FOLDER/app"]
vuln_db_update_hours = 24
vuln_db_path = "FOLDER/vulns"
min_severity = "high"
output_format = "cyclonedx"
"""
WARNED = {
    3: "general.log_level",
    4: "general.log_format",
    10: "ebpf.interface",
    11: "ebpf.xdp_mode",
    12: "ebpf.ring_buffer_size",
    13: "ebpf.blocklist_max_entries",
    17: "log_pipeline.sources",
    18: "log_pipeline.syslog_bind",
    19: "log_pipeline.watch_paths",
    21: "log_pipeline.flush_interval_secs",
    24: "log_pipeline.storage.postgres_url",
    25: "log_pipeline.storage.redis_url",
    26: "log_pipeline.storage.retention_days",
    30: "container.docker_socket",
    31: "container.poll_interval_secs",
    32: "container.policy_path",
    33: "container.auto_isolate",
    37: "sbom.scan_dirs",
    38: "sbom.vuln_db_update_hours",
    39: "sbom.vuln_db_path",
    41: "sbom.output_format",
}


@pytest.fixture(scope="module")
def sections() -> list[Section[Any]]:
    return [*DAEMON, *installed().sections()]


@pytest.fixture
def syslog_port() -> int:
    return free_port(socket.SOCK_DGRAM)


@pytest.fixture
def process(tmp_path: Path, syslog_port: int) -> Iterator[DaemonProcess]:
    """A daemon that is not started yet, with the whole file."""
    (tmp_path / "app").mkdir()
    (tmp_path / "policies").mkdir()
    (tmp_path / "watched.log").touch()
    with not_started(tmp_path, of(tmp_path, syslog_port)) as process:
        yield process


def of(folder: Path, port: int) -> str:
    return FILE.replace("FOLDER", str(folder)).replace("PORT", str(port))


def read(text: str, sections: list[Section[Any]], **more: Any) -> Loaded:
    return load(text.encode(), file="f", sections=sections, **{"environ": {}, **more})


def plain(loaded: Loaded, *keys: str) -> dict[str, str]:
    """Some keys of the result as texts."""
    pairs = (key.split(".") for key in keys)
    return {f"{section}.{key}": str(getattr(loaded.values[section], key)) for section, key in pairs}


# -- what each key becomes --------------------------------------------------------------------------------------


def test_every_former_key_has_its_warning_and_no_other_key_has(sections):
    loaded = read(FILE.replace("PORT", "5514").replace("FOLDER", "/srv"), sections)
    assert [str(problem) for problem in loaded.problems] == []
    assert {warning.line: warning.where for warning in loaded.warnings} == WARNED
    assert len(loaded.warnings) == len(WARNED)
    assert "hunter2" not in repr(loaded)


def test_every_former_key_has_its_row_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = page.partition("## Files of the first design")[2].partition("<!-- generated")[0]
    assert [key for key in WARNED.values() if key.rpartition(".")[2] not in rows] == []


def test_the_section_metrics_is_the_same_as_before(sections):
    text = '[metrics]\nenabled = true\nlisten_addr = "0.0.0.0"\nport = 9200\nendpoint = "/m"\n'
    loaded = read(text, sections)
    assert (loaded.problems, loaded.warnings) == ((), ())
    assert plain(loaded, "metrics.listen_addr", "metrics.port", "metrics.endpoint") == {
        "metrics.listen_addr": "0.0.0.0",
        "metrics.port": "9200",
        "metrics.endpoint": "/m",
    }


@pytest.mark.parametrize(
    ("section", "former", "now"),
    [
        ("general", 'log_level = "trace"', 'log_level = "debug"'),
        ("general", 'log_level = "warn"', 'log_level = "warning"'),
        ("general", 'log_format = "pretty"', 'log_format = "text"'),
        ("ebpf", 'interface = "eth7"', 'interfaces = ["eth7"]'),
        ("ebpf", 'xdp_mode = "skb"', 'xdp_mode = "generic"'),
        ("ebpf", 'xdp_mode = "hw"', 'xdp_mode = "auto"'),
        ("ebpf", "blocklist_max_entries = 7", "max_bans = 7"),
        ("ebpf", "ring_buffer_size = 7", ""),
        ("container", 'docker_socket = "unix:///run/x.sock"', 'docker_socket = "/run/x.sock"'),
        ("container", 'policy_path = "/p"', 'policy_dir = "/p"'),
        ("container", 'policy_path = "/p/policy.toml"', ""),
        ("container", "auto_isolate = false", "dry_run = true"),
        ("container", "poll_interval_secs = 7", ""),
        ("sbom", 'scan_dirs = ["/a", "/b"]', 'targets = ["/a", "/b"]'),
        ("sbom", 'vuln_db_path = "/v"', ""),
        ("sbom", "vuln_db_update_hours = 7", ""),
        ("sbom", 'output_format = "spdx"', ""),
    ],
)
def test_a_former_key_means_what_todays_key_means(sections, section, former, now):
    loaded, expected = (read(f"[{section}]\n{line}\n", sections) for line in (former, now))
    assert (loaded.problems, expected.problems, expected.warnings) == ((), (), ())
    assert loaded.values == expected.values
    assert loaded.origins == expected.origins
    (warning,) = loaded.warnings
    assert (warning.line, warning.where) == (2, f"{section}.{former.partition(' ')[0]}")
    assert (now or "does nothing any more") in str(warning)


@pytest.mark.parametrize(
    "line",
    [
        'log_level = "debug"',
        'log_level = "info"',
        'log_format = "json"',
        'xdp_mode = "native"',
        'docker_socket = "/var/run/docker.sock"',
        'min_severity = "medium"',
    ],
)
def test_what_is_written_as_before_brings_no_warning(sections, line):
    section = {"log": "general", "xdp": "ebpf", "docker": "container", "min": "sbom"}[line.partition("_")[0]]
    loaded = read(f"[{section}]\n{line}\n", sections)
    assert (loaded.problems, loaded.warnings) == ((), ())


@pytest.mark.parametrize("environ", [{}, {"IRONPOST_CONTAINER_DRY_RUN": "false"}])
def test_a_former_file_never_has_containers_isolated_for_real(sections, environ):
    loaded = read("[container]\nauto_isolate = true\n", sections, environ=environ)
    assert loaded.values["container"].dry_run is not bool(environ)
    assert loaded.origins["container.dry_run"] == ("environment" if environ else "default")
    (warning,) = loaded.warnings
    assert "dry_run = false" in warning.remedy


@pytest.mark.parametrize(
    ("section", "lines", "problem"),
    [
        ("ebpf", 'interface = "a"\ninterfaces = ["b"]', "interface: is a former name of interfaces, which is set too"),
        ("ebpf", "interface = 5", "interface: found 5 (expected a text; put it in quotes)"),
        ("ebpf", "blocklist_max_entries = 0", "blocklist_max_entries: found 0 (expected a value from 1 to 1000000)"),
        ("ebpf", 'xdp_mode = "skbb"', 'xdp_mode: found "skbb" (expected "auto", "native" or "generic")'),
        ("ebpf", 'intrfaces = ["a"]', 'intrfaces: unknown key (did you mean "interfaces"?)'),
        ("container", "auto_isolate = true\ndry_run = false", "auto_isolate: is a former name of dry_run"),
        ("container", 'auto_isolate = "true"', 'auto_isolate: found "true" (expected true or false; remove the quotes'),
        ("container", "policy_path = 5", "policy_path: found 5 (expected a path; put it in quotes)"),
        ("container", 'policy_path = "a.toml"\npolicy_dir = "/p"', "policy_path: is a former name of policy_dir"),
        ("container", 'docker_socket = "unix://"', 'docker_socket: found "" (expected a path)'),
        ("sbom", 'scan_dirs = "/a"', 'scan_dirs: found "/a" (expected a list, each item a path'),
        ("sbom", 'scan_dirs = ["/a", ""]', 'scan_dirs[1]: found "" (expected a path)'),
        ("sbom", 'vuln_db_path = "/a"\nvulndb = "/b"', "vuln_db_path: is a former name of vulndb, which is set too"),
    ],
)
def test_what_cannot_be_used_is_one_error_at_the_line_of_the_key_that_was_written(sections, section, lines, problem):
    (found,) = read(f"[{section}]\n{lines}\n", sections).problems
    assert str(found).startswith(f"f:2: {section}.{problem}")


# -- the operator's tool and the daemon -------------------------------------------------------------------------


def test_validate_finds_the_file_good_and_prints_the_warnings(process):
    done = process.ironpost("config", "validate")
    assert (done.returncode, done.stdout) == (0, f"{process.config}: good\n")
    lines = done.stderr.splitlines()
    assert len(lines) == len(WARNED)
    assert all(line.startswith(f"warning: {process.config}:") for line in lines)
    assert "hunter2" not in done.stderr
    found = process.ironpost_json("config", "validate")
    assert (found["problems"], len(found["warnings"])) == ([], len(WARNED))


def test_show_gives_the_values_in_todays_terms_and_their_origin(process, tmp_path):
    shown = process.ironpost_json("config", "show")
    assert shown["ebpf"]["interfaces"] == ["eth7"]
    assert [source["type"] for source in shown["log_pipeline"]["sources"]] == ["syslog", "file"]
    assert shown["container"]["docker_socket"] == str(tmp_path / "docker.sock")
    assert "hunter2" not in json.dumps(shown)
    origins = process.ironpost_json("config", "show", "--origins")
    for key in ("ebpf.interfaces", "log_pipeline.sources", "log_pipeline.flush_interval", "sbom.targets"):
        assert origins[key] == "file"
    assert origins["sbom.vulndb"] == "default"


def life_of(plugin: str, process: DaemonProcess) -> str:
    return next(str(each["life"]) for each in process.ironpost_json("plugins") if each["name"] == plugin)


def collected(process: DaemonProcess) -> float:
    return process.metrics()["ironpost_log_pipeline_logs_collected_total"]


def test_a_real_daemon_runs_with_the_file_and_says_what_became_of_each_key(process, tmp_path, syslog_port):
    process.start()
    for key in WARNED.values():
        assert process.log.count(f" {key}: ") == 1, process.log
    assert "hunter2" not in process.log
    process.until(lambda: life_of("logpipe", process) == "running")
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"<13>Nov  3 10:00:00 h app: by the network", ("127.0.0.1", syslog_port))
    process.until(lambda: collected(process) == 1, "the one datagram is there")
    with (tmp_path / "watched.log").open("a") as watched:

        def line_is_read() -> bool:
            print("from the file", file=watched, flush=True)
            return collected(process) > 1

        process.until(line_is_read)
    assert process.terminate() == 0


def test_a_reload_takes_former_keys_and_a_bad_one_changes_nothing(process, tmp_path, syslog_port):
    process.start()
    assert all(outcome in ("unchanged", "reloaded") for outcome in process.ironpost_json("reload").values())
    text = of(tmp_path, syslog_port)
    process.configure(text.replace('log_level = "warn"', 'log_level = "trace"'))
    assert process.ironpost_json("reload")["general"] == "reloaded"
    process.configure(text.replace("flush_interval_secs = 1", "flush_interval_secs = 20"))
    done = process.ironpost("reload")
    assert done.returncode == 1
    assert "log_pipeline.flush_interval_secs: found 20s" in done.stdout + done.stderr
    assert process.get("/ready").status == 200


def test_a_daemon_does_not_start_with_a_value_that_was_never_one(process, tmp_path, syslog_port):
    process.configure(of(tmp_path, syslog_port).replace('log_level = "warn"', 'log_level = "loud"'))
    process.start(wait=False)
    assert process.wait() == 78
    assert "general.log_level: found " in process.log

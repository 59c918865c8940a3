"""The files for containers: what Compose, promtool and ironpost itself make of them, and what Grafana is given."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import docker_engine
from ironpost_logpipe.config import USUAL_LOGS
from real import program

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "monitoring"
FILES = sorted(FOLDER.glob("docker-compose*.yml"))
COMBINATIONS = [(), ("host",), ("docker",), ("host", "docker"), ("host", "ebpf"), ("host", "ebpf", "docker")]
# Our image is built here, so its tag is ours.
PINNED = {"ironpost:latest", "prom/prometheus:v2.54.1", "grafana/grafana:11.3.1"}
resolved = cache(docker_engine.resolved)


def ports(service: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """Address, port and the container's port with its protocol; Compose v1 writes texts, v2 mappings."""
    found = set()
    for one in service.get("ports", []):
        if isinstance(one, str):
            found.add(tuple(one.removesuffix("/tcp").split(":")))
        else:
            target = f"{one['target']}/{one['protocol']}".removesuffix("/tcp")
            found.add((one["host_ip"], str(one["published"]), target))
    return found


def mounts(service: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    """Target → source and whether it is read-only."""
    found = {}
    for one in service["volumes"]:
        if isinstance(one, str):
            source, target, mode = one.split(":")
            found[target] = (source, mode == "ro")
        else:
            found[one["target"]] = (one["source"], one.get("read_only", False))
    return found


@pytest.fixture(scope="module", params=[False, True], ids=["without .env", "with .env.example as .env"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("compose")
    for file in FILES:
        shutil.copy(file, copy)
    if request.param:
        shutil.copy(FOLDER / ".env.example", copy / ".env")
    return copy


@pytest.fixture
def ironpost() -> dict[str, Any]:
    service: dict[str, Any] = resolved(FOLDER)["ironpost"]
    return service


def variables_of(texts: Iterable[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"(?<!\$)\$\{?(\w+)", text)}


def test_the_example_names_each_variable_and_no_other() -> None:
    example = re.findall(r"^(\w+)=", (FOLDER / ".env.example").read_text(), re.MULTILINE)
    assert sorted(example) == sorted(variables_of(file.read_text() for file in FILES))


@pytest.mark.real
@pytest.mark.parametrize("overrides", COMBINATIONS, ids="+".join)
def test_every_combination_is_valid_and_the_example_holds_the_defaults(
    folder: Path, overrides: tuple[str, ...]
) -> None:
    expected = yaml.safe_dump(resolved(FOLDER, *overrides)).replace(str(REPOSITORY / "monitoring"), "HERE")
    found = yaml.safe_dump(resolved(folder, *overrides)).replace(str(folder), "HERE")
    assert found.replace(str(folder.parent), "ABOVE") == expected.replace(str(REPOSITORY), "ABOVE")
    assert {service["image"] for service in resolved(folder, *overrides).values()} == PINNED


@pytest.mark.real
class TestEveryService:
    @pytest.mark.parametrize("name", ["ironpost", "prometheus", "grafana"])
    def test_it_has_no_rights_and_a_bounded_log_that_no_syslog_gets(self, name: str) -> None:
        service = resolved(FOLDER)[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service.get("read_only", False) is (name != "grafana")
        assert not {"cap_add", "privileged", "devices", "pid", "ipc", "network_mode", "depends_on"} & set(service)
        assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
        assert service["restart"] == "unless-stopped"

    def test_only_ironpost_runs_unasked(self) -> None:
        assert {name: service.get("profiles") for name, service in resolved(FOLDER).items()} == {
            "ironpost": None,
            "prometheus": ["monitoring"],
            "grafana": ["monitoring"],
        }

    def test_ports_are_on_loopback_unless_asked(self) -> None:
        found = {name: ports(service) for name, service in resolved(FOLDER).items()}
        assert found == {
            "ironpost": {("127.0.0.1", "514", "1514/udp"), ("127.0.0.1", "9100", "9100")},
            "prometheus": {("127.0.0.1", "9090", "9090")},
            "grafana": {("127.0.0.1", "3000", "3000")},
        }

    def test_ports_follow_the_variables(self) -> None:
        names = ("IRONPOST_SYSLOG", "IRONPOST_METRICS", "PROMETHEUS", "GRAFANA")
        changed = {f"{name}_BIND": "192.0.2.1" for name in names}
        changed |= {f"{name}_PORT": str(7001 + number) for number, name in enumerate(names)}
        found = {port[:2] for service in resolved(FOLDER, **changed).values() for port in ports(service)}
        assert found == {("192.0.2.1", str(7001 + number)) for number in range(4)}


@pytest.mark.real
class TestIronpost:
    def test_environment(self, ironpost: dict[str, Any]) -> None:
        assert ironpost["environment"] == {
            "IRONPOST_METRICS_ENABLED": "true",
            "IRONPOST_METRICS_LISTEN_ADDR": "0.0.0.0",
            "IRONPOST_METRICS_PORT": "9100",
            "TZ": "UTC",
        }

    def test_it_sees_the_hosts_logs_and_writes_none(self, ironpost: dict[str, Any]) -> None:
        assert mounts(ironpost) == {
            "/etc/ironpost/ironpost.toml": (str(FOLDER / "ironpost/ironpost.toml"), True),
            "/etc/machine-id": ("/etc/machine-id", True),
            "/run/log/journal": ("/run/log/journal", True),
            "/var/lib/docker/containers": ("/var/lib/docker/containers", True),
            "/var/lib/ironpost": ("ironpost-data", False),
            "/var/log": ("/var/log", True),
        }
        assert ironpost["group_add"] == ["4"]

    def test_it_is_bounded_and_can_write_nowhere_else(self, ironpost: dict[str, Any]) -> None:
        assert ironpost["read_only"] is True
        assert [one.partition(":")[0] for one in ironpost["tmpfs"]] == ["/run/ironpost", "/tmp"]
        assert all({"nosuid", "nodev", "noexec"} <= set(re.split("[:,]", one)) for one in ironpost["tmpfs"])
        assert ironpost["pids_limit"] == 256
        assert str(ironpost["mem_limit"]) in ("512m", str(512 << 20))

    def test_it_gets_longer_to_stop_than_it_takes(self, ironpost: dict[str, Any]) -> None:
        assert (ironpost["stop_grace_period"], ironpost["init"]) == ("15s", True)

    def test_it_is_built_from_the_repository(self, ironpost: dict[str, Any]) -> None:
        arguments = {"IRONPOST_BUILD_COMMIT": "", "PIP_INDEX_URL": ""}
        assert ironpost["build"] == {
            "context": str(REPOSITORY),
            "dockerfile": "monitoring/Dockerfile",
            "args": arguments,
        }


@pytest.mark.real
class TestOverrides:
    def test_the_host_network_opens_nothing_to_the_world(self) -> None:
        services = resolved(FOLDER, "host")
        ironpost = services["ironpost"]
        assert ironpost["network_mode"] == "host"
        assert ironpost["environment"]["IRONPOST_METRICS_LISTEN_ADDR"] == "172.17.0.1"
        assert mounts(ironpost)["/etc/ironpost/ironpost.toml"] == (str(FOLDER / "ironpost/ironpost.host.toml"), True)
        assert not ironpost.get("hostname")
        hosts = services["prometheus"]["extra_hosts"]
        pairs = hosts.items() if isinstance(hosts, dict) else (re.split("[=:]", one, maxsplit=1) for one in hosts)
        assert {tuple(pair) for pair in pairs} == {
            ("host.docker.internal", "host-gateway"),
            ("ironpost", "host-gateway"),
        }
        assert not {"cap_add", "user", "privileged"} & set(ironpost)

    def test_ebpf_adds_two_capabilities_for_a_user_that_is_not_root(self) -> None:
        ironpost = resolved(FOLDER, "host", "ebpf")["ironpost"]
        assert ironpost["cap_drop"] == ["ALL"]
        # The last two are for setpriv, which drops them.
        assert ironpost["cap_add"] == ["BPF", "NET_ADMIN", "SETPCAP", "SETUID"]
        program_, *options, command = ironpost["entrypoint"]
        assert (program_, command) == ("setpriv", "ironpost-daemon")
        assert {"--reuid=10001", "--ambient-caps=-all,+bpf,+net_admin", "--bounding-set=-all,+bpf,+net_admin"} <= set(
            options
        )
        assert {"--reuid=10001", "--bounding-set=-all"} <= set(ironpost["healthcheck"]["test"])
        assert "privileged" not in ironpost

    def test_docker_adds_the_socket(self) -> None:
        ironpost = resolved(FOLDER, "docker", DOCKER_GID="998")["ironpost"]
        added = {target: mount for target, mount in mounts(ironpost).items() if "docker" in target}
        base = resolved(FOLDER)["ironpost"]
        assert added == {"/var/run/docker.sock": ("/var/run/docker.sock", False)} | {
            target: mount for target, mount in mounts(base).items() if "docker" in target
        }
        assert "998" in ironpost["group_add"]
        assert "cap_add" not in ironpost


@pytest.mark.real
class TestGrafana:
    def test_it_asks_for_a_password_and_calls_nobody(self) -> None:
        environment = resolved(FOLDER)["grafana"]["environment"]
        assert environment["GF_SECURITY_ADMIN_PASSWORD"] == ""
        off = ("USERS_ALLOW_SIGN_UP", "AUTH_ANONYMOUS_ENABLED", "ANALYTICS_REPORTING_ENABLED", "NEWS_NEWS_FEED_ENABLED")
        off += ("ANALYTICS_CHECK_FOR_UPDATES", "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "ANALYTICS_FEEDBACK_LINKS_ENABLED")
        assert {environment[f"GF_{name}"] for name in off} == {"false"}
        on = ("SECURITY_DISABLE_GRAVATAR", "PLUGINS_PREINSTALL_DISABLED")
        assert {environment[f"GF_{name}"] for name in on} == {"true"}

    def test_it_finds_what_is_provisioned(self) -> None:
        grafana = resolved(FOLDER)["grafana"]
        found = {target: Path(source) for target, (source, read_only) in mounts(grafana).items() if read_only}
        assert all(source.is_dir() for source in found.values())
        (provider,) = read_yaml("grafana/provisioning/dashboards/ironpost.yml")["providers"]
        home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
        assert (str(home.parent), home.name) == (provider["options"]["path"], "ironpost-overview.json")
        assert (found[str(home.parent)] / home.name).is_file()

    @pytest.mark.parametrize(("password", "expected"), [("", (1, "")), ("secret", (0, "started\n"))])
    def test_it_does_not_start_without_a_password(
        self, tmp_path: Path, password: str, expected: tuple[int, str]
    ) -> None:
        shell, option, script = resolved(FOLDER)["grafana"]["entrypoint"]
        command = [shell, option, script.replace("$$", "$").replace("/run.sh", "echo started")]
        done = subprocess.run(command, env={"GF_SECURITY_ADMIN_PASSWORD": password}, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == expected
        assert ("GRAFANA_ADMIN_PASSWORD" in done.stderr) == (not password)


def read_yaml(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def test_the_datasource_is_the_one_of_the_dashboards() -> None:
    assert read_yaml("grafana/provisioning/datasources/prometheus.yml")["datasources"] == [
        {
            "name": "Prometheus",
            "uid": "ironpost-prometheus",
            "type": "prometheus",
            "access": "proxy",
            "url": "http://prometheus:9090",
            "isDefault": True,
            "editable": False,
            "jsonData": {"timeInterval": "15s", "httpMethod": "POST"},
        }
    ]


def test_dashboards_are_provisioned_into_a_folder() -> None:
    assert read_yaml("grafana/provisioning/dashboards/ironpost.yml")["providers"] == [
        {
            "name": "ironpost",
            "folder": "Ironpost",
            "type": "file",
            "disableDeletion": False,
            "updateIntervalSeconds": 30,
            "allowUiUpdates": True,
            "options": {"path": "/var/lib/grafana/dashboards", "foldersFromFilesStructure": False},
        }
    ]


def of_ironpost(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / "ironpost" / name).read_text())


@pytest.mark.parametrize(
    ("name", "address"), [("ironpost.toml", "0.0.0.0:1514"), ("ironpost.host.toml", "127.0.0.1:1514")]
)
def test_the_configuration_reads_the_usual_logs_and_syslog(name: str, address: str) -> None:
    tool = Path(sys.executable).with_name("ironpost")
    done = subprocess.run(
        [tool, "config", "validate", FOLDER / "ironpost" / name], env=docker_engine.ENVIRONMENT, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert of_ironpost(name)["log_pipeline"]["sources"] == [
        {"type": "file", "name": "host", "paths": list(USUAL_LOGS)},
        {"type": "syslog", "listen": address, "protocol": "udp"},
    ]
    assert set(of_ironpost(name)) == {"log_pipeline"}


def test_prometheus_scrapes_ironpost_further_hosts_and_itself() -> None:
    config = read_yaml("prometheus/prometheus.yml")
    assert config["global"] == {"scrape_interval": "15s", "evaluation_interval": "15s", "scrape_timeout": "10s"}
    assert config["scrape_configs"] == [
        {
            "job_name": "ironpost",
            "scrape_interval": "15s",
            "metrics_path": "/metrics",
            "static_configs": [{"targets": ["ironpost:9100"], "labels": {"instance": "ironpost-daemon"}}],
            "file_sd_configs": [{"files": ["/etc/prometheus/targets/*.yml", "/etc/prometheus/targets/*.json"]}],
        },
        {"job_name": "prometheus", "static_configs": [{"targets": ["localhost:9090"]}]},
    ]


@pytest.mark.real
@pytest.mark.parametrize("credentials", ["none", "basic_auth", "authorization"])
def test_promtool_likes_the_configuration_and_what_it_shows(tmp_path: Path, credentials: str) -> None:
    text = (FOLDER / "prometheus/prometheus.yml").read_text()
    if credentials != "none":
        left_out = {"basic_auth": "authorization", "authorization": "basic_auth"}[credentials]
        text = re.sub(rf"    # {left_out}:.*\n(    #   .*\n)+", "", text)
        text = re.sub(r"^    # (?=scheme:|tls_config:|basic_auth:|authorization:|  )", "    ", text, flags=re.MULTILINE)
        assert yaml.safe_load(text)["scrape_configs"][0][credentials]
    shutil.copytree(FOLDER / "prometheus/targets", tmp_path / "targets")
    shutil.copy(FOLDER / "prometheus/targets/hosts.yml.example", tmp_path / "targets/hosts.yml")
    for name in re.findall(r"/etc/prometheus/(ironpost-\S+)", text):
        (tmp_path / name).touch()
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("/etc/prometheus", str(tmp_path)))
    done = subprocess.run([program("promtool"), "check", "config", config], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # The pattern for JSON matches nothing.
    assert [line for line in done.stdout.splitlines() if "WARNING" in line and "json" not in line] == []

"""The image, built and run by a real engine with the compose file that ships; and what goes into it.

No image can be pulled, so the base is made of Debian's packages, and Prometheus is Debian's. The package index is a
folder of this machine behind a web server, which is what a mirror is, too.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from daemon_process import eventually, parse_metrics
from docker_engine import DEBIAN, Engine, compose, resolved
from real import need_root, program

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "monitoring"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
COMMIT = "0123456789ab"
# What must not get into the build's context, wherever it lies.
DECOYS = (".env", ".git/config", ".venv/secret", "secret.pem", "plugins/guard/.env", "monitoring/.env")
DECOYS += ("monitoring/prometheus/targets/hosts.yml", "tests/secret", "ironpost-daemon/dist/secret")
pytestmark = pytest.mark.timeout(600)  # making and building images takes a minute or two


def pins(lock: Path) -> dict[str, str]:
    """Name → its version and hashes."""
    text = re.sub(r"^\s*#.*\n| ;.*(?= \\)", "", lock.read_text(), flags=re.MULTILINE)
    return dict(re.findall(r"^([a-z0-9-]+)(==.*(?:\n .*)+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-build.lock"])
def test_what_others_made_is_pinned_as_it_is_tested(name: str) -> None:
    found, tested = pins(FOLDER / name), pins(REPOSITORY / "requirements.lock")
    assert {key: value for key, value in tested.items() if key in found} == found
    assert all(value.count("--hash=sha256:") for value in found.values())
    assert "://" not in (FOLDER / name).read_text()


def test_the_lock_holds_what_the_six_need_and_no_tool() -> None:
    found = set(pins(FOLDER / "requirements.lock"))
    needed = set()
    for file in (*REPOSITORY.glob("ironpost-*/pyproject.toml"), *REPOSITORY.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(file.read_text())["project"]
        needed |= {re.split("[^a-z0-9-]", one)[0] for one in project["dependencies"]}
    assert {name for name in needed if not name.startswith("ironpost-")} <= found
    assert not {"pytest", "ruff", "mypy", "hatchling", "coverage", "pip"} & found
    assert "hatchling" in pins(FOLDER / "requirements-build.lock")


def test_both_stages_have_the_same_pinned_base() -> None:
    assert re.findall("^(?:ARG|FROM) .*", DOCKERFILE, re.MULTILINE)[:2] == [
        f"ARG BASE_IMAGE={DEBIAN}",
        "FROM ${BASE_IMAGE} AS build",
    ]
    assert re.findall("^FROM (.*)", DOCKERFILE, re.MULTILINE) == ["${BASE_IMAGE} AS build", "${BASE_IMAGE}"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone as it would be after a commit, with things lying about in it that are nobody's business."""
    need_root()
    for name in ("dockerd", "debootstrap", "prometheus", "busybox"):
        program(name)
    copy = tmp_path_factory.mktemp("clone")
    listed = [program("git"), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, copy / name)
    for name in DECOYS:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("hunter2")
    (copy / "monitoring/.env").write_text("GRAFANA_ADMIN_PASSWORD=hunter2\n")
    return copy


@pytest.fixture(scope="module")
def index(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package index with what the image needs: what the locks name, and our six."""
    wheels, folder = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("index")
    machine = platform.machine()
    target = ["--implementation=cp", "--python-version=3.11", *(f"--abi={abi}" for abi in ("cp311", "abi3", "none"))]
    target += [f"--platform=manylinux_2_{minor}_{machine}" for minor in range(17, 37)]
    target += [f"--platform=manylinux2014_{machine}", "--only-binary=:all:"]
    pip = [sys.executable, "-m", "pip", "--quiet"]
    locks = [f"--requirement={tree / 'monitoring' / name}" for name in ("requirements.lock", "requirements-build.lock")]
    subprocess.run([*pip, "download", "--no-deps", "--require-hashes", *target, *locks, f"--dest={wheels}"], check=True)
    ours = [tree / "ironpost-core", tree / "ironpost-daemon", *(tree / "plugins").iterdir()]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={wheels}", *ours], check=True)
    for wheel in wheels.iterdir():
        project = folder / re.sub("[-_.]+", "-", wheel.name.partition("-")[0]).lower()
        project.mkdir(exist_ok=True)
        wheel.rename(project / wheel.name)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def built(tree: Path, index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an engine that has the images: `ironpost` from the clone, `exported` from the index."""
    folder, scratch = tmp_path_factory.mktemp("engine"), tmp_path_factory.mktemp("scratch")
    with Engine(folder, online=True) as engine:
        engine.import_debian(scratch)
        service = resolved(tree / "monitoring")["ironpost"]
        file = Path(service["build"]["context"]) / service["build"]["dockerfile"]
        context = [f"--file={file}", service["build"]["context"]]
        arguments = [f"--build-arg=PIP_INDEX_URL={index}", f"--build-arg=IRONPOST_BUILD_COMMIT={COMMIT}"]
        build = ["build", "--network=host", *arguments]
        engine.docker(*build, f"--tag={service['image']}", *context)
        engine.docker(*build, "--tag=stage:build", "--target=build", *context)

        tool = Path(sys.executable).with_name("ironpost")
        subprocess.run([tool, "monitoring", "export", scratch / "exported"], check=True, capture_output=True)
        (scratch / "pip.conf").write_text(f"[global]\nindex-url = {index}\n")
        secret = f"--secret=id=pip.conf,src={scratch / 'pip.conf'}"
        engine.docker("build", "--network=host", secret, "--tag=ironpost:exported", str(scratch / "exported"))

        prometheus = scratch / "prometheus"
        prometheus.mkdir()
        for name in ("prometheus", "busybox"):
            shutil.copy(program(name), prometheus)
        (prometheus / "Dockerfile").write_text(
            f"FROM {DEBIAN}\nCOPY prometheus busybox /bin/\n"
            "RUN ln -s busybox /bin/wget && install -d -o nobody /prometheus\n"
            'USER nobody\nENTRYPOINT ["/bin/prometheus"]\n'
        )
        engine.docker(
            "build", "--network=host", f"--tag={resolved(tree / 'monitoring')['prometheus']['image']}", str(prometheus)
        )
    yield folder
    shutil.rmtree(folder)  # pytest would keep a gigabyte of each run


class Host:
    """A host of its own with the engine, the compose files and logs."""

    def __init__(self, engine: Engine, folder: Path, logs: Path) -> None:
        self.engine, self.folder, self.logs = engine, folder, logs

    def compose(self, *args: str) -> str:
        return self.engine.run([*compose(), *args], cwd=self.folder)

    def container(self, service: str = "ironpost") -> str:
        return self.compose("ps", "-q", service).split()[-1]

    def exec(self, *command: str) -> str:
        return self.engine.docker("exec", self.container(), *command)

    def inspect(self, what: str, service: str = "ironpost") -> str:
        return self.engine.docker("inspect", "--format", f"{{{{{what}}}}}", self.container(service)).strip()

    def get(self, address: str) -> str:
        """The answer, or nothing as long as there is none."""
        with contextlib.suppress(OSError), self.engine.network(), urllib.request.urlopen(address, timeout=5) as answer:
            return str(answer.read().decode())
        return ""

    def listening(self) -> set[str]:
        """Addresses with ports on which anything listens on the host."""
        lines = self.engine.run(self.engine.inside("ss", "--listening", "--tcp", "--udp", "--numeric", "--no-header"))
        return {line.split()[4] for line in lines.splitlines()}

    def up(self, *services: str) -> None:
        self.compose("--profile=monitoring", "up", "--detach", "--no-build", *services)
        eventually(lambda: self.get("http://127.0.0.1:9100/ready"), "ironpost is ready")


@pytest.fixture(scope="module")
def host(built: Path, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    logs = tmp_path_factory.mktemp("log")
    logs.chmod(0o755)
    (logs / "auth.log").touch(0o640)
    os.chown(logs / "auth.log", 0, 4)
    with Engine(built, mounts={"/var/log": logs}) as engine:
        machine = Host(engine, tree / "monitoring", logs)
        try:
            machine.up("ironpost", "prometheus")
            yield machine
        finally:
            machine.compose("--profile=monitoring", "down", "--volumes")


@pytest.mark.real
class TestTheImage:
    def test_its_context_holds_nothing_else(self, host: Host) -> None:
        listed = host.engine.docker("run", "--rm", "--entrypoint=find", "stage:build", "/context", "-type", "f")
        files = {line.removeprefix("/context/") for line in listed.splitlines()}
        assert {"VERSION", "ironpost-daemon/pyproject.toml", "monitoring/.env.example"} <= files
        assert not files & set(DECOYS)
        assert {name.split("/")[0] for name in files} == {
            *("VERSION", "requirements.lock", "ironpost-core", "ironpost-daemon", "plugins", "monitoring")
        }

    def test_it_holds_neither_installer_nor_address_of_the_index(self, host: Host, index: str) -> None:
        script = "! command -v pip pip3 gcc git; ls /opt/ironpost/lib/python3*/site-packages; ls /var/lib/apt/lists"
        listed = host.exec("sh", "-c", script).split()
        assert "ironpost_daemon" in listed
        assert not {"pip", "setuptools", "hatchling"} & set(listed)
        for image in ("ironpost:latest", "ironpost:exported"):
            said = host.engine.docker("history", "--no-trunc", image) + host.engine.docker("inspect", image)
            assert index.removeprefix("http://") not in said
            search = ["run", "--rm", "--user=0", "--entrypoint=sh", image, "-c"]
            assert (
                host.engine.docker(*search, f"! grep -rIl {index.removeprefix('http://')} /etc /opt /root /var") == ""
            )

    def test_the_exported_folder_gives_the_same(self, host: Host) -> None:
        listing = "cd /opt/ironpost/lib/python3*/site-packages; ls"
        clone, exported = (
            host.engine.docker("run", "--rm", "--entrypoint=sh", image, "-c", listing)
            for image in ("ironpost:latest", "ironpost:exported")
        )
        assert clone == exported

    def test_it_says_what_it_was_built_from(self, host: Host) -> None:
        series = parse_metrics(host.get("http://127.0.0.1:9100/metrics"))
        (build,) = (name for name in series if name.startswith("ironpost_daemon_build_info"))
        assert f'commit="{COMMIT}"' in build


@pytest.mark.real
class TestTheContainer:
    def test_it_has_no_rights(self, host: Host) -> None:
        pid = host.exec("cat", "/run/ironpost/ironpost.pid").strip()
        status = dict(line.split(":\t", 1) for line in host.exec("cat", f"/proc/{pid}/status").splitlines())
        assert status["Name"] == "ironpost-daemon"
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"10001"}
        assert set(status["Groups"].split()) == {"4", "10001"}
        assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")

    @pytest.mark.parametrize("place", ["/", "/etc/ironpost", "/opt/ironpost/bin", "/var/log", "/run/log/journal"])
    def test_it_can_write_to_its_own_folders_only(self, host: Host, place: str) -> None:
        assert host.exec("sh", "-c", f"touch {place}/x 2>&1 || touch /var/lib/ironpost/x /tmp/x") != ""

    def test_it_becomes_healthy(self, host: Host) -> None:
        eventually(lambda: host.inspect(".State.Health.Status") == "healthy", "the health check was good")

    def test_it_finds_attacks_in_datagrams_and_in_the_hosts_logs(self, host: Host) -> None:
        failed = "sshd[1]: Failed password for root from {} port 5022 ssh2"
        with host.engine.network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
            for _ in range(5):
                syslog.sendto(f"<38>Nov  3 10:00:00 web1 {failed.format('203.0.113.7')}".encode(), ("127.0.0.1", 514))
        with (host.logs / "auth.log").open("a") as log:
            log.writelines(f"{time.strftime('%b %e %T')} web1 {failed.format('198.51.100.9')}\n" for _ in range(5))
        for address in ("203.0.113.7", "198.51.100.9"):
            eventually(lambda about=address: about in host.exec("ironpost", "alerts"), f"an alert names {address}")

    def test_it_stops_when_asked_and_goes_on_with_its_history(self, host: Host) -> None:
        self.test_it_finds_attacks_in_datagrams_and_in_the_hosts_logs(host)
        before = host.exec("ironpost", "alerts", "--json")
        first = host.container()
        host.compose("stop", "ironpost")
        assert host.engine.docker("inspect", "--format={{.State.ExitCode}}", first).strip() == "0"
        host.compose("rm", "--force", "ironpost")
        host.up("ironpost")
        assert host.container() != first
        assert host.exec("ironpost", "alerts", "--json") == before


@pytest.mark.real
class TestPrometheus:
    def test_it_scrapes_ironpost_by_its_name(self, host: Host) -> None:
        question = "http://127.0.0.1:9090/api/v1/query?query=up%7Binstance%3D%22ironpost-daemon%22%7D%3D%3D1"
        eventually(lambda: '"ironpost"' in host.get(question), "the target is up")

    def test_it_becomes_healthy(self, host: Host) -> None:
        eventually(lambda: host.inspect(".State.Health.Status", "prometheus") == "healthy", "its health check was good")


@pytest.mark.real
def test_on_the_hosts_network_it_serves_dockers_bridge_alone(host: Host) -> None:
    """With the override; what Compose v2 discards of the base file, v1 refuses, so it is left out here."""
    base, short = host.folder / "docker-compose.yml", host.folder / "without-ports.yml"
    short.write_text(re.sub(r"(?m)^    ports:\n      - \S*IRONPOST.*\n      - \S*IRONPOST.*\n", "", base.read_text()))
    files = [f"--file={short}", f"--file={host.folder / 'docker-compose.host.yml'}", "--profile=monitoring"]
    try:
        host.compose(*files, "up", "--detach", "--no-build", "ironpost", "prometheus")
        expected = {"127.0.0.1:9090", "127.0.0.1:1514", "172.17.0.1:9100"}
        eventually(lambda: host.listening() == expected, "they listen there and nowhere else")
        TestPrometheus().test_it_scrapes_ironpost_by_its_name(host)
        assert host.exec("hostname").strip() == socket.gethostname()
    finally:
        host.up("ironpost", "prometheus")

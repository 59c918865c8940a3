"""A Docker engine of the tests' own: `with Engine(folder) as engine: engine.docker("run", …)`.

It lives in namespaces of its own: mounts, processes and, unless it is `online`, the network. So its networks, firewall
rules, mounts and containers vanish with it, whatever a test did, and only the folder stays. Images can't be pulled: see
`import_debian` and `import_busybox`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import yaml

from daemon_process import eventually
from real import missing, need_root, program, running

#: The tag that `monitoring/Dockerfile` builds on.
DEBIAN = "debian:12.12-slim"
BUSYBOX = "busybox:test"
# What Debian's slim images leave out, too.
_NOT_IN_SLIM = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
)
_CLONE_NEWNET = 0x40000000
#: Without the variables by which a developer's own engine and compose files are chosen.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "DOCKER_CONFIG")}


class Engine:
    """A dockerd with its containers.

    Args:
        folder: everything it keeps (images and volumes, too), so another one can go on there.
        online: whether it shares this machine's network, so that builds reach package indexes; then there are no
            bridges, only the networks host and none.
        mounts: folder of this machine → folder that containers see there in its place, such as /var/log.
    """

    def __init__(self, folder: Path, *, online: bool = False, mounts: Mapping[str, Path] | None = None) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self._online = online
        self._mounts = mounts or {}
        self._log = folder / "dockerd.log"
        # Not kept from engine to engine: process numbers are anybody's in new namespaces.
        self._exec = folder / "exec"
        self._pid_file = self._exec / "dockerd.pid"
        self._stack = contextlib.ExitStack()
        self._init = 0
        self.env = {
            **ENVIRONMENT,
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_BUILDKIT": "1",
            # The engine's own client first: one of another origin may come without BuildKit.
            "PATH": f"/usr/bin:{os.environ.get('PATH', '')}",
        }

    def __enter__(self) -> Self:
        need_root()
        self._exec.mkdir(parents=True, exist_ok=True)
        with self._stack:
            self._make_namespaces()
            self.start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            self.end()

    def _make_namespaces(self) -> None:
        """A first process that holds them; when it ends, the kernel ends all others in there."""
        flags = ["--mount", "--pid", "--mount-proc", "--fork", "--kill-child", *([] if self._online else ["--net"])]
        # Docker makes folders that it is to mount where there are none, such as /run/log/journal.
        scratch = [self._exec, *([] if self._online else [Path("/run")])]
        mounts = [f"mount -t tmpfs tmpfs {folder}" for folder in scratch]
        mounts += [f"mount --bind {there} {here}" for here, there in self._mounts.items()]
        script = "; ".join(["set -e", *mounts, "ip link set lo up", f"exec {program('docker-init')} -- sleep infinity"])
        holder = self._stack.enter_context(
            running([program("unshare"), *flags, "sh", "-c", script], self.folder / "namespaces.log")
        )
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
        self._init = int(eventually(children.read_text, "the namespaces are made").split()[0])
        self._stack.callback(self._end_init)
        command = Path(f"/proc/{self._init}/cmdline")
        eventually(lambda: command.read_bytes().startswith(program("docker-init").encode()), "they are ready")

    def _end_init(self) -> None:
        # unshare itself waits for it and heeds no SIGTERM.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._init, signal.SIGKILL)

    def inside(self, *command: str) -> list[str]:
        """That command in the engine's namespaces, as if on a host of its own."""
        return [program("nsenter"), f"--target={self._init}", "--net", "--mount", "--pid", "--", *command]

    def start(self) -> None:
        """Start dockerd (again)."""
        state = [f"--data-root={self.folder / 'data'}", f"--exec-root={self._exec}"]
        state += [f"--pidfile={self._pid_file}", f"--host=unix://{self.socket}"]
        offline = ["--bridge=none", "--iptables=false"] if self._online else []
        command = [program("dockerd"), *state, "--storage-driver=overlay2", *offline]
        self._dockerd = self._stack.enter_context(running(self.inside(*command), self._log))
        eventually(lambda: self._dockerd.poll() is not None or self._answers(), "dockerd answers")
        if self._dockerd.poll() is not None:
            missing(f"dockerd does not start here: {self._log.read_text()[-2000:]}")

    def _answers(self) -> bool:
        return subprocess.run(["docker", "version"], env=self.env, capture_output=True).returncode == 0

    def end(self, name: str = "TERM") -> None:
        """End dockerd: with TERM it stops its containers first, with KILL they stay."""
        if self._dockerd.poll() is None:
            subprocess.run(self.inside("sh", "-c", f"kill -{name} $(cat {self._pid_file})"), check=True)
            self._dockerd.wait(30)

    def docker(self, *args: str, **options: Any) -> str:
        """What `docker …` printed."""
        return self.run(["docker", *args], **options)

    def run(self, command: list[str], **options: Any) -> str:
        """What a command printed that finds this engine by its environment; fails with all it said."""
        done = subprocess.run(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        output = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{output[-8000:]}"
        return output

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Within it the calling thread stands on the engine's host: 127.0.0.1 is that one's."""
        libc = ctypes.CDLL(None, use_errno=True)
        here, engine = Path("/proc/thread-self/ns/net"), Path(f"/proc/{self._init}/ns/net")
        with here.open("rb") as own, engine.open("rb") as there:
            assert libc.setns(there.fileno(), _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(own.fileno(), _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())

    def import_debian(self, scratch: Path) -> None:
        """The base image, from the Debian mirror that this machine uses."""
        root = scratch / "debian"
        command = [program("debootstrap"), "--variant=minbase", "bookworm", str(root), _debian_mirror()]
        with (scratch / "debootstrap.log").open("wb") as log:
            done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
        assert done.returncode == 0, (scratch / "debootstrap.log").read_text()[-4000:]
        left_out = [f"--exclude=./{folder}/*" for folder in _NOT_IN_SLIM]
        with subprocess.Popen(["tar", "-C", str(root), *left_out, "-c", "."], stdout=subprocess.PIPE) as tar:
            self.docker("import", "-", DEBIAN, stdin=tar.stdout)
        assert tar.returncode == 0
        shutil.rmtree(root)

    def import_busybox(self) -> None:
        """The smallest image that can do anything."""
        archive = BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(program("busybox"), "bin/busybox")
            for name in ("sh", "sleep", "cat", "ls"):
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        self.docker("import", "-", BUSYBOX, input=archive.getvalue())


def _debian_mirror() -> str:
    """Where this machine's apt gets Debian 12 from."""
    command = [program("apt-get"), "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Identifier: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        release, _, address = line.partition(" ")
        if release == "bookworm":
            return address
    missing("this machine's apt has no mirror of Debian 12")
    raise AssertionError


def compose() -> list[str]:
    """Docker's Compose plugin where it is installed, else Compose v1."""
    found = shutil.which("docker", path=f"/usr/bin:{os.environ.get('PATH', '')}")
    if found and subprocess.run([found, "compose", "version"], capture_output=True).returncode == 0:
        return [found, "compose"]
    return [program("docker-compose")]


def resolved(folder: Path, *overrides: str, **variables: str) -> dict[str, Any]:
    """The services as Compose understands the files in `folder`: the base, the overrides, all profiles."""
    files = ["docker-compose.yml", *(f"docker-compose.{name}.yml" for name in overrides)]
    command = [*compose(), *(f"--file={name}" for name in files), "--profile=monitoring", "config"]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return services

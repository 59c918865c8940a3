"""A real systemd-journald of the test's own, in a mount namespace, so that nothing of the machine is touched.

Its files and sockets are in `folder`, where journalctl and whoever logs find them. What it stamps entries with is real:
the sender's user id by the kernel, and its unit by a control group of that name, which is made for the test.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from daemon_process import eventually
from real import missing, need_root, program, running

_JOURNALD = "/usr/lib/systemd/systemd-journald"
_MACHINE = "0123456789abcdef0123456789abcdef"
_SCRIPT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal /run/empty
echo {machine} > /run/machine-id
mount --bind /run/machine-id /etc/machine-id
mount --bind /run/empty /var/log
if [ -n "{boot}" ]; then
    echo {boot} > /run/boot-id
    mount --bind /run/boot-id /proc/sys/kernel/random/boot_id
fi
mount --bind {folder}/journal /run/log/journal
mount --bind {folder}/sockets /run/systemd/journal
printf '[Journal]\\nStorage=volatile\\nRateLimitIntervalSec=0\\nReadKMsg=no\\nAudit=no\\n{options}' \
    > /run/systemd/journald.conf.d/test.conf
exec {journald}
"""
_SENDER = """
import os, socket, sys
path, group, user = sys.argv[1:]
if group:
    with open(group + "/cgroup.procs", "w") as procs:
        procs.write(str(os.getpid()))
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
os.setgroups([])
os.setgid(int(user))
os.setuid(int(user))
out.connect(path)
print("ready", flush=True)
for line in sys.stdin.buffer:
    out.send(b"<38>sshd[%d]: %s" % (os.getpid(), line.rstrip(b"\\n")))
    print("sent", flush=True)
"""


class Journald:
    """The running journald.

    Attributes:
        directory: where its files are, for ``journalctl --directory``.
        syslog: its socket for syslog(3).
        native: its socket for entries with fields.
    """

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.directory = folder / "journal"
        self.syslog = folder / "sockets" / "dev-log"
        self.native = folder / "sockets" / "socket"
        self.process = process

    def send(self, **fields: bytes) -> None:
        """An entry by the native protocol, from this process: root in no service."""
        data = b"".join(
            name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n" for name, value in fields.items()
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(data, str(self.native))

    @contextlib.contextmanager
    def sender(self, user: int, unit: str = "") -> Iterator[Sender]:
        """A process of this user and unit that logs as sshd and lives on, so that journald can look at it."""
        with contextlib.ExitStack() as stack:
            group = stack.enter_context(control_group(unit)) if unit else ""
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", _SENDER, str(self.syslog), str(group), str(user)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            stack.callback(process.wait, 10)
            with process:
                sender = Sender(process)
                assert sender.answer() == b"ready\n"
                yield sender

    def entries(self, *arguments: str) -> list[str]:
        """The messages of the entries that journalctl shows."""
        command = [program("journalctl"), "--quiet", "--output=cat", f"--directory={self.directory}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=True).stdout.splitlines()


class Sender:
    """Logs as sshd."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def answer(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def log(self, message: str) -> None:
        """Log a line; returns when the kernel has it, before journald has."""
        assert self._process.stdin is not None
        self._process.stdin.write(message.encode() + b"\n")
        self._process.stdin.flush()
        assert self.answer() == b"sent\n"


@contextlib.contextmanager
def control_group(unit: str) -> Iterator[Path]:
    """An empty control group where systemd would have put a unit's processes."""
    root = next((each for each in map(Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")) if _is_unified(each)), None)
    if root is None:
        missing("no unified control groups are mounted")
    assert root is not None
    slice_ = root / "system.slice"
    made = [path for path in (slice_ / unit, slice_) if not path.exists()]
    try:
        (slice_ / unit).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        missing(f"control groups can't be made: {error}")
    try:
        yield slice_ / unit
    finally:
        for path in made:
            eventually(lambda path=path: _removed(path), f"{path} is empty")


def _is_unified(root: Path) -> bool:
    return (root / "cgroup.controllers").exists() and os.access(root, os.W_OK)


def _removed(path: Path) -> bool:
    with contextlib.suppress(OSError):
        path.rmdir()
    return not path.exists()


@contextlib.contextmanager
def journald_folder() -> Iterator[Path]:
    """A folder for journald that every user may reach: pytest's own are for their owner only."""
    folder = Path(tempfile.mkdtemp(prefix="journald-"))
    try:
        folder.chmod(0o755)
        for name in ("journal", "sockets"):
            (folder / name).mkdir(mode=0o755)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def journald(folder: Path, *, boot: str = "", options: str = "") -> Iterator[Journald]:
    """journald for the time of the test; several in turn on one `folder` are one journal, of another `boot`."""
    need_root()
    program("journalctl")
    if not Path(_JOURNALD).exists():
        missing("systemd-journald is not installed")
    script = _SCRIPT.format(machine=_MACHINE, boot=boot, folder=folder, options=options, journald=_JOURNALD)
    for path in (folder / "sockets").iterdir():
        path.unlink()
    with running([program("unshare"), "--mount", "sh", "-c", script], folder / "journald.out") as process:
        started = Journald(folder, process)

        def listens() -> bool:
            if process.poll() is not None:
                missing(f"journald can't run here: {(folder / 'journald.out').read_text()[-500:]}")
            return started.syslog.exists() and started.native.exists()

        eventually(listens, "journald listens")
        yield started

"""A real OpenSSH server and a real rsyslog: failed logins become one alert over UDP and one over the tailed file."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon_process import DaemonProcess, eventually, free_port
from real import missing, need_root, program, running

pytestmark = pytest.mark.real

ATTACKER = "127.0.0.7"
DEV_LOG = Path("/dev/log")


@contextlib.contextmanager
def system_log(target: Path) -> Iterator[None]:
    """Where syslog(3) writes is `target` for the time of the test."""
    if DEV_LOG.exists():
        missing("/dev/log belongs to a syslog daemon of this machine, which the test must not disturb")
    DEV_LOG.unlink(missing_ok=True)
    DEV_LOG.symlink_to(target)
    try:
        yield
    finally:
        DEV_LOG.unlink()


def rsyslog_config(folder: Path, udp_port: int) -> Path:
    config = folder / "rsyslog.conf"
    config.write_text(
        f"""
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/log" CreatePath="on")
auth,authpriv.* action(type="omfwd" target="127.0.0.1" port="{udp_port}" protocol="udp")
auth,authpriv.* action(type="omfile" file="{folder}/auth.log")
"""
    )
    return config


def sshd_config(folder: Path, port: int) -> Path:
    key = folder / "host_key"
    subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    config = folder / "sshd_config"
    config.write_text(
        f"""
ListenAddress 127.0.0.1
Port {port}
HostKey {key}
PidFile {folder}/sshd.pid
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxAuthTries 20
StrictModes no
"""
    )
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # OpenSSH's privilege separation wants it
    return config


def fail_to_log_in(folder: Path, port: int, user: str, times: int) -> None:
    answer = folder / "wrong-password"
    answer.write_text("#!/bin/sh\necho wrong\n")
    answer.chmod(0o700)
    options = {
        "UserKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "no",
        "PreferredAuthentications": "password",
        "NumberOfPasswordPrompts": str(times),
        "LogLevel": "ERROR",
    }
    command = [program("ssh"), "-b", ATTACKER, "-p", str(port), "-l", user, "-F", "/dev/null"]
    command += [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    env = {**os.environ, "SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
    done = subprocess.run([*command, "127.0.0.1", "true"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 255, done
    assert "Permission denied" in done.stderr


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def guesses(daemon: DaemonProcess) -> list[Any]:
    found: list[Any] = daemon.ironpost_json("alerts", "--rule", "ssh-password-guessing")
    return found


def test_failed_logins_become_one_alert_over_each_way(tmp_path: Path) -> None:
    need_root()
    udp, ssh_port = free_port(socket.SOCK_DGRAM), free_port()
    by_udp = DaemonProcess(
        tmp_path / "udp", f'[[log_pipeline.sources]]\ntype = "syslog"\nprotocol = "udp"\nlisten = "127.0.0.1:{udp}"\n'
    )
    by_file = DaemonProcess(
        tmp_path / "file", f'[[log_pipeline.sources]]\ntype = "file"\npaths = ["{tmp_path}/auth.log"]\n'
    )
    rsyslog = [program("rsyslogd"), "-n", "-f", str(rsyslog_config(tmp_path, udp)), "-i", str(tmp_path / "rsyslog.pid")]
    sshd = [program("sshd"), "-D", "-f", str(sshd_config(tmp_path, ssh_port))]
    with contextlib.ExitStack() as stack:
        stack.enter_context(by_udp)
        stack.enter_context(by_file)
        stack.enter_context(running(rsyslog, tmp_path / "rsyslog.out"))
        eventually((tmp_path / "log").exists, "rsyslog listens")
        stack.enter_context(system_log(tmp_path / "log"))
        stack.enter_context(running(sshd, tmp_path / "sshd.out"))
        eventually(lambda: listens(ssh_port), "sshd listens")
        fail_to_log_in(tmp_path, ssh_port, "root", 6)
        for daemon, trust in ((by_udp, "claimed"), (by_file, "local")):
            daemon.until(lambda daemon=daemon: guesses(daemon), "an alert of the password rule")
            alerts = guesses(daemon)
            assert len(alerts) == 1, alerts
            assert alerts[0]["observables"]["source_ip"] == {"value": ATTACKER, "trust": trust}
            assert alerts[0]["observables"]["user"]["value"] == "root"
            assert any("Failed password for root" in line for line in alerts[0]["evidence"])

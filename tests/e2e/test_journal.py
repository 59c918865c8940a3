"""A real journald and a real daemon: what services, users and root write becomes alerts of the right trust, once."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from daemon_process import DaemonProcess, eventually
from journald import Journald, journald, journald_folder
from real import program

pytestmark = pytest.mark.real

SSH = "sshd-ironpost-test.service"


def failed(address: str) -> str:
    return f"Failed password for root from {address} port 5022 ssh2"


def daemon_on(folder: Path, journal: Journald) -> DaemonProcess:
    return DaemonProcess(folder, f'[[log_pipeline.sources]]\ntype = "journal"\ndirectory = "{journal.directory}"\n')


def sources(daemon: DaemonProcess) -> dict[str, tuple[str, int]]:
    """Address → trust and count, of the alerts about guessed passwords."""
    alerts = daemon.ironpost_json("alerts", "--rule", "ssh-password-guessing")
    found = [(alert["observables"]["source_ip"], alert["count"]) for alert in alerts]
    assert len({source["value"] for source, _ in found}) == len(found), f"an alert is doubled: {alerts}"
    return {source["value"]: (source["trust"], count) for source, count in found}


def logpipe(daemon: DaemonProcess) -> Any:
    """What the daemon says about the plugin."""
    return next(each for each in daemon.ironpost_json("status")["plugins"] if each["name"] == "logpipe")


def entry_of(daemon: DaemonProcess) -> Any:
    """What it says about the source."""
    return logpipe(daemon)["details"]["sources"][0]


def follows(daemon: DaemonProcess) -> bool:
    return entry_of(daemon)["state"] == "reading"


def processed(daemon: DaemonProcess) -> float:
    return daemon.metrics()["ironpost_log_pipeline_logs_processed_total"]


def children(daemon: DaemonProcess) -> list[psutil.Process]:
    return [each for each in psutil.Process(daemon.pid).children() if "journalctl" in each.name()]


def test_alerts_have_the_trust_of_who_wrote_the_entries(tmp_path: Path) -> None:
    with journald_folder() as folder, journald(folder) as journal, daemon_on(tmp_path, journal) as daemon:
        daemon.until(lambda: follows(daemon), "it follows")
        with (
            journal.sender(0, SSH) as service,
            journal.sender(74, SSH) as services_user,
            journal.sender(33, "php-ironpost-test.service") as web,
            journal.sender(0) as root_by_hand,
        ):
            senders = {service: "192.0.2.1", services_user: "192.0.2.2", web: "192.0.2.3", root_by_hand: "192.0.2.4"}
            for sender, address in senders.items():
                for _ in range(5):
                    sender.log(failed(address))
            user = [program("setpriv"), "--reuid=1000", "--regid=1000", "--clear-groups", program("logger")]
            for _ in range(5):
                subprocess.run([*user, "--socket", str(journal.syslog), "-t", "sshd", failed("192.0.2.5")], check=True)
            daemon.until(lambda: len(sources(daemon)) == 5, "five alerts")
        assert {address: trust for address, (trust, _) in sources(daemon).items()} == {
            "192.0.2.1": "local",
            "192.0.2.2": "local",
            "192.0.2.3": "claimed",
            "192.0.2.4": "claimed",
            "192.0.2.5": "claimed",
        }


def test_forged_entries_do_not_add_up_with_real_ones(tmp_path: Path) -> None:
    with journald_folder() as folder, journald(folder) as journal, daemon_on(tmp_path, journal) as daemon:
        daemon.until(lambda: follows(daemon), "it follows")
        with journal.sender(1000) as user, journal.sender(0, SSH) as service:
            for _ in range(4):
                user.log(failed("192.0.2.1"))
            service.log(failed("192.0.2.1"))
            for _ in range(5):
                service.log(failed("192.0.2.2"))
            daemon.until(lambda: sources(daemon), "an alert")
        assert sources(daemon) == {"192.0.2.2": ("local", 5)}


def test_killed_between_the_fourth_and_the_fifth_failure_it_alerts_once(tmp_path: Path) -> None:
    with journald_folder() as folder, journald(folder) as journal, daemon_on(tmp_path, journal) as daemon:
        daemon.until(lambda: follows(daemon), "it follows")
        with journal.sender(0, SSH) as service:
            for number in range(4):
                service.log(failed("192.0.2.1"))
                daemon.until(lambda number=number: processed(daemon) > number, "it is processed")
            (child,) = children(daemon)
            daemon.signal(signal.SIGKILL)
            daemon.wait()
            eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "journalctl ends too")
            service.log(failed("192.0.2.1"))
            daemon.start()
            daemon.until(lambda: sources(daemon), "an alert")
            assert sources(daemon) == {"192.0.2.1": ("local", 5)}
            # Again with nothing new, by SIGKILL and by SIGTERM: nothing is repeated.
            for number in (signal.SIGKILL, signal.SIGTERM):
                (child,) = children(daemon)
                daemon.signal(number)
                daemon.wait()
                eventually(lambda child=child: not child.is_running(), "journalctl ends too")
                daemon.start()
                daemon.until(lambda: follows(daemon), "it follows")
            for _ in range(5):
                service.log(failed("192.0.2.2"))
            daemon.until(lambda: len(sources(daemon)) == 2, "the next alert")
        assert sources(daemon) == {"192.0.2.1": ("local", 5), "192.0.2.2": ("local", 5)}


def test_a_journalctl_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with journald_folder() as folder, journald(folder) as journal, daemon_on(tmp_path, journal) as daemon:
        daemon.until(lambda: follows(daemon), "it follows")
        with journal.sender(0, SSH) as service:
            for _ in range(4):
                service.log(failed("192.0.2.1"))
            for child in children(daemon):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            service.log(failed("192.0.2.1"))
            daemon.until(lambda: sources(daemon), "an alert")
        daemon.until(lambda: entry_of(daemon)["restarts"] == 1 and follows(daemon), "it follows again")
        assert sources(daemon) == {"192.0.2.1": ("local", 5)}
        assert logpipe(daemon)["reason"] == ""

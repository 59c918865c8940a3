"""Real rsyslog and syslog-ng send to a real daemon, over UDP, TCP and TLS, in every framing that they have."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from certificates import Pair, certificate
from daemon_process import DaemonProcess, eventually, free_port
from real import missing, program, running, unpacked

pytestmark = pytest.mark.real

RULE = """
id: {name}
title: A message of the test
severity: low
detection: {{conditions: [{{field: message, modifier: contains, value: {name}}}]}}
"""
#: One way from a peer to the daemon: what to configure there, where it goes, and what it can carry.
WAYS = {
    "rsyslog-udp": ('protocol="udp"', "udp", False),
    "rsyslog-tcp-lines": ('protocol="tcp" TCP_Framing="traditional"', "tcp", False),
    "rsyslog-tcp-counted": ('protocol="tcp" TCP_Framing="octet-counted"', "tcp", True),
    "rsyslog-tls-lines": ('protocol="tcp" TCP_Framing="traditional" {tls}', "tls", False),
    "rsyslog-tls-counted": ('protocol="tcp" TCP_Framing="octet-counted" {tls}', "tls", True),
    "syslog-ng-udp": ('network("127.0.0.1" port({port}) transport("udp"))', "udp", False),
    "syslog-ng-tcp-lines": ('network("127.0.0.1" port({port}) transport("tcp"))', "tcp", False),
    "syslog-ng-tcp-counted": ('syslog("127.0.0.1" port({port}) transport("tcp"))', "tcp", True),
    "syslog-ng-tls-lines": ('network("127.0.0.1" port({port}) transport("tls") {tls})', "tls", False),
    "syslog-ng-tls-counted": ('syslog("127.0.0.1" port({port}) transport("tls") {tls})', "tls", True),
}


class Setting(NamedTuple):
    """The daemon of all tests here, the ports of its three listeners, and the certificates."""

    daemon: DaemonProcess
    ports: Mapping[str, int]
    authority: Pair
    server: Pair
    client: Pair


def source(protocol: str, port: int, more: str = "") -> str:
    return f"""
[[log_pipeline.sources]]
type = "syslog"
protocol = "{protocol}"
listen = "127.0.0.1:{port}"
format = "syslog"
allow_from = ["127.0.0.0/8"]
{more}
"""


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("peers")
    authority = certificate(folder, "authority")
    server, client = (certificate(folder, name, authority) for name in ("server", "client"))
    ports = {"udp": free_port(socket.SOCK_DGRAM), "tcp": free_port(), "tls": free_port()}
    keys = {"tls_cert": server.certificate, "tls_key": server.key, "tls_ca": authority.certificate}
    tls = "\n".join(f'{key} = "{path}"' for key, path in keys.items())
    rules = folder / "rules"
    rules.mkdir()
    (rules / "probes.yaml").write_text("---".join(RULE.format(name=f"probe-{way}") for way in WAYS))
    toml = f'[log_pipeline]\nrule_dirs = ["{rules}"]\n'
    toml += "".join(source(name, port, tls if name == "tls" else "") for name, port in ports.items())
    with DaemonProcess(folder / "daemon", toml) as daemon:
        yield Setting(daemon, ports, authority, server, client)


@contextlib.contextmanager
def rsyslog(folder: Path, options: str, setting: Setting, port: int) -> Iterator[None]:
    if not list(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")):
        missing("rsyslog-gnutls is not installed")
    tls = (
        'StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="server"'
    )
    config = folder / "rsyslog.conf"
    config.write_text(
        f"""
global(
    workDirectory="{folder}" maxMessageSize="128k" parser.escapeControlCharactersOnReceive="off"
    DefaultNetstreamDriverCAFile="{setting.authority.certificate}"
    DefaultNetstreamDriverCertFile="{setting.client.certificate}" DefaultNetstreamDriverKeyFile="{setting.client.key}"
)
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/log" CreatePath="on" RateLimit.Interval="0")
$RepeatedMsgReduction on
*.* action(type="omfwd" target="127.0.0.1" port="{port}" {options.format(tls=tls)})
"""
    )
    command = [program("rsyslogd"), "-n", "-f", str(config), "-i", str(folder / "pid")]
    with running(command, folder / "out"):
        yield


@contextlib.contextmanager
def syslog_ng(folder: Path, destination: str, setting: Setting, port: int) -> Iterator[None]:
    found, env = unpacked("syslog-ng")
    pair = f'key-file("{setting.client.key}") cert-file("{setting.client.certificate}")'
    tls = f'tls(ca-file("{setting.authority.certificate}") {pair} peer-verify(required-trusted))'
    config = folder / "syslog-ng.conf"
    config.write_text(
        f"""@version: 3.38
options {{ log-msg-size(131072); keep-hostname(yes); time-reopen(1); }};
source local {{ unix-dgram("{folder}/log"); }};
destination daemon {{ {destination.format(port=port, tls=tls)[:-1]} suppress(1)); }};
log {{ source(local); destination(daemon); }};
"""
    )
    modules = next(Path(found).parents[2].glob("usr/lib/syslog-ng/3.*"))
    command = [found, "-F", "--no-caps", "-f", str(config), "-R", str(folder / "persist"), "-p", str(folder / "pid")]
    command += ["-c", str(folder / "ctl"), f"--module-path={modules}"]
    with running(command, folder / "out", env):
        yield


def say(folder: Path, *messages: str) -> None:
    """Log as a local program does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        for message in messages:
            log.sendto(f"<38>Nov  3 10:00:00 tester[12]: {message}".encode(), str(folder / "log"))


def evidence(daemon: DaemonProcess, rule: str) -> list[str]:
    alerts: list[Any] = daemon.ironpost_json("alerts", "--rule", rule, "--limit", "1000")
    return [line for alert in alerts for line in alert["evidence"]]


def count(daemon: DaemonProcess, name: str) -> float:
    metrics = daemon.metrics()
    return sum(value for key, value in metrics.items() if key.partition("{")[0] == f"ironpost_log_pipeline_{name}")


def status_of(setting: Setting, protocol: str) -> dict[str, Any]:
    """What the daemon says about the listener."""
    plugins = setting.daemon.ironpost_json("status")["plugins"]
    (details,) = [plugin["details"] for plugin in plugins if plugin["name"] == "logpipe"]
    name = f"syslog 127.0.0.1:{setting.ports[protocol]}/{protocol}"
    (entry,) = [entry for entry in details["sources"] if entry["source"] == name]
    found: dict[str, Any] = entry
    return found


@pytest.mark.parametrize("way", WAYS)
def test_messages_arrive_whole(setting: Setting, tmp_path: Path, way: str) -> None:
    (options, protocol, counted), daemon, rule = WAYS[way], setting.daemon, f"probe-{way}"
    peer = syslog_ng if way.startswith("syslog-ng") else rsyslog
    size = 7000 if protocol == "udp" else 60_000
    before = count(daemon, "logs_collected_total")
    with peer(tmp_path, options, setting, setting.ports[protocol]):
        eventually((tmp_path / "log").exists, "the peer listens")
        say(tmp_path, *(f"{rule} number {number}." for number in range(100)))
        say(tmp_path, f"{rule} größe 漢字.", f"{rule} {'long ' * (size // 5)}end.")
        if counted:
            say(tmp_path, f"{rule} two\nlines.")
        said = 102 + counted
        daemon.until(lambda: len(evidence(daemon, rule)) >= said, f"{said} alerts of {rule}")
        found = evidence(daemon, rule)
        assert len(found) == said
        assert sorted(line.partition(f"{rule} ")[2] for line in found if " number " in line) == sorted(
            f"number {number}." for number in range(100)
        )
        assert any(line.endswith("größe 漢字.") for line in found), found
        assert sum("two" in line and "lines." in line for line in found) == counted
        assert count(daemon, "logs_collected_total") >= before + said
        assert count(daemon, "framing_errors_total") == 0
        assert count(daemon, "parse_errors_total") == 0
        book = {key.removeprefix("ironpost_log_pipeline_"): value for key, value in daemon.metrics().items()}
        done = book["logs_processed_total"] + book["logs_dropped_total"] + book["buffer_size"]
        assert book["logs_collected_total"] == done


@pytest.mark.parametrize("way", ["rsyslog-tls-counted", "syslog-ng-tls-counted", "rsyslog-tcp-lines"])
def test_who_shows_a_certificate_is_trusted_more(setting: Setting, way: str) -> None:
    alerts = setting.daemon.ironpost_json("alerts", "--rule", f"probe-{way}")
    assert alerts, "the test before this one raised none"
    expected = "network" if "tls" in way else "claimed"
    assert {alert["observables"]["process"]["trust"] for alert in alerts} == {expected}


@pytest.mark.parametrize("way", ["rsyslog-tcp-lines", "syslog-ng-tcp-counted"])
def test_a_message_beyond_all_bounds_is_cut_and_the_next_one_whole(setting: Setting, tmp_path: Path, way: str) -> None:
    (options, protocol, _), daemon, rule = WAYS[way], setting.daemon, f"probe-{way}"
    peer = syslog_ng if way.startswith("syslog-ng") else rsyslog
    cut = status_of(setting, protocol)["cut_messages"]
    with peer(tmp_path, options, setting, setting.ports[protocol]):
        eventually((tmp_path / "log").exists, "the peer listens")
        say(tmp_path, f"{rule} {'x' * 100_000}", f"{rule} after the long one.")
        daemon.until(lambda: any("after the long one." in line for line in evidence(daemon, rule)), "the next message")
    daemon.until(lambda: status_of(setting, protocol)["cut_messages"] == cut + 1, "one message was cut")
    assert count(daemon, "framing_errors_total") == 0


def test_repeated_messages_are_told_as_such(setting: Setting, tmp_path: Path) -> None:
    way, daemon = "rsyslog-tcp-counted", setting.daemon
    with rsyslog(tmp_path, WAYS[way][0], setting, setting.ports["tcp"]):
        eventually((tmp_path / "log").exists, "the peer listens")
        say(tmp_path, *[f"probe-{way} again and again."] * 3, f"probe-{way} something else.")
        daemon.until(lambda: any("something else." in line for line in evidence(daemon, f"probe-{way}")), "the last")
    found = [line for line in evidence(daemon, f"probe-{way}") if "again and again." in line]
    assert len(found) == 2, found
    assert "message repeated 2 times: [" in found[-1]


def test_a_sender_without_a_certificate_is_refused_and_counted(setting: Setting) -> None:
    refused = 'ironpost_log_pipeline_refused_senders_total{reason="tls"}'
    before = setting.daemon.metrics()[refused]
    context = ssl.create_default_context(cafile=str(setting.authority.certificate))
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", setting.ports["tls"]), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="server") as connection,
    ):
        connection.sendall(b"<13>x\n")
        connection.recv(1)
    setting.daemon.until(lambda: setting.daemon.metrics()[refused] == before + 1, "the refusal is counted")
    setting.daemon.until(
        lambda: "certificate" in str(status_of(setting, "tls").get("last_handshake_error")).lower(), "it says why"
    )


@pytest.mark.parametrize("way", ["rsyslog-tls-counted", "syslog-ng-tcp-lines"])
def test_a_peer_connects_again_after_a_restart(setting: Setting, tmp_path: Path, way: str) -> None:
    (options, protocol, _), daemon, rule = WAYS[way], setting.daemon, f"probe-{way}"
    peer = syslog_ng if way.startswith("syslog-ng") else rsyslog
    options += "" if peer is syslog_ng else ' action.resumeInterval="1"'
    with peer(tmp_path, options, setting, setting.ports[protocol]):
        eventually((tmp_path / "log").exists, "the peer listens")
        say(tmp_path, f"{rule} before the restart.")
        daemon.until(lambda: any("before the restart." in line for line in evidence(daemon, rule)), "the first message")
        assert daemon.terminate() == 0
        daemon.start()

        numbers = itertools.count()

        def arrived() -> bool:
            # What is sent while nobody listens may be lost: TCP syslog has no acknowledgement. Peers reduce equal ones.
            say(tmp_path, f"{rule} number {next(numbers)} after the restart.")
            return any("after the restart." in line for line in evidence(daemon, rule))

        daemon.until(arrived, "a message after the restart")

"""Broken plugins beside the four real ones in a real daemon: each is named with its reason, nothing else suffers."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.zoo.members import HERDS, Member
from contract.zoo.site import write_distribution
from daemon_process import DaemonProcess, not_started
from ironpost_core import ActionError
from ironpost_core.metrics import describe_fixed
from ironpost_daemon.control import call

REAL = ("ebpf", "guard", "logpipe", "sbom")
QUIET = """[[log_pipeline.sources]]
type = "file"
paths = ["/nonexistent/quiet.log"]
"""
EVERYONE = {member.name: member for members in HERDS.values() for member in members}
pytestmark = pytest.mark.timeout(300)


def daemon_with(folder: Path, *members: Member, **options: Any) -> DaemonProcess:
    """A daemon, not yet started, beside which these members are installed."""
    site = folder / "site"
    site.mkdir()
    for member in members:
        member.write(site)
    env = {"PYTHONPATH": str(site), **options.pop("env", {})}
    return DaemonProcess(folder, QUIET, env=env, **options)


def plugins(daemon: DaemonProcess) -> dict[str, dict[str, Any]]:
    return {plugin["name"]: plugin for plugin in daemon.ironpost_json("plugins")}


def assert_the_four_serve(daemon: DaemonProcess) -> None:
    """The metrics of the four are there with all their series, they are up, and the health is 200."""
    metrics = daemon.metrics()
    exported = {re.sub(r"(_bucket|_count|_sum)?(\{.*)?$", "", key) for key in metrics}
    assert {spec.full_name for spec in describe_fixed()} <= exported
    assert all(metrics[f'ironpost_daemon_plugin_up{{module="{name}"}}'] == 1 for name in REAL)
    assert {name: plugin["life"] for name, plugin in plugins(daemon).items() if name in REAL} == {
        "ebpf": "disabled",
        "guard": "running",
        "logpipe": "running",
        "sbom": "running",
    }


@pytest.fixture(scope="module")
def herds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, DaemonProcess]]:
    """A daemon for each herd and one for all, started side by side; each must stop on SIGTERM in the end."""
    started: dict[str, DaemonProcess] = {}
    every = {**HERDS, "all": tuple(EVERYONE.values())}
    try:
        for name, members in every.items():
            started[name] = daemon_with(tmp_path_factory.mktemp(name), *members).start(wait=False)
        yield started
        for daemon in started.values():
            daemon.signal(signal.SIGTERM)
        assert {name: daemon.wait() for name, daemon in started.items()} == dict.fromkeys(every, 0)
    finally:
        for daemon in started.values():
            daemon.kill()


@pytest.fixture
def herd(request: pytest.FixtureRequest, herds: dict[str, DaemonProcess]) -> DaemonProcess:
    daemon = herds[request.param]
    daemon.wait_ready()
    return daemon


each_herd = pytest.mark.parametrize("herd", HERDS, indirect=True)
each_member = pytest.mark.parametrize(
    ("herd", "member"),
    [pytest.param(herd, member, id=f"{herd}-{member.name}") for herd, members in HERDS.items() for member in members],
    indirect=["herd"],
)


@each_member
def test_is_named_with_its_reason(herd, member):
    def in_health() -> dict[str, Any] | None:
        herd.metrics()  # a reader is called at a scrape
        (entry,) = [plugin for plugin in herd.get("/health").json()["plugins"] if plugin["name"] == member.name]
        return entry if re.search(member.says, entry["reason"]) else None

    entry = herd.until(in_health, f"/health says {member.says!r} of {member.name}")
    assert (entry["life"] == "failed") == (member.up == 0)
    assert (entry["health"] == "healthy") == (not member.says)
    assert herd.metrics()[f'ironpost_daemon_plugin_up{{module="{member.name}"}}'] == member.up


@pytest.mark.parametrize("name", HERDS)
def test_ironpost_plugins_shows_the_reason_of_each(herds, name):
    herd, members = herds[name], HERDS[name]
    herd.wait_ready()

    def with_all_reasons() -> dict[str, dict[str, Any]] | None:
        herd.metrics()
        found = plugins(herd)
        return found if all(re.search(member.says, found[member.name]["reason"]) for member in members) else None

    found = herd.until(with_all_reasons, "every reason is shown")
    assert found.keys() == {member.name for member in members} | set(REAL)
    for member in members:
        assert found[member.name]["distribution"] == f"zoo-{member.name.replace('_', '-')}"
        assert found[member.name]["version"] == "1.0"


@each_herd
def test_the_four_serve_beside_a_herd(herd):
    assert_the_four_serve(herd)
    health = herd.get("/health")
    assert health.status == 200
    assert health.json()["status"] == "degraded"


@pytest.mark.parametrize("name", HERDS)
def test_only_those_that_failed_are_not_registered(herds, name):
    expected = len(REAL) + sum(member.up for member in HERDS[name])
    series = "ironpost_daemon_plugins_registered"
    herds[name].wait_ready()
    herds[name].until(lambda: herds[name].metrics()[series] == expected, f"{expected} registered")


@pytest.mark.parametrize("herd", ["run"], indirect=True)
@pytest.mark.parametrize("name", ["thread_dies", "thread_exits"])
def test_restarts_of_a_dying_thread_are_counted(herd, name):
    series = f'ironpost_daemon_plugin_restarts_total{{module="{name}"}}'
    herd.until(lambda: herd.metrics()[series] >= 2, "two restarts")


@pytest.mark.parametrize("herd", ["run"], indirect=True)
@pytest.mark.parametrize("name", ["reader_raises", "reader_exits"])
def test_a_failing_reader_is_counted_and_its_metric_still_there(herd, name):
    series = f'ironpost_daemon_plugin_reader_failures_total{{module="{name}"}}'
    before = herd.metrics()[series]
    metrics = herd.metrics()
    assert metrics[series] > before
    assert metrics[f"ironpost_{name}_x"] == 0


@pytest.mark.parametrize("herd", ["run"], indirect=True)
@pytest.mark.parametrize("name", ["raises_in_alert", "exits_in_alert"])
def test_after_a_failing_alert_hook_the_next_alert_follows(herd, name):
    herd.until(lambda: herd.metrics()[f"ironpost_{name}_heard_total"] == 3, "three alerts heard")


@pytest.mark.parametrize("herd", ["run"], indirect=True)
def test_nobody_can_publish_in_anothers_name(herd):
    found = herd.until(lambda: herd.ironpost_json("alerts", "--rule", "zoo-herald"), "the herald is heard")
    assert {alert["plugin"] for alert in found} == {"herald"}


@pytest.mark.parametrize("herd", ["run"], indirect=True)
@pytest.mark.parametrize(("action", "says"), [("exit", "SystemExit: 8"), ("hang", "0.5 s"), ("odd", "JSON")])
def test_a_broken_action_is_an_error_for_its_caller_alone(herd, action, says):
    with pytest.raises(ActionError, match=says):
        call(herd.control_socket, f"action_exits.{action}", {}, 60)
    assert herd.get("/health").status == 200


@pytest.mark.parametrize("herd", ["hang"], indirect=True)
def test_hanging_hooks_cost_one_thread_each_and_not_one_per_request(herd):
    def threads() -> int:
        status = Path(f"/proc/{herd.pid}/status").read_text()
        return int(re.search(r"^Threads:\s+(\d+)", status, re.MULTILINE)[1])

    herd.metrics()
    herd.get("/health")
    before = threads()
    for _ in range(25):
        assert herd.get("/health").status == 200
        herd.metrics()
    assert threads() < before + 25


@pytest.mark.parametrize("herd", ["all"], indirect=True)
def test_all_at_once(herd):
    assert_the_four_serve(herd)
    found = plugins(herd)
    assert found.keys() == EVERYONE.keys() | set(REAL)
    assert {name for name, plugin in found.items() if plugin["life"] == "failed"} == {
        member.name for member in EVERYONE.values() if not member.up
    }


def test_each_plugin_refuses_a_reload_for_itself(tmp_path):
    body = """\
    @attrs.frozen
    class Config:
        x: int = setting(default=1, help="X")
    class Zoo(Plugin):
        def ironpost_config(self): return Section("{name}", Config)
        def ironpost_reload(self, config): {act}
    """
    acts = {"taking": "pass", "refusing": "raise ValueError('zoo says no')", "leaving": "sys.exit(1)"}
    members = [Member(name=name, body=body.format(name=name, act=act), up=1) for name, act in acts.items()]
    with daemon_with(tmp_path, *members) as daemon:
        daemon.until(lambda: {plugins(daemon)[name]["life"] for name in acts} == {"running"}, "all run")
        daemon.configure(QUIET + "".join(f"[{name}]\nx = 2\n" for name in acts))
        done = daemon.ironpost("reload", "--json")
        assert done.returncode == 1
        outcome = json.loads(done.stdout)
        assert outcome["taking"] == "reloaded"
        assert re.search("refused: .*zoo says no", outcome["refusing"])
        assert re.search("refused: .*SystemExit: 1", outcome["leaving"])
        assert (outcome["log_pipeline"], outcome["sbom"]) == ("reloaded", "unchanged")
        assert_the_four_serve(daemon)


def test_of_two_that_claim_a_name_its_owner_wins_or_neither(tmp_path):
    daemon = daemon_with(tmp_path)
    site, body = tmp_path / "site", "class Zoo(Plugin): pass"
    for distribution, name in (
        ("zoo-one", "contested"),
        ("zoo-two", "contested"),
        ("ironpost-plugin-owned", "owned"),
        ("zoo-thief", "owned"),
        ("zoo-imposter", "logpipe"),
    ):
        module = distribution.replace("-", "_")
        write_distribution(site, distribution, module, body, plugins={name: f"{module}:Zoo"})
    with daemon:
        found = plugins(daemon)
        assert found["contested"]["life"] == "failed"
        assert "zoo-one" in found["contested"]["reason"]
        assert "zoo-two" in found["contested"]["reason"]
        assert found["owned"]["life"] == "running"
        assert found["owned"]["distribution"] == "ironpost-plugin-owned"
        losers = [plugin for plugin in found.values() if plugin["distribution"] in ("zoo-thief", "zoo-imposter")]
        assert [plugin["life"] for plugin in losers] == ["failed", "failed"]
        assert all(f"uninstall {plugin['distribution']}" in plugin["reason"] for plugin in losers)
        assert_the_four_serve(daemon)
        assert daemon.terminate() == 0, daemon.log


def test_of_two_whose_metrics_clash_the_later_fails(tmp_path):
    body = """\
    class Zoo(Plugin):
        def ironpost_metrics(self): return [MetricSpec(name="clash_more_total", kind="counter", help="Mine")]
    """
    first, second = Member(name="clash", body=body, up=1), Member(name="clash_more", body=body)
    with daemon_with(tmp_path, first, second) as daemon:
        found = plugins(daemon)
        assert found["clash"]["life"] == "running"
        assert found["clash_more"]["life"] == "failed"
        assert "clash" in found["clash_more"]["reason"]
        assert "ironpost_clash_more_total" in daemon.metrics()
        assert_the_four_serve(daemon)


@pytest.mark.parametrize("file", ["entry_points.txt", "METADATA"])
@pytest.mark.parametrize(
    "content", [b"", b"no section\n[ironpost.plugins]\nno equals sign\n= x\n", b"\xff\xfe\x00[", None]
)
def test_broken_metadata_of_one_distribution_harms_no_other(tmp_path, file, content):
    member = Member(name="odd", body="class Zoo(Plugin): pass", up=1)
    daemon = daemon_with(tmp_path, member)
    path = tmp_path / "site" / "zoo_odd-1.0.dist-info" / file
    path.unlink() if content is None else path.write_bytes(content)
    with daemon:
        assert_the_four_serve(daemon)
        assert daemon.ironpost("--help").returncode == 0
        assert daemon.terminate() == 0, daemon.log


def test_one_that_holds_the_gil_stops_the_watchdogs_pings(tmp_path):
    holder = Member(
        name="holds_gil",
        body="""\
        import ctypes, os, pathlib
        class Zoo(Plugin):
            def ironpost_start(self, context):
                context.spawn("hold", lambda: self.hold(context))
            def hold(self, context):
                while not pathlib.Path("hold").exists():
                    if context.clock.wait(context.stopping, 0.05): return
                pathlib.Path("held").touch()
                ctypes.PyDLL(None).pause()
        """,
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = tmp_path / "notify"
        systemd.bind(str(address))
        env = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "1000000"}
        with daemon_with(tmp_path, holder, env=env) as daemon:
            assert_pinged(systemd)
            assert_pinged(systemd)
            (tmp_path / "hold").touch()
            daemon.until((tmp_path / "held").exists, "the GIL is held")
            assert_no_more_pings(systemd)
            daemon.kill()  # what systemd does then


def assert_pinged(systemd: socket.socket) -> None:
    systemd.settimeout(60)
    while b"WATCHDOG=1" not in systemd.recv(4096):
        pass


def assert_no_more_pings(systemd: socket.socket) -> None:
    """Nothing comes for three times as long as the watchdog allows, save what was on its way."""
    systemd.settimeout(3)
    for _ in range(5):
        try:
            systemd.recv(4096)
        except TimeoutError:
            return
    raise AssertionError("the pings go on")


@pytest.fixture
def broken_commands(tmp_path: Path) -> Iterator[DaemonProcess]:
    site = tmp_path / "site"
    site.mkdir()
    bodies = {
        "raising": "raise RuntimeError('zoo in command')",
        "exiting": "sys.exit(9)",
        "hanging": "hang()",
        "odd": "command = 42",
        "status": "command = 42",
    }
    for name, body in bodies.items():
        write_distribution(site, f"zoo-{name}", f"zoo_{name}", body, commands={name: f"zoo_{name}:command"})
    write_distribution(site, "zoo-gone", commands={"gone": "zoo_nowhere:command"})
    for number in (1, 2):
        write_distribution(site, f"zoo-twice-{number}", commands={"twice": f"zoo_twice_{number}:command"})
    with not_started(tmp_path, QUIET, env={"PYTHONPATH": str(site)}) as daemon:
        yield daemon


def test_help_lists_commands_beside_broken_ones(broken_commands):
    done = broken_commands.ironpost("--help")
    assert done.returncode == 0, done.stderr
    for name in ("status", "plugins", "demo", "rules", "raising", "exiting", "hanging", "odd", "gone", "twice"):
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(("typed", "offered"), [("", "status"), ("sta", "status"), ("rai", "raising")])
def test_completion_goes_on_beside_broken_commands(broken_commands, typed, offered):
    broken_commands.env |= {
        "_IRONPOST_COMPLETE": "bash_complete",
        "COMP_WORDS": f"ironpost {typed}",
        "COMP_CWORD": "1",
    }
    done = broken_commands.ironpost()
    assert done.returncode == 0, done.stderr
    assert f"plain,{offered}" in done.stdout.splitlines()
    assert not done.stderr


def test_completion_behind_a_broken_command_says_nothing(broken_commands):
    environment = {"_IRONPOST_COMPLETE": "bash_complete", "COMP_WORDS": "ironpost raising --", "COMP_CWORD": "2"}
    broken_commands.env |= environment
    done = broken_commands.ironpost()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raising", "zoo-raising.*RuntimeError: zoo in command"),
        ("exiting", "zoo-exiting.*SystemExit: 9"),
        ("odd", "zoo-odd.*no click command"),
        ("gone", "zoo-gone.*No module named"),
        ("twice", "zoo-twice-1 and zoo-twice-2"),
    ],
)
def test_a_broken_command_says_whose_it_is_and_why(broken_commands, name, says):
    done = broken_commands.ironpost(name)
    assert done.returncode not in (0, 9)
    assert re.search(says, done.stderr)
    assert "Traceback" not in done.stderr


def test_a_built_in_command_wins_over_a_plugins(broken_commands):
    done = broken_commands.ironpost("status", "--help")
    assert done.returncode == 0
    assert "Exits with 1 when no daemon runs" in " ".join(done.stdout.split())

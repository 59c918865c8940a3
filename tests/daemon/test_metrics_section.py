"""``[metrics]``: a real daemon honours each value of the file and the environment, and refuses each invalid one."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from daemon_process import PATIENCE, DaemonProcess, free_port, not_started, parse_metrics
from ironpost_daemon.configuration import read

QUIET = "[log_pipeline]\nenabled = false\n"
NAME = "ironpost_daemon_uptime_seconds"
ELSEWHERE = "127.0.0.2"
"""A second address of the loopback network."""


def ask(path: str, port: int, address: str = "127.0.0.1") -> tuple[int, str] | None:
    """Status and text of one request; None when nobody listens there."""
    with contextlib.closing(http.client.HTTPConnection(address, port, timeout=PATIENCE)) as connection:
        try:
            connection.request("GET", path)
        except ConnectionRefusedError:
            return None
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def served(path: str, port: int, address: str = "127.0.0.1") -> bool:
    """Whether there is a whole exposition."""
    answer = ask(path, port, address)
    return answer is not None and answer[0] == 200 and parse_metrics(answer[1])[NAME] > 0


def works(daemon: DaemonProcess) -> bool:
    """Whether everything was started, asked without HTTP."""
    done = daemon.ironpost("status", "--json")
    return done.returncode == 0 and json.loads(done.stdout)["ready"] is True


def listeners(daemon: DaemonProcess) -> set[tuple[str, int]]:
    """The TCP addresses that the process listens on."""
    connections = psutil.Process(daemon.pid).net_connections("tcp")
    return {(each.laddr.ip, each.laddr.port) for each in connections if each.status == psutil.CONN_LISTEN}


@pytest.fixture
def start(tmp_path: Path):
    """Starts a daemon with some keys in `[metrics]`; it is up when this returns, whether it serves HTTP or not."""
    with contextlib.ExitStack() as ends:

        def start(metrics: Mapping[str, object], environ: Mapping[str, str] | None = None) -> DaemonProcess:
            lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in metrics.items())
            daemon = not_started(tmp_path, f"{QUIET}[metrics]\n{lines}", env=environ)
            process = ends.enter_context(daemon)
            process.start(wait=False)
            process.until(lambda: works(process), "it says that it is ready")
            return process

        yield start


# -- honoured ---------------------------------------------------------------------------------------------------


def test_the_port_of_the_file_is_the_one_that_answers(start):
    port = free_port()
    daemon = start({"port": port})
    assert served("/metrics", port)
    assert listeners(daemon) == {("127.0.0.1", port)}


def test_the_address_of_the_file_is_the_one_that_answers(start):
    port = free_port()
    daemon = start({"listen_addr": ELSEWHERE, "port": port})
    assert served("/metrics", port, ELSEWHERE)
    assert ask("/metrics", port) is None
    assert listeners(daemon) == {(ELSEWHERE, port)}


def test_the_endpoint_of_the_file_is_the_one_that_answers(start):
    port = free_port()
    start({"endpoint": "/own/path", "port": port})
    assert served("/own/path", port)
    assert ask("/metrics", port)[0] == 404


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_served_when_it_is_enabled_and_else_nothing_listens(start, enabled):
    port = free_port()
    daemon = start({"enabled": enabled, "port": port})
    assert listeners(daemon) == ({("127.0.0.1", port)} if enabled else set())
    assert (ask("/metrics", port) is not None) == enabled
    assert works(daemon)
    assert daemon.terminate() == 0


def test_three_variables_replace_what_the_file_says(start):
    port, of_the_file = free_port(), free_port()
    environ = {
        "IRONPOST_METRICS_LISTEN_ADDR": ELSEWHERE,
        "IRONPOST_METRICS_PORT": str(port),
        "IRONPOST_METRICS_ENDPOINT": "/of/the/environment",
    }
    daemon = start({"listen_addr": "127.0.0.1", "port": of_the_file, "endpoint": "/of/the/file"}, environ)
    assert served("/of/the/environment", port, ELSEWHERE)
    assert ask("/of/the/file", port, ELSEWHERE)[0] == 404
    assert listeners(daemon) == {(ELSEWHERE, port)}


@pytest.mark.parametrize(("of_the_file", "variable", "enabled"), [(False, "true", True), (True, "false", False)])
def test_a_variable_switches_it_on_and_off(start, of_the_file, variable, enabled):
    port = free_port()
    daemon = start({"enabled": of_the_file, "port": port}, {"IRONPOST_METRICS_ENABLED": variable})
    assert listeners(daemon) == ({("127.0.0.1", port)} if enabled else set())
    assert served("/metrics", port) if enabled else ask("/metrics", port) is None


# -- refused ----------------------------------------------------------------------------------------------------

NO_NUMBER = "(expected a whole number"
OUT_OF_RANGE = "(expected a value from 1 to 65535)"
UNFIT = [
    ("port", "0", f"found 0 {OUT_OF_RANGE}"),
    ("port", "65536", f"found 65536 {OUT_OF_RANGE}"),
    ("port", "-9100", f"found -9100 {OUT_OF_RANGE}"),
    ("listen_addr", '""', 'found "" (expected something that is not empty)'),
    ("listen_addr", '" "', 'found " " (expected something that is not empty)'),
    ("endpoint", '""', 'found "" (expected a text that starts with "/")'),
    ("endpoint", '"metrics"', 'found "metrics" (expected a text that starts with "/")'),
    ("endpoint", '" /metrics"', 'found " /metrics" (expected a text that starts with "/")'),
]
OF_ANOTHER_TYPE = [
    ("port", '"9100"', f'found "9100" {NO_NUMBER}; remove the quotes)'),
    ("port", "true", f"found true {NO_NUMBER})"),
    ("port", "9100.0", f"found 9100.0 {NO_NUMBER})"),
    ("port", "[9100]", f"found a list {NO_NUMBER})"),
    ("listen_addr", "127", "found 127 (expected a text; put it in quotes)"),
    ("listen_addr", '["127.0.0.1"]', "found a list (expected a text)"),
    ("endpoint", "true", "found true (expected a text; put it in quotes)"),
    ("enabled", '"true"', 'found "true" (expected true or false; remove the quotes)'),
    ("enabled", "1", "found 1 (expected true or false)"),
    ("enabled", '"yes"', 'found "yes" (expected true or false)'),
]


def problems(folder: Path, lines: str, environ: Mapping[str, str] | None = None) -> list[str]:
    path = folder / "ironpost.toml"
    path.write_text(f"[metrics]\n{lines}\n", encoding="utf-8")
    loaded = read(path, plugins=[], environ=environ or {})
    assert ("metrics" in loaded.values) == (not loaded.problems)
    return [str(problem).removeprefix(f"{path}:") for problem in (*loaded.problems, *loaded.environment_problems)]


@pytest.mark.parametrize(("key", "value", "problem"), [*UNFIT, *OF_ANOTHER_TYPE])
def test_an_invalid_value_is_refused_at_its_line(tmp_path, key, value, problem):
    assert problems(tmp_path, f"{key} = {value}") == [f"2: metrics.{key}: {problem}"]


@pytest.mark.parametrize(("key", "value", "problem"), UNFIT)
def test_a_value_is_not_judged_while_nothing_is_served(tmp_path, key, value, problem):
    assert problems(tmp_path, f"enabled = false\n{key} = {value}") == []
    assert len(problems(tmp_path, f"enabled = true\n{key} = {value}")) == 1


@pytest.mark.parametrize(("key", "value", "problem"), [row for row in OF_ANOTHER_TYPE if row[0] != "enabled"])
def test_a_value_of_another_type_is_none_even_then(tmp_path, key, value, problem):
    assert problems(tmp_path, f"enabled = false\n{key} = {value}") == [f"3: metrics.{key}: {problem}"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "true"),
        ("PORT", ""),
        ("LISTEN_ADDR", ""),
        ("ENDPOINT", ""),
        ("ENDPOINT", "metrics"),
        ("ENABLED", "maybe"),
        ("ENABLED", ""),
    ],
)
def test_an_invalid_variable_is_named(tmp_path, variable, value):
    (problem,) = problems(tmp_path, "", {f"IRONPOST_METRICS_{variable}": value})
    assert f"metrics.{variable.lower()}: found " in problem
    assert f"in IRONPOST_METRICS_{variable} " in problem


def test_a_daemon_with_invalid_values_names_them_all_and_listens_nowhere(tmp_path):
    with not_started(tmp_path, f'{QUIET}[metrics]\nport = 65536\nlisten_addr = ""\nendpoint = "metrics"\n') as daemon:
        daemon.start(wait=False)
        assert daemon.wait() == 78
        for key in ("port", "listen_addr", "endpoint"):
            assert f"metrics.{key}: found " in daemon.log
        assert not daemon.control_socket.exists()


def test_a_daemon_that_serves_nothing_runs_with_them(start):
    daemon = start({"enabled": False, "port": 65536, "listen_addr": "", "endpoint": "metrics"})
    assert listeners(daemon) == set()
    assert daemon.terminate() == 0


def test_a_daemon_with_an_invalid_variable_says_so_and_follows_the_file(start):
    port = free_port()
    daemon = start({"port": port}, {"IRONPOST_METRICS_PORT": "tcp://10.0.0.1:9100"})
    assert served("/metrics", port)
    assert "in IRONPOST_METRICS_PORT" in daemon.log

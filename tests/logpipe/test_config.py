from __future__ import annotations

from pathlib import Path

import pytest

from ironpost_core.config import load
from ironpost_core.show import render_toml
from ironpost_core.structure import FAILED, Report, structure
from ironpost_logpipe.config import (
    USUAL_LOGS,
    DockerSource,
    FileSource,
    JournalSource,
    LogPipelineConfig,
    StdinSource,
    SyslogSource,
    address_of,
    section,
    sources_of,
)


def problems(data: dict[str, object]) -> list[str]:
    report = Report()
    assert structure(LogPipelineConfig, data, ("log_pipeline",), report) is FAILED
    return [str(problem) for problem in report.problems]


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:5514", ("127.0.0.1", 5514)),
        ("[::1]:514", ("::1", 514)),
        (":5514", ("", 5514)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
    ],
)
def test_addresses_to_listen_on(listen: str, expected: tuple[str, int]) -> None:
    assert address_of(listen) == expected


@pytest.mark.parametrize(
    "listen", ["", "5514", "localhost:5514", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "[::1]"]
)
def test_what_is_no_address_is_refused(listen: str) -> None:
    (problem,) = problems({"sources": [{"type": "syslog", "listen": listen}]})
    assert problem.startswith("log_pipeline.sources[0].listen: expected an address with a port")


def test_every_problem_is_reported() -> None:
    found = problems(
        {
            "sources": [{"type": "fiel", "paths": ["/a"]}, {"type": "file"}, {"type": "stdin", "trust": "kernel"}],
            "drop_policy": "old",
            "batch_size": 0,
            "overide": [],
        }
    )
    assert len(found) == 6, found
    assert 'did you mean "file"' in " ".join(found)
    assert 'did you mean "override"' in " ".join(found)


def test_a_whole_section() -> None:
    report = Report()
    config = structure(
        section().type,
        {
            "sources": [
                {"type": "file", "paths": ["/var/log/a"]},
                {"type": "syslog", "protocol": "udp", "allow_from": ["10.0.0.0/8", "fd00::/8"]},
                {"type": "stdin"},
                {"type": "docker", "format": "json"},
            ],
            "override": [{"rule": "ssh-*", "severity": "critical", "threshold": {"count": 3, "timeframe": "5m"}}],
        },
        ("log_pipeline",),
        report,
    )
    assert not report.problems
    assert [type(source) for source in config.sources] == [FileSource, SyslogSource, StdinSource, DockerSource]


def test_without_sources_the_usual_logs_are_read() -> None:
    (source,) = sources_of(LogPipelineConfig())
    assert isinstance(source, FileSource)
    assert "/var/log/auth.log" in map(str, source.paths)
    assert source.start == "window"


def test_with_a_journal_the_files_that_hold_the_same_lines_are_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = tmp_path / "access.log"
    there.touch()
    logs = ("/var/log/auth.log", "/var/log/syslog", str(there), str(tmp_path / "absent.log"))
    monkeypatch.setattr("ironpost_logpipe.config.USUAL_LOGS", logs)
    assert sources_of(LogPipelineConfig(), journal=True) == (
        JournalSource(),
        FileSource(name="usual logs", paths=(there,)),
    )
    there.unlink()
    assert sources_of(LogPipelineConfig(), journal=True) == (JournalSource(),)
    configured = LogPipelineConfig(sources=(StdinSource(),))
    assert sources_of(configured, journal=True) == configured.sources


def test_two_journal_sources_have_places_of_their_own() -> None:
    (problem,) = problems({"sources": [{"type": "journal", "units": ["a"]}, {"type": "journal", "units": ["b"]}]})
    assert problem.startswith("log_pipeline.sources: two sources read the same journal: give each a name of its own")
    keys = [JournalSource(), JournalSource(name="b"), JournalSource(directory=Path("/j"))]
    assert LogPipelineConfig(sources=tuple(keys)).sources


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("units", ["postfix@*"]),
        ("units", ["--follow x"]),
        ("matches", ["+"]),
        ("matches", ["--until=now"]),
        ("matches", ["_UID"]),
        ("matches", ["_UID=0\0"]),
        ("identifiers", ["a\0b"]),
        ("directory", "/a\0b"),
    ],
)
def test_what_journalctl_would_take_for_something_else_is_refused(key: str, value: object) -> None:
    (problem,) = problems({"sources": [{"type": "journal", key: value}]})
    assert problem.startswith(f"log_pipeline.sources[0].{key}")


def test_the_usual_logs_leave_out_what_clients_can_write_into() -> None:
    assert not any("nginx/error" in path for path in USUAL_LOGS)


def test_containers_logs_are_only_claimed_and_docker_is_not_wrapped_in_itself() -> None:
    assert DockerSource().trust == "claimed"
    (problem,) = problems({"sources": [{"type": "docker", "format": "docker"}]})
    assert "format" in problem


def test_a_pack_that_does_not_exist_is_refused() -> None:
    (problem,) = problems({"packs": ["sshdd"]})
    assert 'expected "sshd" or "sudo"' in problem
    assert 'did you mean "sshd"?' in problem


TLS = {"type": "syslog", "protocol": "tls", "tls_cert": "/a.crt", "tls_key": "/a.key"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"protocol": "quic"}, 'protocol: found "quic"'),
        ({"protocol": "tls"}, 'protocol: "tls" needs the listener\'s certificate and its key'),
        ({"protocol": "tls", "tls_key": "/a.key"}, "tls_key: tls_key and tls_cert are only of use together"),
        ({"protocol": "tcp", "tls_ca": "/a.crt"}, 'tls_ca: only of use with protocol = "tls", not "tcp"'),
        ({"max_connections": 5}, 'max_connections: only of use with protocol = "tcp" or "tls", not "udp"'),
        ({"idle_timeout": "5m"}, 'idle_timeout: only of use with protocol = "tcp" or "tls", not "udp"'),
        ({"protocol": "tcp", "max_connections": 0}, "max_connections: found 0"),
        ({"protocol": "tcp", "idle_timeout": "0s"}, "idle_timeout: found 0s"),
    ],
)
def test_keys_that_do_not_fit_the_protocol_are_named(source: dict[str, object], expected: str) -> None:
    found = problems({"sources": [{"type": "syslog", **source}]})
    assert any(problem.startswith(f"log_pipeline.sources[0].{expected}") for problem in found), found


@pytest.mark.parametrize(
    ("source", "worth"),
    [
        ({"type": "syslog"}, "claimed"),
        ({"type": "syslog", "protocol": "tcp"}, "claimed"),
        (TLS, "claimed"),
        ({**TLS, "tls_ca": "/ca.crt"}, "network"),
        ({**TLS, "tls_ca": "/ca.crt", "trust": "claimed"}, "claimed"),
        ({"type": "syslog", "trust": "network"}, "network"),
    ],
)
def test_only_a_proven_sender_is_more_than_claimed_unless_one_says_so(source: dict[str, object], worth: str) -> None:
    report = Report()
    config = structure(section().type, {"sources": [source]}, ("log_pipeline",), report)
    assert not report.problems
    assert config.sources[0].worth == worth


def test_limits_of_connections_have_defaults() -> None:
    source = SyslogSource(protocol="tcp")
    assert (source.connections, source.patience) == (256, 3600)


EXCEPTION = """
[[log_pipeline.override]]
rule = "ssh-*"
until = "2026-12-01T00:00:00+01:00"
reason = "our scanner"

[[log_pipeline.override.except]]
field = "source_ip"
modifier = "cidr"
value = ["10.0.0.0/8", "2001:db8::/32"]

[[log_pipeline.override.except]]
count = { at_least = 1, of = [{ not = { field = "pid", modifier = "ge", value = 2.5 } }, { field = "app", value = 7 }] }
"""


def test_exceptions_are_read_and_written_and_read() -> None:
    loaded = load(EXCEPTION.encode(), file="f", sections=[section()], environ={})
    assert not loaded.problems
    (override,) = loaded.values["log_pipeline"].override
    assert override.except_[0].value == ("10.0.0.0/8", "2001:db8::/32")
    assert override.except_[1].count.of[0].not_.value == 2.5
    written = render_toml([section()], loaded.values, comments=False)
    assert load(written.encode(), file="f", sections=[section()], environ={}).values == loaded.values


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"cidr"', '"cider"', 'f:9: log_pipeline.override[0].except[0].modifier: found "cider"'),
        ('"cidr"', '"cider"', 'did you mean "cidr"?'),
        ("10.0.0.0/8", "10.1.0.0/8", "f:10: log_pipeline.override[0].except[0].value[0]: found"),
        ("10.0.0.0/8", "10.1.0.0/8", 'did you mean "10.0.0.0/8"?'),
        ('"2026-12-01T00:00:00+01:00"', "2026-12-01T00:00:00+01:00", "put it in quotes"),
        ("+01:00", "", "f:4: log_pipeline.override[0].until: expected a time with its zone"),
        ("at_least = 1", "at_least = 3", "f:13: log_pipeline.override[0].except[1].count: at_least 3 of 2"),
        ("value = 2.5", 'value = "x"', '.count.of[0].not.value: found "x" (expected a number)'),
        ("not =", "nto =", 'nto: unknown key (did you mean "not"?)'),
        ("value = 7", "value = true", ".count.of[1].value: found true (expected a text or"),
    ],
)
def test_mistakes_in_exceptions_are_named_where_they_are(old: str, new: str, message: str) -> None:
    loaded = load(EXCEPTION.replace(old, new).encode(), file="f", sections=[section()], environ={})
    assert message in "\n".join(map(str, loaded.problems))

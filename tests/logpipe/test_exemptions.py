from __future__ import annotations

from pathlib import Path

import pytest

from ironpost_core.testing import CollectingPublisher, PluginRun
from ironpost_logpipe import LogpipePlugin
from ironpost_logpipe.conditions import Condition
from ironpost_logpipe.exemptions import exempt, moment
from ironpost_logpipe.matcher import Matcher
from ironpost_logpipe.replay import Replay
from ironpost_logpipe.rules import Override, Rule, apply_overrides, idle_overrides
from logpipe.helpers import bundled, failed, simple

OFFICE = Condition(field="source_ip", modifier="cidr", value=("192.0.2.0/24", "2001:db8::/32"))
BACKUP = Condition(all_=(Condition(field="user", value="backup"), OFFICE))


def excepted(rule: Rule, line: bytes, now: float = 0.0) -> bool:
    ((hit,), _) = Matcher([rule]).match([line])
    return exempt(hit.rule.exemptions, hit.event, hit.captures, now)


def ssh(*overrides: Override) -> Rule:
    return apply_overrides(bundled()[0], overrides)


def test_one_condition_that_holds_is_enough() -> None:
    rule = ssh(Override(rule="ssh-*", except_=(OFFICE, Condition(field="user", value="probe"))))
    assert excepted(rule, failed(address="192.0.2.1"))
    assert excepted(rule, failed(address="::ffff:192.0.2.1"))
    assert excepted(rule, failed(address="203.0.113.7", user="probe"))
    assert not excepted(rule, failed(address="203.0.113.7"))
    assert not excepted(ssh(), failed(address="192.0.2.1"))


def test_an_attacker_can_not_choose_to_be_excepted() -> None:
    rule = ssh(Override(rule="ssh-*", except_=(OFFICE,)))
    assert not excepted(rule, failed(user="x from 192.0.2.1 port 1 ssh2"))


def test_conditions_around_others_and_fields_of_the_line() -> None:
    rule = ssh(Override(rule="*", except_=(BACKUP, Condition(field="host", value="lab"))))
    assert excepted(rule, failed(address="192.0.2.1", user="backup"))
    assert not excepted(rule, failed(address="192.0.2.1"))
    assert excepted(rule, failed().replace(b"web1", b"lab"))


def test_it_ends_when_it_says() -> None:
    rule = ssh(Override(rule="*", except_=(OFFICE,), until="2026-01-01T01:00:00+01:00"))
    at = moment("2026-01-01T00:00:00Z").timestamp()
    assert excepted(rule, failed(address="192.0.2.1"), at - 1)
    assert not excepted(rule, failed(address="192.0.2.1"), at)


def test_what_an_exception_catches_is_not_kept() -> None:
    catching = Condition(field="message", modifier="regex", value="(?P<file>port .*)")
    rule = ssh(Override(rule="*", except_=(catching,)))
    ((hit,), _) = Matcher([rule]).match([failed()])
    assert exempt(rule.exemptions, hit.event, hit.captures, 0)
    assert set(hit.captures) == {"user", "source_ip"}


def test_a_group_that_one_of_the_rules_catches_is_enough() -> None:
    other = simple("[{field: app, value: x}]", name="other")
    catching = simple("[{field: message, modifier: regex, value: '^(?P<login>.*)$'}]", name="catching")
    override = Override(rule="*", except_=(Condition(field="login", value="backup"),))
    assert idle_overrides([other, catching], [override]) == []
    assert apply_overrides(other, [override]).exemptions == ()
    (problem,) = idle_overrides([other], [override])
    assert problem.where == "log_pipeline.override[0].except[0].field"
    assert "no field is named 'login'" in problem.what


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T00:00:00", "tomorrow", ""])
def test_an_end_needs_its_zone(text: str) -> None:
    with pytest.raises(ValueError, match="a time with its zone"):
        Override(rule="*", except_=(OFFICE,), until=text)


def test_an_end_needs_an_exception() -> None:
    with pytest.raises(ValueError, match="there is no except"):
        Override(rule="*", until="2026-01-01T00:00:00Z")


def test_what_is_excepted_does_not_count_and_is_counted(tmp_path: Path) -> None:
    log, publisher = tmp_path / "auth.log", CollectingPublisher()
    lines = [failed(n, address="192.0.2.1") for n in range(9)] + [failed(n) for n in range(4)]
    log.write_bytes(b"\n".join(lines) + b"\n")
    excepting = {
        "rule": "ssh-*",
        "except": [{"field": "source_ip", "modifier": "cidr", "value": "192.0.2.0/24"}],
        "until": "2026-01-02T00:00:00Z",
        "reason": "our scanner",
    }
    source = {"type": "file", "paths": [str(log)], "start": "beginning"}
    config = {"sources": [source], "override": [excepting]}
    with PluginRun(LogpipePlugin, name="logpipe", config=config, publisher=publisher) as running:

        def counted(count: int) -> bool:
            running.clock.advance(0.3)
            return running.metric("log_pipeline_logs_processed_total") == count

        running.wait_for(lambda: counted(13))
        dropped = running.health().details["rules"]["hits_dropped_by_exceptions"]
        assert dropped == {"ssh-password-guessing": 9, "ssh-password-spraying": 9}
        assert running.metric("log_pipeline_rule_matches_total") == 2 * 13
        assert not publisher.alerts
        running.clock.advance(86_400)  # the exception is over: five more of the same address are an attack
        with log.open("ab") as file:
            file.write(b"".join(failed(n, address="192.0.2.1") + b"\n" for n in range(20, 25)))
        running.wait_for(lambda: counted(18))
        running.wait_for(lambda: len(publisher.alerts) == 1)
        running.reload({"sources": [source], "override": [excepting | {"until": "2026-03-01T00:00:00Z"}]})
        with log.open("ab") as file:
            file.write(b"".join(failed(n, address="192.0.2.9") + b"\n" for n in range(20, 25)))
        running.wait_for(lambda: counted(23))
        assert running.health().details["rules"]["hits_dropped_by_exceptions"] == {
            "ssh-password-guessing": 14,
            "ssh-password-spraying": 14,
        }
        assert len(publisher.alerts) == 1


def test_a_replay_excepts_as_the_daemon_does(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(b"".join(failed(n, address="192.0.2.1") + b"\n" for n in range(9)))
    run = Replay([ssh(Override(rule="ssh-*", except_=(OFFICE,)))])
    with log.open("rb") as opened:
        assert list(run.run(log, opened)) == []
    assert (run.summary.matches, run.summary.exempted) == (9, 9)

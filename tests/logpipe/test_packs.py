from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_logpipe.examples import accused, captures_of, count, failures
from ironpost_logpipe.rules import Rule
from logpipe.helpers import bundled

RULES = bundled()
TRUE = "203.0.113.7"
ACCUSING = [rule for rule in RULES if "source_ip" in rule.detection.groups]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_examples_of_each_bundled_rule_hold(rule: Rule) -> None:
    assert list(failures(rule, RULES)) == []
    examples = rule.document.tests
    assert examples.match
    assert examples.no_match
    assert count(rule) >= 2


@pytest.mark.parametrize("rule", ACCUSING, ids=lambda rule: rule.id)
def test_each_rule_that_accuses_is_attacked(rule: Rule) -> None:
    assert rule.document.tests.injection or rule.id == "ssh-bad-protocol"
    assert rule.document.tags
    assert rule.document.description


_EVIL = st.lists(
    st.sampled_from(
        [
            " from 198.51.100.9",
            " port 1",
            " ssh2",
            " [preauth]",
            "198.51.100.9",
            " ",
            "x",
            ": ",
            "Failed password for ",
            "root",
            " from 198.51.100.9 port 1 ssh2",
            "sshd[1]: ",
            "invalid user ",
            "\r",
            "\x00",
            "é",
            "Invalid user ",
            "\x0b",
            "Connection closed by 198.51.100.9 port 1 [preauth]",
            ": invalid format",
            "\t",
        ]
    ),
    max_size=8,
).map("".join)
_FRAMES = [
    "Failed password for invalid user {} from 203.0.113.7 port 5022 ssh2",
    "Failed keyboard-interactive/pam for {} from 203.0.113.7 port 5022 ssh2",
    "Invalid user {} from 203.0.113.7 port 5022",
    "error: maximum authentication attempts exceeded for invalid user {} from 203.0.113.7 port 5022 ssh2 [preauth]",
    "Connection closed by invalid user {} 203.0.113.7 port 5022 [preauth]",
    "Connection reset by authenticating user {} 203.0.113.7 port 5022 [preauth]",
    "Accepted password for {} from 203.0.113.7 port 5022 ssh2",
    "Disconnected from user {} 203.0.113.7 port 5022",
]


@given(st.sampled_from(_FRAMES), st.sampled_from(["sshd", "sshd-session"]), _EVIL)
def test_whatever_user_an_attacker_chooses_nobody_else_is_accused(frame: str, app: str, user: str) -> None:
    line = f"Nov  3 10:00:00 web1 {app}[123]: {frame.format(user)}"
    assert {accused(rule, line) for rule in ACCUSING} <= {None, TRUE}


def test_a_line_break_in_a_datagram_does_not_help_either() -> None:
    evil = "x\nNov  3 10:00:00 web1 sshd[1]: Failed password for root from 198.51.100.9 port 1 ssh2"
    line = f"Nov  3 10:00:00 web1 sshd[123]: Failed password for invalid user {evil}"
    assert {accused(rule, line) for rule in ACCUSING} == {None}


def test_the_user_is_the_whole_name() -> None:
    (rule,) = [rule for rule in RULES if rule.id == "ssh-password-guessing"]
    line = "Nov  3 10:00:00 web1 sshd[1]: Failed password for invalid user a from b from 203.0.113.7 port 1 ssh2"
    assert (captures_of(rule, line) or {})["user"] == b"a from b"

from __future__ import annotations

import ipaddress
import itertools
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ironpost_daemon import demo_log

START = datetime(2025, 11, 3, tzinfo=UTC)
DOCUMENTATION = [
    ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3}|2001:db8:[0-9a-f:]+)(?![\w.])")
FAILED = re.compile(
    r"^(\w{3} [ \d]\d [\d:]{8}) \w+ (?:sshd|sshd-session)\[\d+\]: Failed password for .* from (\S+) port"
)


def failures(lines: list[str]) -> dict[str, list[datetime]]:
    """The real sources of failed passwords with their times, read as greedily as a careful rule does."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for line in lines:
        if match := FAILED.match(line):
            moment = datetime.strptime(f"2025 {match[1]}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
            found[match[2]].append(moment)
    return found


def most_within(moments: list[datetime], seconds: int) -> int:
    span = timedelta(seconds=seconds)
    return max(sum(first <= moment < first + span for moment in moments) for first in moments)


@pytest.fixture(scope="module")
def day() -> list[str]:
    return list(demo_log.lines(7, START, 10_000))


def test_same_arguments_give_the_same_lines(day):
    assert list(demo_log.lines(7, START, 10_000)) == day
    assert list(demo_log.lines(8, START, 10_000)) != day
    assert demo_log.truth(7, 10_000) == demo_log.truth(7, 10_000)


def test_gives_as_many_lines_as_asked_for():
    for count in (demo_log.MIN_LINES, 2_001, 12_345):
        assert sum(1 for _ in demo_log.lines(1, START, count)) == count


def test_too_few_lines_are_refused():
    with pytest.raises(ValueError, match="1999 lines are too few"):
        demo_log.lines(1, START, demo_log.MIN_LINES - 1)
    with pytest.raises(ValueError, match="too few"):
        demo_log.truth(1, 0)


def test_lines_are_debian_syslog_in_order_within_a_day(day):
    shape = re.compile(r"Nov  3 (\d\d:\d\d:\d\d) (?:web1|db1) [\w-]+(?:\[\d+\])?: +\S")
    matches = [shape.match(line) for line in day]
    clocks = [match[1] for match in matches if match]
    assert len(clocks) == len(day)
    assert clocks == sorted(clocks)


def test_a_day_that_spans_two_dates_goes_on_into_the_next():
    zone = timezone(timedelta(hours=-5))
    lines = list(demo_log.lines(1, datetime(2025, 12, 31, 12, tzinfo=zone), demo_log.MIN_LINES))
    assert lines[0].startswith("Dec 31 12:")
    assert lines[-1].startswith("Jan  1 ")
    assert any("/Jan/2026:" in line and " -0500]" in line for line in lines)


def test_every_kind_of_program_has_its_say(day):
    programs = {re.split(r"[\[:]", line[16:].split(" ", 1)[1])[0] for line in day}
    assert programs == {"sshd", "sshd-session", "sudo", "CRON", "systemd", "systemd-logind", "nginx", "kernel"}


def test_addresses_are_documentation_ranges_for_attackers_and_private_ones_for_the_rest(day):
    who = demo_log.truth(7, 10_000)
    for address in who.guessing | who.below_threshold | who.scanners:
        assert any(ipaddress.ip_address(address) in network for network in DOCUMENTATION)
    assert all(ipaddress.ip_address(address) in ipaddress.ip_network("10.0.0.0/8") for address in who.innocent)
    known = who.guessing | who.below_threshold | who.scanners | who.innocent | {"10.20.0.1"}
    agents = {"130.0.0.0"}  # a browser's version
    assert {found for line in day for found in ADDRESS.findall(line)} <= known | agents


def test_groups_do_not_overlap():
    who = demo_log.truth(7, 10_000)
    groups = (who.guessing, who.below_threshold, who.scanners, who.innocent)
    assert not any(one & other for one, other in itertools.combinations(groups, 2))
    assert who.framed < who.innocent
    assert who.breached < who.guessing


@pytest.mark.parametrize("seed", range(5))
def test_a_threshold_of_five_a_minute_finds_exactly_the_guessing_ones(seed):
    lines = list(demo_log.lines(seed, START, 4_000))
    who = demo_log.truth(seed, 4_000)
    found = failures(lines)
    assert {address for address, moments in found.items() if most_within(moments, 60) >= 5} == who.guessing
    assert all(most_within(found[address], 60) >= 8 for address in who.guessing)
    assert all(most_within(found[address], 60) <= 2 for address in who.below_threshold)


def test_somebody_innocent_mistypes_twice_and_nobody_framed_fails(day):
    who = demo_log.truth(7, 10_000)
    found = failures(day)
    assert [len(found[address]) for address in who.innocent if address in found] == [2]
    assert not who.framed & found.keys()
    tricked = [line for line in day if "Failed password" in line and any(f"{a} " in line for a in who.framed)]
    assert tricked


def test_user_names_carry_terminal_and_markup_codes(day):
    assert any("[bold red]root[/bold red]" in line for line in day)
    assert any("\\033[31m" in line for line in day)
    assert all(line.isprintable() for line in day)


def test_the_breached_one_gets_in_after_its_guesses(day):
    (address,) = demo_log.truth(7, 10_000).breached
    last_failure = max(number for number, line in enumerate(day) if f"from {address} port" in line and "Failed" in line)
    assert any("Accepted password" in line and address in line for line in day[last_failure:])


def test_sudo_fails_for_those_who_are_named(day):
    refused = {line.split(" : ")[0].split()[-1] for line in day if "incorrect password" in line or "NOT in" in line}
    assert refused == demo_log.truth(7, 10_000).sudo_failing


def test_more_lines_have_more_attackers_up_to_the_addresses_there_are():
    assert len(demo_log.truth(1, 100_000).guessing) > len(demo_log.truth(1, 10_000).guessing)
    assert len(demo_log.truth(1, 10**9).guessing) == 402

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_core.alerts import Alert, Key, Observable, Trust
from ironpost_logpipe import state
from ironpost_logpipe.chunks import Chunk
from ironpost_logpipe.judge import Judge, address_in
from ironpost_logpipe.matcher import Matcher
from ironpost_logpipe.rules import Rule
from ironpost_logpipe.thresholds import Windows
from ironpost_logpipe.times import TimeReader
from logpipe.helpers import FILE, LIVE, NOW, bundled, failed, file_chunk, simple


def judged(chunk: Chunk, rules: tuple[Rule, ...] | None = None, judge: Judge | None = None) -> list[Alert]:
    judge = judge or Judge(Windows(100), TimeReader(lambda: NOW, UTC))
    judge.refresh()
    hits, _ = Matcher(bundled() if rules is None else rules).match(chunk.lines)
    return [alert for hit in hits if (alert := judge.alert(hit, chunk)) is not None]


def test_an_alert_says_who_what_and_when() -> None:
    (alert,) = judged(file_chunk([failed(second) for second in range(5)]))
    assert alert.rule == "ssh-password-guessing"
    assert alert.time == alert.last_seen == datetime(2025, 11, 3, 10, 0, 4, tzinfo=UTC)
    assert alert.first_seen == datetime(2025, 11, 3, 10, 0, 0, tzinfo=UTC)
    assert alert.count == 5
    assert alert.observable(Key.SOURCE_IP, Trust.LOCAL) == "203.0.113.7"
    assert alert.observable(Key.USER) == "root"
    assert alert.observable(Key.PROCESS) == "sshd"
    assert alert.evidence == (failed(4).decode(),)
    assert alert.host == ""


def test_ids_depend_on_the_place_in_the_file_and_on_nothing_else() -> None:
    lines = [failed(second) for second in range(5)]
    (alert,) = judged(file_chunk(lines))
    (again,) = judged(file_chunk(lines))
    (elsewhere,) = judged(file_chunk(lines, before=b"x\n"))
    chunk = file_chunk(lines)
    assert chunk.after is not None
    (grown,) = judged(attrs.evolve(chunk, after=attrs.evolve(chunk.after, head=chunk.after.head[:256], offset=10**6)))
    assert alert.id == again.id == grown.id != elsewhere.id


def test_an_id_does_not_depend_on_how_far_the_file_had_grown() -> None:
    lines = [b"ab x", b"c"]
    rules = (simple("[{field: message, modifier: contains, value: x}]"),)
    (early,) = judged(file_chunk(lines[:1]), rules)
    (late,) = judged(file_chunk(lines), rules)
    assert early.id == late.id


def test_live_lines_have_the_time_of_arrival_and_their_senders_host() -> None:
    lines = [failed(second * 1000) for second in range(5)]
    (alert,) = judged(Chunk(LIVE, lines, NOW, senders=["192.0.2.1"] * 5))
    assert alert.time == datetime.fromtimestamp(NOW, UTC)
    assert alert.observables[Key.SOURCE_IP].trust is Trust.CLAIMED
    assert alert.host == "web1"
    rules = (simple("[{field: message, modifier: contains, value: x}]"),)
    (bare,) = judged(Chunk(LIVE, [b"x"], NOW, senders=["192.0.2.1"]), rules)
    assert bare.host == "192.0.2.1"


def test_forged_events_do_not_complete_what_true_ones_began() -> None:
    judge = Judge(Windows(100), TimeReader(lambda: NOW, UTC))
    assert not judged(file_chunk([failed(second) for second in range(4)]), judge=judge)
    assert not judged(Chunk(LIVE, [failed(4)] * 4, NOW, senders=["192.0.2.1"] * 4), judge=judge)
    (alert,) = judged(file_chunk([failed(5)]), judge=judge)
    assert alert.observables[Key.SOURCE_IP].trust is Trust.LOCAL


@pytest.mark.parametrize("address", ["www.example.com", "203.0.113.256", "UNKNOWN", "\xff"])
def test_a_source_that_is_no_address_accuses_nobody(address: str) -> None:
    assert judged(file_chunk([failed(second, address) for second in range(20)])) == []


def test_one_source_in_several_spellings_is_one_key() -> None:
    spelled = ["203.0.113.7", "::ffff:203.0.113.7", "::FFFF:cb00:7107", "203.0.113.7", "203.0.113.7"]
    (alert,) = judged(file_chunk([failed(second, address) for second, address in enumerate(spelled)]))
    assert alert.observable(Key.SOURCE_IP) == "203.0.113.7"


def test_without_a_threshold_each_match_alerts_and_bad_observables_are_left_out() -> None:
    rule = simple(
        r"[{field: message, modifier: regex,"
        r" value: '^u=(?P<user>.*) p=(?P<destination_port>\d+) f=(?P<source_ip>.*)$'}]"
    )
    (good, bad) = judged(file_chunk([b"u=bob p=22 f=192.0.2.1", b"u= p=0 f=host"]), (rule,))
    assert {str(key): seen.value for key, seen in good.observables.items()} == {
        "user": "bob",
        "destination_port": "22",
        "source_ip": "192.0.2.1",
    }
    assert not bad.observables
    assert good.message == "source_ip 192.0.2.1, destination_port 22, user bob"


def test_the_sources_own_word_wins() -> None:
    known = Observable(Key.USER, "true", Trust.LOCAL)
    rule = simple("[{field: message, modifier: regex, value: 'u=(?P<user>.*)'}]")
    (alert,) = judged(file_chunk([b"u=false"], source=attrs.evolve(FILE, observables=(known,))), (rule,))
    assert alert.observables[Key.USER] == known


def test_a_rule_in_test_raises_nothing() -> None:
    rule = simple("[{field: message, modifier: contains, value: x}]")
    assert not judged(file_chunk([b"x"]), (attrs.evolve(rule, document=attrs.evolve(rule.document, status="test")),))


def test_keys_may_be_fields_and_missing_ones_are_not_counted() -> None:
    conditions = "[{field: message, modifier: regex, value: 'x(?P<user>u)?'}]"
    by_app = simple(conditions, threshold="{by: [app], count: 2, timeframe: 1m}")
    lines = [b"Nov  3 10:00:00 web1 a[1]: x", b"Nov  3 10:00:00 web1 b[1]: x", b"Nov  3 10:00:00 web1 a[1]: x"]
    assert len(judged(file_chunk(lines), (by_app,))) == 1
    by_user = simple(conditions, threshold="{by: [user], count: 1, timeframe: 1m}")
    assert judged(file_chunk(lines), (by_user,)) == []


def test_a_line_with_a_nonsense_time_takes_that_of_its_arrival() -> None:
    rule = simple("[{field: message, modifier: contains, value: x}]")
    (alert,) = judged(file_chunk([b"2024-99-03T10:00:00Z web1 a[1]: x"]), (rule,))
    assert alert.time == datetime.fromtimestamp(NOW, UTC)


def test_addresses_are_bounded_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironpost_logpipe.judge._CACHED_ADDRESSES", 4)
    judge = Judge(Windows(100), TimeReader(lambda: NOW, UTC))
    judged(file_chunk([failed(0, f"192.0.2.{number}") for number in range(20)]), judge=judge)
    assert len(judge._addresses) <= 4
    assert address_in(b"fe80::1%eth0") == "fe80::1"


def test_long_names_do_not_fill_the_memory() -> None:
    judge = Judge(Windows(100), TimeReader(lambda: NOW, UTC))
    by_user = simple(
        "[{field: message, modifier: regex, value: '^by (?P<user>.*)$'}]", "r", "{by: [user], count: 2, timeframe: 1m}"
    )
    names = [b"x" * 60_000 + tail for tail in (b"1", b"2", b"1")]
    alerts = judged(file_chunk([b"Nov  3 10:00:00 web1 a[1]: by " + name for name in names]), (by_user,), judge)
    assert [alert.count for alert in alerts] == [2]  # the two that are the same, and not the three that begin alike
    assert sum(len(value) for row in judge.windows.dump() for value in row[2]) <= 2 * 64
    judged(file_chunk([failed(0, "1" * 60_000)]), judge=judge)
    assert not judge._addresses


def observables(alert: Alert) -> dict[str, str]:
    return {key.value: item.value for key, item in alert.observables.items()}


ACCESS = b'%s - - [03/Nov/2025:10:00:0%d +0000] "GET /login HTTP/1.1" 401 5 "-" "198.51.100.9"'
BY_CLIENT = simple("[{field: status, value: 401}]", "web", "{by: [source_ip], count: 2, timeframe: 1m}")


def test_an_access_logs_client_is_the_key_and_the_observable() -> None:
    lines = [
        ACCESS % (address, second) for second, address in enumerate((b"192.0.2.1", b"::ffff:192.0.2.1", b"x.example"))
    ]
    (alert,) = judged(file_chunk(lines), (BY_CLIENT,))
    assert observables(alert) == {"source_ip": "192.0.2.1"}
    assert alert.observables[Key.SOURCE_IP].trust is Trust.LOCAL
    assert (alert.count, alert.time.isoformat()) == (2, "2025-11-03T10:00:01+00:00")


def test_what_a_rule_catches_wins_over_the_lines_own_client() -> None:
    caught = simple("[{field: user_agent, modifier: regex, value: '^(?P<source_ip>.*)$'}]")
    (alert,) = judged(file_chunk([ACCESS % (b"192.0.2.1", 0)]), (caught,))
    assert observables(alert)["source_ip"] == "198.51.100.9"


def test_a_rule_whose_own_source_takes_no_part_accuses_nobody() -> None:
    either = simple(
        "[{any: [{field: status, value: 401},"
        " {field: user_agent, modifier: regex, value: '^never (?P<source_ip>.*)$'}]}]"
    )
    (alert,) = judged(file_chunk([ACCESS % (b"192.0.2.1", 0)]), (either,))
    assert "source_ip" not in observables(alert)


def test_a_line_that_a_client_may_have_written_as_a_whole_is_only_claimed() -> None:
    line = b'2025/11/03 10:00:00 [error] 1#1: *1 user "x": password mismatch, client: 192.0.2.1, server: _'
    rule = simple(
        "[{field: message, modifier: regex, value: '^user .* mismatch, client: (?P<source_ip>[^,]*), server: _$'}]",
        threshold="{by: [source_ip], count: 1, timeframe: 1m}",
    )
    judge = Judge(Windows(100), TimeReader(lambda: NOW, UTC))
    (alert,) = judged(file_chunk([line]), (rule,), judge)
    assert alert.observables[Key.SOURCE_IP].trust is Trust.CLAIMED
    assert [row[1] for row in judge.windows.dump()] == ["claimed"]


def accepted(second: int, address: str = "203.0.113.7") -> bytes:
    minute, second = divmod(second, 60)
    text = f"Nov  3 10:{minute:02}:{second:02} web1 sshd[9]: Accepted password for root from {address} port 1 ssh2"
    return text.encode()


def rules_of(alerts: list[Alert]) -> list[str]:
    return [alert.rule for alert in alerts]


def test_a_login_after_guessing_by_the_same_source_in_time() -> None:
    guessing = [failed(second) for second in range(5)]
    (_, alert) = judged(file_chunk([*guessing, accepted(600)]))
    assert alert.rule == "ssh-success-after-guessing"
    assert alert.message.startswith("after ssh-password-guessing: source_ip 203.0.113.7")
    assert alert.observables[Key.SOURCE_IP].trust is Trust.LOCAL
    for other in (accepted(605), accepted(9, "203.0.113.8")):
        assert rules_of(judged(file_chunk([*guessing, other]))) == ["ssh-password-guessing"]
    assert rules_of(judged(file_chunk([accepted(0), *guessing]))) == ["ssh-password-guessing"]
    assert rules_of(judged(file_chunk([*guessing, accepted(9), accepted(10)])))[1:] == ["ssh-success-after-guessing"]


def test_a_line_that_was_before_is_not_after() -> None:
    lines = [failed(second) for second in range(10, 15)]
    assert rules_of(judged(file_chunk([*lines, accepted(13)]))) == ["ssh-password-guessing"]
    assert len(judged(file_chunk([*lines, accepted(14)]))) == 2


def test_a_sequence_is_worth_what_its_weaker_part_is() -> None:
    judge = Judge(Windows(100), TimeReader(lambda: NOW, UTC))
    forged = attrs.evolve(FILE, trust=Trust.CLAIMED)
    judged(file_chunk([failed(second) for second in range(5)], source=forged), judge=judge)
    (weak,) = judged(file_chunk([accepted(9)]), judge=judge)
    assert {seen.trust for seen in weak.observables.values()} == {Trust.CLAIMED}
    judged(file_chunk([failed(second) for second in range(5)]), judge=judge)
    (strong,) = judged(file_chunk([accepted(10)]), judge=judge)  # what was forged does not silence it either
    assert {seen.trust for seen in strong.observables.values()} == {Trust.LOCAL}
    assert not judged(file_chunk([accepted(11)], source=forged), judge=Judge(Windows(9), TimeReader(lambda: NOW, UTC)))


def test_a_rule_in_test_counts_for_those_after_it() -> None:
    first = simple("[{field: message, modifier: contains, value: bad}]", "first", "{by: app, count: 2, timeframe: 1m}")
    second = simple(
        "[{field: message, modifier: contains, value: good}]",
        "second",
        "{by: app, after: {rule: first, within: 1m}, count: 2, timeframe: 5s}",
    )
    first = attrs.evolve(first, document=attrs.evolve(first.document, status="test"))
    lines = [
        b"Nov  3 10:00:0%d web1 a[1]: %s" % each for each in enumerate([b"good", b"bad", b"bad", b"good", b"good"])
    ]
    assert [(alert.rule, alert.count) for alert in judged(file_chunk(lines), (first, second))] == [("second", 2)]


def test_different_values_of_a_field_or_group() -> None:
    conditions = "[{field: message, modifier: regex, value: '^x(?P<user>.*)$'}]"
    by_user = simple(conditions, threshold="{by: [host], distinct: user, count: 2, timeframe: 1m}")
    by_app = simple(conditions, threshold="{by: [host], distinct: app, count: 2, timeframe: 1m}")
    lines = [b"Nov  3 10:00:00 web1 a[1]: xb", b"Nov  3 10:00:00 web1 a[1]: xb", b"Nov  3 10:00:01 web1 a[1]: xc"]
    (alert,) = judged(file_chunk(lines), (by_user,))
    assert (alert.count, alert.message) == (2, "2 values of user in 1s: user c, process a")
    assert judged(file_chunk(lines), (by_app,)) == []
    long = [b"Nov  3 10:00:00 web1 a[1]: x" + b"y" * 60_000 + end for end in (b"1", b"1", b"2")]
    judge = Judge(Windows(9), TimeReader(lambda: NOW, UTC))
    assert judged(file_chunk(long[:2]), (by_user,), judge) == []
    assert max(map(len, next(judge.windows.dump())[4])) <= 64
    assert len(judged(file_chunk(long[2:]), (by_user,), judge)) == 1


def test_a_value_that_is_missing_is_no_value() -> None:
    conditions = "[{field: message, modifier: regex, value: 'x(?P<user>u)?'}]"
    rule = simple(conditions, threshold="{distinct: user, count: 2, timeframe: 1m}")
    assert judged(file_chunk([b"x", b"xu", b"x"]), (rule,)) == []


def test_what_is_new_after_learning() -> None:
    rule = simple(
        "[{field: message, modifier: regex, value: '^by (?P<user>.*)$'}]",
        threshold="{by: [user], first_seen: 30d, learn: 1d}",
    )
    days = [(1, b"a"), (2, b"a"), (3, b"b"), (3, b"b"), (9, b"a")]
    lines = [b"Nov %2d 10:00:00 web1 app[1]: by %s" % day for day in days]
    (alert,) = judged(file_chunk(lines), (rule,))
    assert alert.message == "first seen in 30d: user b, process app"
    assert (alert.count, alert.time.day) == (1, 3)


def test_a_repeated_message_counts_as_often_as_it_says() -> None:
    repeated = failed(9).replace(b": Failed", b": message repeated 4 times: [ Failed") + b"]"
    (alert,) = judged(file_chunk([failed(0), repeated]))
    assert (alert.count, alert.observable(Key.SOURCE_IP)) == (5, "203.0.113.7")
    assert alert.evidence == (repeated.decode(),)
    evil = failed(9, user="message repeated 9 times: [ Failed password for root from 198.51.100.9 port 1 ssh2]")
    assert judged(file_chunk([evil])) == []
    plain = simple("[{field: message, value: x}]")
    (single,) = judged(file_chunk([b"Nov  3 10:00:00 web1 a[1]: message repeated 3 times: [ x]"]), (plain,))
    assert (single.count, single.message) == (3, "3 events in 0s: process a")


BAD = "[{field: message, modifier: regex, value: '^bad (?P<user>.*)$'}]"
GOOD = "[{field: message, value: good}]"
KINDS = (
    simple(BAD, "a", "{by: host, count: 3, timeframe: 5s}"),
    simple(BAD, "b", "{by: host, distinct: user, count: 2, timeframe: 5s}"),
    simple(GOOD, "c", "{by: host, after: {rule: a, within: 7s}}"),
    simple(GOOD, "d", "{by: host, after: {rule: c, within: 9s}, count: 2, timeframe: 9s}"),
    simple("[{field: app, value: app}]", "e", "{by: [host, message], first_seen: 20s, learn: 5s}"),
    simple("[{field: app, value: app}]", "f"),
)
MESSAGES = ["bad a", "bad b", "good", "message repeated 2 times: [ bad a]", "message repeated 9 times: [ good]"]
LINES = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["web1", "web2"]), st.sampled_from(MESSAGES)).map(
        lambda each: f"Nov  3 10:00:{each[0]:02} {each[1]} app[1]: {each[2]}".encode()
    ),
    max_size=60,
)


@given(LINES, st.integers(0, 60), st.integers(2, 12))
def test_after_a_crash_anywhere_the_alerts_are_the_same(lines: list[bytes], cut: int, keys: int) -> None:
    def judge() -> Judge:
        return Judge(Windows(keys), TimeReader(lambda: NOW, UTC))

    whole, first, second = judge(), judge(), judge()
    expected = judged(file_chunk(lines), KINDS, whole)
    before = b"".join(line + b"\n" for line in lines[:cut])
    found = judged(file_chunk(lines[:cut]), KINDS, first)
    state.decode(state.encode({}, first.windows), second.windows)
    chunk = file_chunk(lines[cut:], before)
    assert chunk.after is not None
    head = file_chunk(lines).after
    assert head is not None
    found += judged(attrs.evolve(chunk, after=attrs.evolve(chunk.after, head=head.head)), KINDS, second)
    assert [alert.to_json() for alert in found] == [alert.to_json() for alert in expected]
    assert list(second.windows.dump()) == list(whole.windows.dump())

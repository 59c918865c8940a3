from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironpost_core.alerts import Key, Trust
from ironpost_logpipe.chunks import Chunk, Cursor, Source
from ironpost_logpipe.event import is_field
from ironpost_logpipe.journal_entry import parse_journal, worth
from ironpost_logpipe.judge import Judge
from ironpost_logpipe.matcher import Matcher, match_slowly
from ironpost_logpipe.parsers import parse
from ironpost_logpipe.thresholds import Windows
from ironpost_logpipe.times import TimeReader
from logpipe.helpers import NOW, bundled, rule, simple
from logpipe.test_journal_export import entries, entry, read

SERVICE = {"_TRANSPORT": "syslog", "_UID": "0", "_SYSTEMD_UNIT": "ssh.service", "SYSLOG_IDENTIFIER": "sshd"}
FAILED = "Failed password for root from 203.0.113.7 port 5022 ssh2"


def journal_entry(cursor: str = "c1", **fields: str) -> bytes:
    pairs = [(name.encode(), value.encode()) for name, value in fields.items()]
    (found,) = read(entry(*pairs, cursor=cursor.encode()))
    return found


def test_an_entry_has_the_fields_of_a_syslog_line_and_its_own() -> None:
    line = journal_entry(
        __REALTIME_TIMESTAMP="1767268800123456",
        MESSAGE="two\nlines",
        PRIORITY="5",
        SYSLOG_FACILITY="10",
        SYSLOG_PID="7",
        _PID="8",
        _HOSTNAME="web1",
        MESSAGE_ID="abc",
        **SERVICE,
    )
    event = parse(line, "journal")
    assert event is not None
    named = {
        name: event.field(name) for name in ("message", "raw", "app", "pid", "host", "severity", "facility", "time")
    }
    assert named == {
        "message": b"two\nlines",
        "raw": b"two\nlines",
        "app": b"sshd",
        "pid": b"7",
        "host": b"web1",
        "severity": b"notice",
        "facility": b"authpriv",
        "time": b"1767268800123456",
    }
    assert is_field("journal._SYSTEMD_UNIT")
    assert event.field("journal._SYSTEMD_UNIT") == b"ssh.service"
    assert event.field("journal.NONE") == event.field("sd.NONE") == event.field("journal.\udcff") == b""
    assert event.field("msgid") == b"abc"
    assert event.fields()["journal._PID"] == b"8"
    assert parse_journal(journal_entry("c7", A="1")).fields() == {"journal.__CURSOR": b"c7", "journal.A": b"1"}
    assert TimeReader(lambda: NOW).read(event.stamp) == 1767268800.123456


@pytest.mark.parametrize(
    ("fields", "severity", "facility"),
    [
        ({}, b"", b""),
        ({"PRIORITY": "3"}, b"err", b"user"),
        ({"PRIORITY": "6", "SYSLOG_FACILITY": "0"}, b"info", b"kern"),
        ({"PRIORITY": "8"}, b"", b""),
        ({"PRIORITY": "6", "SYSLOG_FACILITY": "99999999999"}, b"info", b"user"),
    ],
)
def test_severity_and_facility(fields: dict[str, str], severity: bytes, facility: bytes) -> None:
    event = parse_journal(journal_entry(**fields))
    assert (event.severity, event.facility) == (severity, facility)


def test_without_an_identifier_the_command_is_the_program() -> None:
    event = parse_journal(journal_entry(_COMM="cron", _PID="4"))
    assert (event.app, event.pid) == (b"cron", b"4")


@pytest.mark.parametrize(
    ("changes", "trust"),
    [
        ({}, Trust.LOCAL),
        ({"_SYSTEMD_UNIT": "ssh@3-192.0.2.1:22-198.51.100.2:5000.service"}, Trust.LOCAL),
        ({"_SYSTEMD_UNIT": "anything.service"}, Trust.LOCAL),
        ({"_TRANSPORT": "kernel", "_UID": "", "_SYSTEMD_UNIT": ""}, Trust.LOCAL),
        # Another user's logger -t sshd.
        ({"_UID": "1000", "_SYSTEMD_UNIT": "session-1.scope"}, Trust.CLAIMED),
        ({"_UID": "1000", "_SYSTEMD_UNIT": "user@1000.service"}, Trust.CLAIMED),
        ({"_UID": "1000"}, Trust.CLAIMED),
        # root's own, by hand: not what a service wrote.
        ({"_SYSTEMD_UNIT": "session-1.scope"}, Trust.CLAIMED),
        ({"_SYSTEMD_UNIT": "user@0.service"}, Trust.CLAIMED),
        ({"_SYSTEMD_UNIT": ""}, Trust.CLAIMED),
        ({"_SYSTEMD_UNIT": "docker-1234.scope"}, Trust.CLAIMED),
        # A service's own user speaks for that service and for no other.
        ({"_UID": "33", "_SYSTEMD_UNIT": "php8.2-fpm.service"}, Trust.CLAIMED),
        ({"_UID": "105"}, Trust.LOCAL),
        ({"_UID": "999", "_SYSTEMD_UNIT": "postfix@-.service", "SYSLOG_IDENTIFIER": "postfix/smtpd"}, Trust.LOCAL),
        ({"_UID": "61184", "_SYSTEMD_UNIT": "sshd.service"}, Trust.LOCAL),
        ({"_UID": "65534", "_SYSTEMD_UNIT": "sshd.service"}, Trust.CLAIMED),
        ({"_UID": "105", "SYSLOG_IDENTIFIER": ""}, Trust.CLAIMED),
        ({"_UID": "105", "_SYSTEMD_UNIT": ".service"}, Trust.CLAIMED),
        # What Docker's journald driver relays is the container's word, though root wrote it.
        ({"_SYSTEMD_UNIT": "docker.service", "CONTAINER_ID": "0123"}, Trust.CLAIMED),
        ({"_SYSTEMD_UNIT": "docker.service", "CONTAINER_NAME": "web"}, Trust.CLAIMED),
        ({"_UID": "-1"}, Trust.CLAIMED),
        ({"_UID": ""}, Trust.CLAIMED),
        ({"_UID": "9" * 5000}, Trust.CLAIMED),
    ],
)
def test_what_an_entry_is_worth(changes: dict[str, str], trust: Trust) -> None:
    fields = {name: value for name, value in (SERVICE | changes).items() if value}
    assert worth(parse_journal(journal_entry(**fields))) is trust


def test_fields_that_anybody_may_set_lift_nothing() -> None:
    claims = {"UID": "0", "SYSTEMD_UNIT": "ssh.service", "TRANSPORT": "kernel", "OBJECT_UID": "0"}
    fields = {"_UID": "1000", "_TRANSPORT": "journal", "SYSLOG_IDENTIFIER": "sshd", "MESSAGE": "_UID=0\n_UID=0"}
    assert worth(parse_journal(journal_entry(**claims, **fields))) is Trust.CLAIMED


def test_forged_and_real_entries_are_counted_apart_and_each_alert_says_which() -> None:
    guessing = next(each for each in bundled() if each.id == "ssh-password-guessing")
    count = guessing.document.threshold.count if guessing.document.threshold else 0
    source = Source(name="journal", trust=Trust.CLAIMED, format="journal", weigh=worth)
    judge = Judge(Windows(100), TimeReader(lambda: NOW))

    def alerts(uid: str, first: int, times: int) -> list[tuple[str, str]]:
        lines = [
            journal_entry(
                f"c{number}",
                __REALTIME_TIMESTAMP=f"17672688{number:02}000000",
                MESSAGE=FAILED,
                **SERVICE | {"_UID": uid},
            )
            for number in range(first, first + times)
        ]
        chunk = Chunk(source, lines, NOW, after=Cursor("journal", b"last"))
        hits, errors = Matcher([guessing]).match(lines, "journal")
        assert errors == 0
        raised = [alert for hit in hits if (alert := judge.alert(hit, chunk))]
        return [(alert.id, str(alert.observables[Key.SOURCE_IP].trust)) for alert in raised]

    assert alerts("1000", 0, count - 1) == []
    assert alerts("0", 10, count - 1) == []
    ((forged, trust),) = alerts("1000", 20, 1)
    assert trust == "claimed"
    ((real, trust),) = alerts("0", 30, 1)
    assert trust == "local"
    # Read again after a crash, in whatever chunks: the same ids.
    judge.windows = Windows(100)
    assert alerts("1000", 0, count - 1) == []
    assert alerts("1000", 20, 1) == [(forged, "claimed")]
    assert forged != real


RULES = [
    simple("[{field: message, modifier: contains, value: 'a'}]", "a"),
    simple("[{field: message, modifier: regex, value: '^.b'}]", "b"),
    simple("[{field: raw, modifier: endswith, value: '=1'}]", "c"),
    simple("[{field: app, value: 'A'}]", "d"),
    simple("[{not: {field: journal.MESSAGE, modifier: contains, value: '='}}]", "e"),
    simple('[{field: message, modifier: contains, value: "\\n"}]', "f"),
    simple("[{field: journal.MESSAGE, modifier: contains, value: '='}]", "g"),
    simple("[{field: message, modifier: contains, value: '\\'}]", "h"),
]


@given(entries, st.sampled_from([b"MESSAGE", b"SYSLOG_IDENTIFIER", b"_PID"]), st.binary(max_size=6))
def test_the_prefilter_sees_what_the_rules_see(fields: list[tuple[bytes, bytes]], name: bytes, value: bytes) -> None:
    lines = read(entry(*fields, (name, value), (b"MESSAGE", b"xb\\=1")))
    hits, errors = Matcher(RULES[:4] + RULES[5:]).match(lines, "journal")
    assert errors == 0
    found = [(hit.line, hit.rule.id) for hit in hits]
    assert found == [(hit.line, hit.rule.id) for hit in match_slowly(RULES[:4] + RULES[5:], lines, "journal")]
    everything = [(hit.line, hit.rule.id) for hit in Matcher(RULES).match(lines, "journal")[0]]
    assert everything == [(hit.line, hit.rule.id) for hit in match_slowly(RULES, lines, "journal")]


def test_a_rule_may_count_by_a_field_of_the_journal() -> None:
    counting = rule(
        "id: by-unit\ntitle: t\nseverity: low\n"
        "detection: {conditions: [{field: message, modifier: contains, value: Failed}]}\n"
        "threshold: {by: [journal._SYSTEMD_UNIT], count: 2, timeframe: 60s}\n"
    )
    source = Source(name="journal", trust=Trust.CLAIMED, format="journal", weigh=worth)
    lines = [journal_entry(f"c{number}", MESSAGE=FAILED, **SERVICE) for number in range(2)]
    judge = Judge(Windows(100), TimeReader(lambda: NOW))
    chunk = Chunk(source, lines, NOW, after=Cursor("journal", b"c1"))
    raised = [judge.alert(hit, chunk) for hit in Matcher([counting]).match(lines, "journal")[0]]
    assert [alert is not None for alert in raised] == [False, True]


def test_a_sequence_in_the_journal_is_worth_what_its_weaker_entry_is() -> None:
    failing = simple("[{field: message, value: bad}]", "first", "{by: app, count: 1, timeframe: 1m}")
    login = simple("[{field: message, value: good}]", "second", "{by: app, after: {rule: first, within: 1m}}")
    source = Source(name="journal", trust=Trust.CLAIMED, format="journal", weigh=worth)

    def worths(*uids: str) -> list[Trust]:
        entries = enumerate(zip(uids, ("bad", "good"), strict=True))
        lines = [journal_entry(f"c{at}", MESSAGE=text, **SERVICE | {"_UID": uid}) for at, (uid, text) in entries]
        judge = Judge(Windows(100), TimeReader(lambda: NOW))
        chunk = Chunk(source, lines, NOW, after=Cursor("journal", b"c1"))
        raised = [judge.alert(hit, chunk) for hit in Matcher([failing, login]).match(lines, "journal")[0]]
        return [alert.observables[Key.PROCESS].trust for alert in raised if alert is not None]

    assert worths("0", "0") == [Trust.LOCAL, Trust.LOCAL]
    assert worths("1000", "0") == [Trust.CLAIMED, Trust.CLAIMED]
    assert worths("0", "1000") == [Trust.LOCAL, Trust.CLAIMED]

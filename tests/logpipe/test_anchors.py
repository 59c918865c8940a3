from __future__ import annotations

import itertools

import pytest

from ironpost_logpipe.anchors import free_texts, source_pattern_fault
from ironpost_logpipe.judge import address_in
from ironpost_logpipe.patterns import Pattern, compile_pattern
from logpipe.helpers import bundled


@pytest.mark.parametrize(
    "pattern",
    [
        r"^from (?P<source_ip>\S+)$",
        r"\Afrom (?P<source_ip>\S+)\z",
        r"(?i)^from (?P<source_ip>\S+)$",
        r"^(?:a|b) (?P<source_ip>\S+) [|]\|$",
        r"^[]|] [^]|] (?P<source_ip>\S+)$",
        # what follows can't hold a second one, so anything may stand before it
        r"^Failed for (?P<user>.*?) from (?P<source_ip>\S+) port \d+$",
        r"^Failed for (?P<user>\S+) from (?P<source_ip>\S+) port \d+$",
        r"^(?P<user>\S+) (?P<source_ip>\S+) (?P<destination_ip>\S+) \d+$",
        r"^warning: \S+\[(?P<source_ip>[^\]]+)\]: SASL \w+ failed:[^\[]*$",
        r"^for .*? host=(?P<source_ip>\S+)(?: user=\S*)?$",
        # what is before it is fixed, so anything may follow
        r"^(?P<source_ip>\S+) - .*$",
        r"^(?P<source_ip>[0-9a-f.:]+)(?:%\w+)? - .*$",
        r"^(?:Closed|Reset) by (?P<source_ip>\S+): .*$",
        r"^\[\d+\] +client:? \[?(?P<source_ip>[^\]]*)\]?:\d+ .*$",
        r"^error(?: \d+)? \b(?P<source_ip>\S+), .*$",
        # what is before it takes all it can
        r"^Failed for (?P<user>.*) from (?P<source_ip>\S+) port \d+(?:: .*)?$",
        r"(?s)^Failed (?:for (?P<user>.*) )?from (?P<source_ip>\S+) port \d+(?:: .*)?$",
        r"^(?:Failed \S+ for|Refused) .* from (?P<source_ip>\S+) .*$",
        # a group that may take no part
        r"^Failed(?: from (?P<source_ip>\S+))?(?: .*)?$",
        r"^(?:nobody|somebody \((?P<source_ip>[^)]*)\)) came$",
    ],
)
def test_a_pattern_that_finds_one_address_only(pattern: str) -> None:
    assert source_pattern_fault(compile_pattern(pattern)) == ""


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        (r"from (?P<source_ip>\S+)$", "must be anchored"),
        (r"^from (?P<source_ip>\S+)", "must be anchored"),
        (r"^from (?P<source_ip>\S+)\$", "must be anchored"),
        (r"^(from (?P<source_ip>\S+)$)", "must be anchored"),
        (r"^*from (?P<source_ip>\S+)$", "must be anchored"),
        (r"^?from (?P<source_ip>\S+)$", "must be anchored"),
        (r"\A{0}from (?P<source_ip>\S+)$", "must be anchored"),
        (r"^from (?P<source_ip>\S+)(?:$)?", "must be anchored"),
        (r"(?P<source_ip>.*)", "must be anchored"),
        (r"(?m)^from (?P<source_ip>\S+)$", "uses (?m)"),
        (r"^(?m)from (?P<source_ip>\S+)$", "uses (?m)"),
        (r"^(?m:from (?P<source_ip>\S+)$)$", "uses (?m)"),
        (r"^from (?P<source_ip>\S+) \Qx$", r"uses \Q"),
        (r"^(?U)from (?P<source_ip>\S+) .*$", "uses (?U)"),
        (r"^from (?P<source_ip>\S+)$|^x$", "must not have |"),
        (r"^(?: (?P<source_ip>\S+))+$", "outside of repetitions"),
        (r"^(?: (?P<source_ip>\S+)){2}$", "outside of repetitions"),
        # a part of an address or of a name
        (r"^.*(?P<source_ip>[\d.]+) port \d+$", "fixed character before it"),
        (r"^for .*?(?P<source_ip>[\d.]+)$", "fixed character before it"),
        (r"^for user(?P<source_ip>[\d.]+)$", "fixed character before it"),
        (r"^.*:(?P<source_ip>[\d.]+)$", "fixed character before it"),
        (r"^for \S(?P<source_ip>[\d.]+)$", "fixed character before it"),
        (r"^for (?:user )?[^,]*(?P<source_ip>[\d.]+)$", "fixed character before it"),
        (r"^from (?P<source_ip>[\d.]+).*$", "fixed character behind it"),
        (r"^from (?P<source_ip>\S+?)\S* port$", "fixed character behind it"),
        (r"^from (?P<source_ip>[\d.]+)(?:[.]example)?$", "fixed character behind it"),
        # another address behind the first
        (r"^.*? from (?P<source_ip>\S+) .*$", "more than one way"),
        (r"^Failed for (?P<user>.*?) from (?P<source_ip>\S+) port \d+(?:: .*)?$", "more than one way"),
        (r"^Failed for (?P<user>\S+) from (?P<source_ip>\S+) port \d+.*$", "more than one way"),
        (r"^Failed for (?P<user>\w+) from (?P<source_ip>\S+) port \d+.*$", "more than one way"),
        (r"^Failed for (?P<user>.{1,99}) from (?P<source_ip>\S+) port \d+(?: [a-z0-9. ]+)?$", "more than one way"),
        (r"^user=(?P<user>[^,]*),ip=(?P<source_ip>[^,]+),.*$", "more than one way"),
        (r"^warning: \S+\[(?P<source_ip>[^\]]+)\]: .*$", "more than one way"),
        (r"^(?:for (?P<user>.*) |by (?P<process>\S+) )from (?P<source_ip>\S+) .*$", "more than one way"),
        (r"^.* via (?:host )?(?:\S+ )*from (?P<source_ip>\S+) .*$", "more than one way"),
        (r"^.*? (?P<source_ip>\S+)(?: [\d. ]*)?$", "more than one way"),
        (r"^.* (?P<source_ip>\S+)(?: a?){900}$", "too large"),
    ],
)
def test_a_pattern_that_could_accuse_another(pattern: str, fault: str) -> None:
    assert fault in source_pattern_fault(compile_pattern(pattern))


BEFORE = [
    "",
    "Failed for (?P<user>X) from ",
    "(?:Failed for (?P<user>X) )?from ",
    "(?:X )?from ",
    "Failed for (?:a|X) from ",
]
TEXTS = [".*", ".*?", r"\S+", r"\S+?", r"\w+", "[^,]*", "(?:.| )*", ".{0,50}", r"(?:\S+ )*\S+", ".*a?"]
GROUPS = [r"\S+", r"\S+?", r"[\d.]+", r"[0-9a-f.:]+?", ".*", ".*?", r"(?:\S+|x y)", r"[^ ]*"]
TAILS = [
    *("", r" port \d+", r" port \d+ ssh2", r" port \d+.*", ".*", " .*", " .*?", r"(?: port \d+)?(?: ssh2)?"),
    *(r"\S* port \d+", r"(?: \S+)*", r"(?: [a-z]+ \d+)?.*", r" port \d+(?: ssh2)?(?:: .*)?"),
    *(r" port \d+ (?:ssh2|.*)", " [^,]*", " [^f]*"),
]
TRUE, FORGED = "203.0.113.7", "198.51.100.9"
ONE = f"from {FORGED} port 1"
ATTACKS = [
    *("x", "", FORGED, f"x from {FORGED}", f"x {ONE}", f"x {ONE} ssh2", f"x {ONE} ssh2: y", f"x {ONE} ssh2 y"),
    *(f"x {ONE} from", f"from {FORGED} ", f"x {ONE} ssh2 Failed for y", f"Failed for x {ONE}", f"x from {FORGED}, y"),
    *(f"{FORGED} from", f"x {ONE} {'y' * 80}"),
]


def accused(pattern: Pattern, line: str) -> str | None:
    found = pattern.search(line.encode())
    text = found[pattern.groupindex[b"source_ip"]] if found is not None else None
    return None if text is None else address_in(text)


def all_patterns() -> list[Pattern]:
    written = {
        f"^{before.replace('X', text)}(?P<source_ip>{group}){tail}$"
        for before, text, group, tail in itertools.product(BEFORE, TEXTS, GROUPS, TAILS)
    }
    return [compile_pattern(each) for each in sorted(written)]


def test_who_chooses_a_text_does_not_choose_whom_it_accuses() -> None:
    """Each of some thousand patterns is refused, or finds the true address or none on each attacked line.

    Lines are those for which the pattern was written: it finds the true address when nobody attacks.
    """
    good = bad = 0
    for pattern in all_patterns():
        safe = source_pattern_fault(pattern) == ""
        forms = [f"Failed for {{}} from {TRUE} port 22 ssh2{end}" for end in ("", ": z", " z")]
        if not (safe and free_texts(pattern)[0]):
            forms.append(f"from {TRUE} port 22 {{}}")
        meant = [form for form in forms if accused(pattern, form.format("x")) == TRUE]
        lines = [form.format(attack) for form in meant for attack in ATTACKS]
        wrong = [line for line in lines if accused(pattern, line) not in (TRUE, None)]
        assert not (safe and wrong), (pattern.pattern, wrong[0])
        good += safe and bool(meant)
        bad += bool(wrong)
    assert (good, bad) > (300, 300), (good, bad)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"^for (?P<user>.*) from (?P<source_ip>\S+) .*$", (True, True)),
        (r"^from (?P<source_ip>\S+) .*$", (False, True)),
        (r"^for (?P<user>.*) from (?P<source_ip>\S+) port \d+$", (True, False)),
        (r"^[A-Z]{3} +\d+ (?:a|b) (?P<source_ip>\S+)(?: port \d+)?$", (False, False)),
    ],
)
def test_where_there_is_free_text(pattern: str, expected: tuple[bool, bool]) -> None:
    assert source_pattern_fault(compile_pattern(pattern)) == ""
    assert free_texts(compile_pattern(pattern)) == expected


def test_bundled_rules_with_free_text_before_the_address_have_attacks_among_their_tests() -> None:
    for rule in bundled():
        for pattern in rule.detection.patterns:
            if b"source_ip" in pattern.groupindex and free_texts(pattern)[0]:
                assert rule.document.tests.injection, rule.id

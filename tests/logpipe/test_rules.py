from __future__ import annotations

import attrs
import pytest

from ironpost_core.alerts import Severity
from ironpost_core.settings import Duration
from ironpost_logpipe.counting import words
from ironpost_logpipe.rules import Override, RuleFault, Threshold, ThresholdChange, apply_overrides, idle_overrides
from logpipe.helpers import simple

ANY = "[{field: message, modifier: contains, value: x}]"


def fault(conditions: str, threshold: str = "") -> RuleFault:
    with pytest.raises(AssertionError) as caught:
        simple(conditions, threshold=threshold)
    return RuleFault((), str(caught.value))


def test_threshold_field_means_by() -> None:
    assert simple(ANY, threshold="{field: app, count: 2, timeframe: 1m}").keys == ("app",)
    assert simple(ANY, threshold="{by: app, count: 2, timeframe: 1m}").keys == ("app",)
    assert simple(ANY, threshold="{by: [app, host], count: 2, timeframe: 1m}").keys == ("app", "host")
    assert simple(ANY, threshold="{count: 2, timeframe: 1m}").keys == ()
    with pytest.raises(ValueError, match="not both"):
        Threshold(by="a", field="b", count=1, timeframe=Duration(1))


@pytest.mark.parametrize(
    ("conditions", "threshold", "message"),
    [
        ("[{field: message, modifier: regex, value: '(?<=x)'}]", "", "RE2 does not take"),
        ("[{field: message, modifier: regex, value: '^(?P<container_id>x)$'}]", "", "only the source says that"),
        ("[{field: message, modifier: regex, value: '(?P<source_ip>x)'}]", "", "must be anchored"),
        (ANY, "{by: [usr], count: 2, timeframe: 1m}", "neither a field nor a named group"),
        (ANY, "{by: [app], count: 0, timeframe: 1m}", "expected a value from 1"),
        (ANY, "{by: [app], count: 1, timeframe: 60}", "expected a duration"),
        ("[]", "", "not empty"),
    ],
)
def test_a_rule_that_can_not_work_is_refused(conditions: str, threshold: str, message: str) -> None:
    assert message in str(fault(conditions, threshold))


def test_overrides_change_rules_in_order() -> None:
    rule = simple(ANY, name="ssh-x", threshold="{by: [app], count: 5, timeframe: 1m}")
    changed = apply_overrides(
        rule,
        [
            Override(rule="ssh-*", severity=Severity.CRITICAL, threshold=ThresholdChange(count=9)),
            Override(rule="other"),
            Override(rule="ssh-x", status="test", threshold=ThresholdChange(timeframe=Duration(5))),
        ],
    )
    document = changed.document
    assert (document.severity, document.status) == (Severity.CRITICAL, "test")
    assert document.threshold is not None
    assert (document.threshold.count, document.threshold.timeframe) == (9, 5)
    assert changed.overridden == ("ssh-*", "ssh-x")
    assert apply_overrides(rule, []) is rule
    plain = apply_overrides(simple(ANY), [Override(rule="r", threshold=ThresholdChange(count=2))])
    assert plain.document.threshold is None


def test_an_override_that_fits_no_rule_is_named() -> None:
    (problem,) = idle_overrides([simple(ANY, name="ssh-guess")], [Override(rule="ssh-gues"), Override(rule="ssh-*")])
    assert problem.where == "log_pipeline.override[0].rule"
    assert 'did you mean "ssh-guess"' in problem.remedy


def test_rules_are_data() -> None:
    assert attrs.fields(type(simple(ANY))).detection.name == "detection"


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        ("{by: [app]}", "`count` is missing"),
        ("{by: [app], count: 2}", "`timeframe` is missing"),
        ("{by: [app], distinct: host, after: {rule: r, within: 1m}}", "`count` is missing"),
        ("{by: [app], distinct: hots, count: 2, timeframe: 1m}", "'hots' is neither a field nor"),
        ("{by: [app], distinct: app, count: 2, timeframe: 1m}", "part of the key"),
        ("{by: [app], distinct: host, count: 1, timeframe: 1m}", "one different value is any event"),
        ("{by: [app], after: {rule: r}}", "within"),
        ("{by: [app], after: {rule: r, within: 0s}}", "threshold.after.within"),
        ("{first_seen: 30d}", "`first_seen` needs `by`"),
        ("{by: [app], first_seen: 30d, count: 2}", "`count` has no meaning with `first_seen`"),
        ("{by: [app], first_seen: 30d, distinct: host}", "`distinct` has no meaning with `first_seen`"),
        ("{by: [app], first_seen: 30d, after: {rule: r, within: 1m}}", "`after` has no meaning with `first_seen`"),
        ("{by: [app], learn: 7d, count: 2, timeframe: 1m}", "`learn` has no meaning without `first_seen`"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(threshold: str, message: str) -> None:
    assert message in str(fault(ANY, threshold))


def test_overrides_leave_alone_what_counts_nothing() -> None:
    change = [Override(rule="*", threshold=ThresholdChange(count=1, timeframe=Duration(5)))]
    for threshold in ("{by: app, first_seen: 30d}", "{by: app, after: {rule: q, within: 1m}}"):
        rule = simple(ANY, threshold=threshold)
        assert apply_overrides(rule, change).document.threshold == rule.document.threshold
    distinct = apply_overrides(simple(ANY, threshold="{by: app, distinct: host, count: 5, timeframe: 1m}"), change)
    assert distinct.document.threshold is not None
    assert distinct.document.threshold.count == 1


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        ("{count: 1, timeframe: 1m}", "1 event in 1m"),
        ("{field: app, count: 5, timeframe: 60s}", "5 events in 1m by app"),
        ("{by: [app], distinct: host, count: 5, timeframe: 1m}", "5 different values of host in 1m by app"),
        ("{by: [app, host], after: {rule: q, within: 10m}}", "each event by app, host, within 10m after q"),
        ("{by: app, first_seen: 30d}", "first seen in 30d by app, after learning for 1w"),
        ("{by: app, first_seen: 1d}", "first seen in 1d by app, after learning for 1d"),
        ("{by: app, first_seen: 1d, learn: 2h}", "first seen in 1d by app, after learning for 2h"),
    ],
)
def test_a_threshold_in_words(threshold: str, expected: str) -> None:
    assert words(simple(ANY, threshold=threshold).document.threshold) == expected
    assert words(None) == "each event"

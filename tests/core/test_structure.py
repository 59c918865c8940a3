from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, ClassVar, Literal

import attrs
import pytest

from ironpost_core.settings import Duration, Secret, between, each, one_of, setting, starts_with, when_enabled
from ironpost_core.structure import FAILED, Report, structure


@attrs.frozen(kw_only=True)
class Retry:
    times: int = setting(default=3, help="How often.", check=between(0, 9))
    pause: Duration = setting(default=Duration(1), help="How long.")


@attrs.frozen(kw_only=True)
class FileSink:
    type: Literal["jsonl", "json"] = setting(default="jsonl", help="Which.")
    path: str = setting(help="Where to.")


@attrs.frozen(kw_only=True)
class WebSink:
    type: Literal["webhook"] = setting(default="webhook", help="Which.")
    url: str = setting(help="Where to.", secret=True, check=starts_with("https://"))
    retry: Retry = setting(factory=lambda: Retry(times=5), help="When it fails.")
    tries: int | str | None = setting(default=None, help="Or so.")


def last_even(instance: Any, attribute: object, value: tuple[int, ...]) -> None:
    if value and value[-1] % 2:
        raise ValueError("the last one must be even")
    if instance.level is None:
        raise ValueError("unreachable")


@attrs.frozen(kw_only=True)
class Config:
    OBSOLETE: ClassVar[Mapping[str, str]] = {"address": "use listen_addr"}

    level: int = setting(default=1, help="A level.", check=when_enabled(between(1, 5)))
    enabled: bool = setting(default=True, help="On.")
    nets: tuple[IPv4Network | IPv6Network, ...] = setting(default=(), help="Networks.")
    numbers: list[int] = setting(factory=list, help="Numbers.", check=[each(between(1, 9)), last_even])
    names: frozenset[str] = setting(default=frozenset(), help="Names.")
    labels: Mapping[str, str] = setting(factory=dict, help="Labels.")
    sinks: tuple[FileSink | WebSink, ...] = setting(default=(), help="Sinks.")
    sink: FileSink | WebSink | None = setting(default=None, help="One sink.")
    retry: Retry = setting(factory=Retry, help="Retry.")
    token: Secret | None = setting(default=None, help="A token.", check=one_of(Secret("TOKEN", "env")))
    tokens: tuple[Secret, ...] = setting(default=(), help="Tokens.")
    mixed: str | tuple[str, ...] = setting(default="", help="One or several.")
    anything: Any = setting(default=None, help="Anything.")
    pair: tuple[int, int] = setting(default=(0, 0), help="Not supported.")
    either: Secret | int = setting(default=1, help="A secret or a number.")
    except_: bool = setting(default=False, help="A word of Python.")

    def __attrs_post_init__(self) -> None:
        if self.level == 5 and not self.nets:
            raise ValueError("level 5 needs nets")


def read(data: object, **report: Any) -> tuple[Any, list[str]]:
    notes = Report(**report)
    value = structure(Config, data, ("c",), notes)
    assert (value is FAILED) == bool(notes.problems)
    return value, [str(problem) for problem in notes.problems]


def test_nothing_gives_the_defaults() -> None:
    assert read({}) == (Config(), [])


def test_everything_is_read() -> None:
    value, problems = read(
        {
            "level": 2,
            "nets": ["10.0.0.0/8", "fe80::/10"],
            "numbers": [1, 2],
            "names": ["a", "a"],
            "labels": {"x y": "z"},
            "sinks": [{"type": "json", "path": "/x"}, {"type": "webhook", "url": "https://x"}],
            "sink": {"type": "webhook", "url": "https://x", "retry": {"pause": "2s"}, "tries": "many"},
            "retry": {"times": 9},
            "token": {"env": "TOKEN"},
            "mixed": ["a"],
            "anything": {"a": [1]},
            "either": 7,
            "except": True,
        }
    )
    assert problems == []
    assert value == Config(
        level=2,
        nets=(IPv4Network("10.0.0.0/8"), IPv6Network("fe80::/10")),
        numbers=[1, 2],
        names=frozenset({"a"}),
        labels={"x y": "z"},
        sinks=(FileSink(type="json", path="/x"), WebSink(url="https://x")),
        sink=WebSink(url="https://x", retry=Retry(times=5, pause=Duration(2)), tries="many"),
        retry=Retry(times=9),
        token=Secret("TOKEN", "env"),
        mixed=("a",),
        anything={"a": [1]},
        either=7,
        except_=True,
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "c: found 5 (expected a table; write [c])"),
        ({"level": True}, "c.level: found true (expected a whole number)"),
        ({"level": 9}, "c.level: found 9 (expected a value from 1 to 5)"),
        ({"level": 5}, "c: level 5 needs nets"),
        ({"lvel": 1}, 'c.lvel: unknown key (did you mean "level"?)'),
        ({"address": ""}, "c.address: is no longer a key (use listen_addr)"),
        ({"numbers": [1, 12]}, "c.numbers[1]: found 12 (expected a value from 1 to 9)"),
        ({"numbers": [2, 3]}, "c.numbers: the last one must be even"),
        (
            {"numbers": 5},
            "c.numbers: found 5 (expected a list, each item a whole number; write it in brackets: […])",
        ),
        (
            {"nets": ["x"]},
            'c.nets[0]: found "x" (expected an IPv4 network or an IPv6 network)',
        ),
        (
            {"nets": ["10.0.0.1/8"]},
            'c.nets[0]: found "10.0.0.1/8" (expected an IPv4 network or an IPv6 network; did you mean "10.0.0.0/8"?)',
        ),
        ({"labels": {"a": 1}}, "c.labels.a: found 1 (expected a text; put it in quotes)"),
        ({"labels": []}, "c.labels: found an empty list (expected a table)"),
        (
            {"sinks": {"type": "jsonl"}},
            "c.sinks: found a table (expected an array of tables; write [[c.sinks]] with two brackets)",
        ),
        ({"sinks": [{}]}, 'c.sinks[0].type: is missing (expected "jsonl", "json" or "webhook")'),
        (
            {"sinks": [{"type": "webhok"}]},
            'c.sinks[0].type: found "webhok" (expected "jsonl", "json" or "webhook"; did you mean "webhook"?)',
        ),
        ({"sinks": [{"type": 5}]}, 'c.sinks[0].type: found 5 (expected "jsonl", "json" or "webhook")'),
        ({"sinks": [{"type": "json"}]}, "c.sinks[0].path: is missing (expected a text)"),
        ({"sinks": ["x"]}, 'c.sinks[0]: found "x" (expected a table; write [c.sinks[0]])'),
        ({"retry": {"time": 1}}, 'c.retry.time: unknown key (did you mean "times"?)'),
        ({"retry": {"zzz": 1}}, "c.retry.zzz: unknown key (known here: times, pause)"),
        ({"mixed": [1]}, "c.mixed[0]: found 1 (expected a text; put it in quotes)"),
        (
            {"mixed": 1},
            "c.mixed: found 1 (expected a text or a list, each item a text; put it in quotes)",
        ),
        (
            {"pair": [1, 2]},
            "c.pair: has the type tuple[int, int], which configuration can't hold (report this to the plugin's author)",
        ),
    ],
)
def test_each_mistake_is_named(data: object, message: str) -> None:
    value, problems = read(data)
    assert value is FAILED
    assert problems == [message]


@pytest.mark.parametrize(
    "data",
    [
        {"token": 31337},
        {"token": ["hunter2-31337"]},
        {"token": "31337"},
        {"tokens": [31337]},
        {"either": 3.1337},
        {"sink": {"type": "webhook", "url": "http://31337"}},
        {"sink": {"type": "webhook", "url": 31337}},
    ],
)
def test_no_message_shows_a_secret(data: object) -> None:
    value, problems = read(data)
    assert value is FAILED
    assert "1337" not in problems[0]
    assert len(problems) == 1


def test_a_check_sees_the_keys_after_its_own() -> None:
    value, problems = read({"level": 9, "enabled": False})
    assert (value.level, problems) == (9, [])


def test_a_check_that_looks_at_a_broken_key_rests() -> None:
    assert read({"level": "x", "numbers": [2]})[1] == ['c.level: found "x" (expected a whole number)']


def test_an_authors_bug_is_not_taken_for_a_users_mistake() -> None:
    def buggy(instance: object, attribute: object, value: Any) -> None:
        value.no_such_thing()

    cls = attrs.make_class("Buggy", {"key": attrs.field(type=int, validator=buggy, default=1)})
    with pytest.raises(AttributeError, match="no_such_thing"):
        structure(cls, {}, ("c",), Report())


def test_the_line_is_that_of_the_key_or_of_what_is_around_it() -> None:
    lines = {("c",): 1, ("c", "nets"): 4}
    data = {"nets": ["x", "y"], "level": "a"}
    problems = read(data, file="f.toml", lines=lines)[1]
    assert [problem.split(" ", 1)[0] for problem in problems] == ["f.toml:1:", "f.toml:4:", "f.toml:4:"]


def test_a_value_from_elsewhere_has_no_line() -> None:
    problems = read({"level": "a"}, file="f", lines={("c",): 1}, elsewhere={("c", "level"): "in IRONPOST_C_LEVEL"})[1]
    assert problems == ['c.level: found "a" in IRONPOST_C_LEVEL (expected a whole number)']


def test_the_stand_in_for_a_failure_names_itself() -> None:
    assert repr(FAILED) == "FAILED"

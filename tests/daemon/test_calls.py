from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ironpost_core import PluginError
from ironpost_daemon.calls import Calls, HookHangsError, describe, standing

PATIENCE = 10.0


class Gate:
    """A hook that hangs until it is let go."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.calls = 0

    def hang(self) -> str:
        self.calls += 1
        self.entered.set()
        self.opened.wait(PATIENCE)
        return "late"


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class OwnPluginError(PluginError):
    def __init__(self) -> None:
        Exception.__init__(self, "made by the plugin")


def raising(error: BaseException) -> Any:
    def hook() -> None:
        raise error

    return hook


def test_a_call_returns_what_the_hook_returns_on_a_named_thread():
    assert Calls("canary").call("sing", lambda: threading.current_thread().name, PATIENCE) == "ironpost-canary-sing"
    assert Calls("canary").call("sing", lambda: None, PATIENCE) is None


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("fell"), r"^plugin canary: sing raised ValueError: fell, at .*test_calls.py:\d+$"),
        (ValueError(), r"sing raised ValueError, at "),
        (SystemExit(3), r"sing raised SystemExit: 3, at "),
        (KeyboardInterrupt(), r"sing raised KeyboardInterrupt, at "),
        (GeneratorExit(), r"sing raised GeneratorExit, at "),
        (MuteError(), r"sing raised MuteError: \(asked for its text, it raised\), at "),
        (OwnPluginError(), r"sing raised OwnPluginError: made by the plugin, at "),
        (PluginError("x", None), r"sing raised PluginError: plugin x: None, at "),  # type: ignore[arg-type]
    ],
)
def test_whatever_a_hook_raises_becomes_the_plugins_error(error, message):
    with pytest.raises(PluginError, match=message) as caught:
        Calls("canary").call("sing", raising(error), PATIENCE)
    assert caught.value.__cause__ is error
    assert (caught.value.plugin, type(caught.value)) == ("canary", PluginError)


def test_a_breach_of_the_contract_comes_out_as_it_is():
    error = PluginError("canary", "no bird")
    with pytest.raises(PluginError) as caught:
        Calls("canary").call("load", raising(error), PATIENCE)
    assert caught.value is error


def test_a_hanging_hook_costs_one_thread_and_its_place_is_told(gate):
    calls = Calls("canary")
    for message in (r"did not return within 0 s, at .*test_calls.py:\d+ in hang$", r"still hangs, at .* in hang$"):
        with pytest.raises(HookHangsError, match=message):
            calls.call("sing", gate.hang, 0)
        assert gate.entered.wait(PATIENCE)
    assert calls.standing("sing").endswith("in hang")
    assert gate.calls == 1
    assert calls.call("fly", lambda: "another hook is free", PATIENCE)


def test_after_it_came_back_the_hook_is_called_again(gate):
    calls = Calls("canary")
    flight = calls.begin("sing", gate.hang)
    gate.opened.set()
    assert flight.wait(PATIENCE)
    assert (calls.standing("sing"), calls.standing("fly")) == ("", "")
    assert calls.call("sing", lambda: "again", PATIENCE) == "again"


def test_a_shared_call_is_joined_and_waited_for_only_once(gate):
    calls = Calls("canary")
    flight = calls.begin("sing", gate.hang, share=True)
    assert calls.begin("sing", gate.hang, share=True) is flight
    with pytest.raises(HookHangsError):
        calls.finish("sing", flight, 0)
    with pytest.raises(HookHangsError, match=r"within 3600 s"):
        calls.finish("sing", flight, 3600)  # it was late before, so this does not wait
    gate.opened.set()
    assert flight.wait(PATIENCE)
    assert calls.finish("sing", flight, 0) == "late"
    assert gate.calls == 1


def test_without_a_thread_to_give_the_hook_is_free_for_the_next_call(monkeypatch):
    calls = Calls("canary")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: raising(RuntimeError("can't start new thread"))())
        with pytest.raises(PluginError, match="sing was not called: can't start new thread"):
            calls.call("sing", lambda: None, PATIENCE)
    assert calls.call("sing", lambda: 1, PATIENCE) == 1


def test_where_a_thread_stands_without_the_plumbing(gate):
    thread = threading.Thread(target=gate.hang)
    assert standing(thread) == ""
    thread.start()
    gate.entered.wait(PATIENCE)
    assert standing(thread).endswith("in hang")
    gate.opened.set()
    thread.join(PATIENCE)
    assert standing(thread) == ""


def test_a_thread_within_plumbing_alone_stands_nowhere():
    opened = threading.Event()
    thread = threading.Thread(target=opened.wait, args=(PATIENCE,))
    thread.start()
    assert standing(thread) == ""
    opened.set()
    thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("two\n lines \t here"), "ValueError: two lines here"),
        (ValueError("\x1b[31m\ud800\u202e"), r"ValueError: \x1b[31m\ud800\u202e"),
        (ValueError("x" * 9999), "ValueError: " + "x" * 499 + "…"),
        (KeyError(), "KeyError"),
        (MuteError(), "MuteError: (asked for its text, it raised)"),
    ],
)
def test_describing_an_error_that_was_not_raised(error, text):
    assert describe(error) == text


def test_a_described_error_names_the_deepest_line():
    try:
        raising(OSError("gone"))()
    except OSError as error:
        line = sys.exc_info()[2].tb_next.tb_lineno  # type: ignore[union-attr]
        assert describe(error) == f"OSError: gone, at {__file__}:{line}"  # noqa: PT017
    else:
        pytest.fail("nothing was raised")

from __future__ import annotations

from typing import Any

import attrs
import pytest

from ironpost_core import Action, Health, MetricSpec, Plugin, PluginError, Section
from ironpost_core.registration import check_section, register
from ironpost_core.testing import an_alert

SPEC = MetricSpec(name="canary_age", kind="gauge", help="Age in days")


@attrs.frozen
class Config:
    loud: bool = False


SECTION = Section(name="canary", type=Config, help="The canary.")
SING = Action(name="sing", request=Config, run=lambda request: request.loud, help="Sing.")


def plugin(**attributes: Any) -> object:
    """An object of a fresh class that inherits nothing of ironpost's."""
    return type("Canary", (), attributes)()


def test_what_a_plugin_declares():
    hooks = register(
        "canary",
        plugin(
            ironpost_config=lambda self: SECTION,
            ironpost_metrics=lambda self: [SPEC],
            ironpost_actions=lambda self: iter([SING]),
        ),
    )
    assert (hooks.name, hooks.section, hooks.metrics, hooks.actions) == ("canary", SECTION, (SPEC,), {"sing": SING})


@pytest.mark.parametrize("base", [(), (Plugin,)])
def test_no_hook_is_required_and_an_inherited_one_counts_as_absent(base):
    class Canary(*base):  # type: ignore[misc]
        heard = None

        def ironpost_alert(self, alert):
            self.heard = alert

        def song(self):
            raise AssertionError("no hook")

    hooks = register("canary", Canary())
    assert (hooks.section, hooks.metrics, hooks.actions) == (None, (), {})
    assert [name for name in dir(Plugin) if name.startswith("ironpost_") and hooks.has(name)] == ["ironpost_alert"]
    alert = an_alert()
    hooks.call("ironpost_alert", alert=alert)
    assert hooks.plugin.heard is alert
    assert hooks.call("ironpost_health") is None


def test_a_hook_may_be_inherited_from_another_class_take_fewer_arguments_and_be_static():
    class Base:
        def ironpost_start(self):
            self.started = True

    class Canary(Base, Plugin[None]):
        @staticmethod
        def ironpost_health():
            return Health()

        ironpost_stop = None  # type: ignore[assignment]  # says that the hook is absent

    hooks = register("canary", Canary())
    hooks.call("ironpost_start", context=object())
    assert hooks.plugin.started
    assert (hooks.has("ironpost_health"), hooks.has("ironpost_stop")) == (True, False)


def test_two_plugins_never_meet():
    def boom(self):
        raise RuntimeError

    first, second = register("a", plugin(ironpost_health=boom)), register("b", plugin(ironpost_health=lambda self: 2))
    assert second.call("ironpost_health") == 2
    with pytest.raises(RuntimeError):
        first.call("ironpost_health")


async def asynchronous(self: object) -> None:
    """A hook as nobody awaits it."""


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"ironpost_alerts": lambda self, alert: None}, r"ironpost_alerts.*the hooks are ironpost_actions, "),
        ({"ironpost_alert": lambda self, alarm: None}, r"alarm"),
        ({"ironpost_metrics": (SPEC,)}, r"ironpost_metrics must be a plain method"),
        ({"ironpost_colour": "yellow"}, r"ironpost_colour must be a plain method"),
        ({"ironpost_start": asynchronous}, r"ironpost_start must be a plain method"),
        ({"contract": (2, 3)}, r"made for contract 2 to 3, this ironpost has 1 \(install"),
        ({"contract": (0, 0)}, r"made for contract 0 to 0"),
        ({"contract": 1}, r"contract is 1 \(give two numbers"),
        ({"contract": "11"}, r"contract is '11'"),
        ({"contract": (1, 2, 3)}, r"contract is \(1, 2, 3\)"),
        ({"contract": None}, r"contract is None"),
        ({"ironpost_config": lambda self: Config()}, r"ironpost_config\(\) returned Config.*return a Section or None"),
        ({"ironpost_metrics": lambda self: "canary_age"}, r"ironpost_metrics\(\) returned 'canary_age'"),
        ({"ironpost_metrics": lambda self: SPEC}, r"ironpost_metrics\(\) returned MetricSpec.*return a sequence"),
        ({"ironpost_metrics": lambda self: ["canary_age"]}, r"holds 'canary_age' \(return MetricSpec objects\)"),
        ({"ironpost_actions": lambda self: 3}, r"ironpost_actions\(\) returned 3"),
        ({"ironpost_actions": lambda self: [print]}, r"holds <built-in function print> \(return Action objects\)"),
        ({"ironpost_actions": lambda self: [SING, SING]}, r"two actions are named 'sing'"),
    ],
)
def test_a_breach_of_the_contract_names_the_plugin_and_the_cure(attributes, message):
    with pytest.raises(PluginError, match=message) as caught:
        register("canary", plugin(**attributes))
    assert caught.value.plugin == "canary"


@pytest.mark.parametrize("name", ["", "Canary", "can-ary", "1canary", "_canary", "canary\n", "kanarienvögel"])
def test_a_plugins_name(name):
    with pytest.raises(PluginError, match="rename its entry point"):
        register(name, plugin())


def test_what_a_declaring_hook_raises_comes_out():
    def leave(self):
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        register("canary", plugin(ironpost_metrics=leave))


@pytest.mark.parametrize(
    ("name", "section"),
    [("canary", "canary"), ("logpipe", "log_pipeline"), ("guard", "container"), ("ebpf", "ebpf"), ("sbom", "sbom")],
)
def test_a_plugins_own_section(name, section):
    check_section(name, section)
    with pytest.raises(PluginError, match="is not its own"):
        check_section(name, section + "_2")


@pytest.mark.parametrize(
    ("name", "section", "message"),
    [
        ("canary", "sbom", r"\[sbom\], which belongs to ironpost-plugin-sbom \(name it 'canary'\)"),
        ("container", "container", r"belongs to ironpost-plugin-guard"),
        ("logpipe", "logpipe", r"is not its own \(name it 'log_pipeline'\)"),
        ("metrics", "metrics", r"belongs to the daemon"),
        ("canary", "general", r"belongs to the daemon"),
    ],
)
def test_a_section_of_somebody_else(name, section, message):
    with pytest.raises(PluginError, match=message):
        check_section(name, section)

from __future__ import annotations

import inspect

import attrs
import pytest

from ironpost_core import Action, Health, Plugin, State, hookspecs
from ironpost_core.testing import an_alert

HOOKS = {
    "ironpost_config": [],
    "ironpost_metrics": [],
    "ironpost_actions": [],
    "ironpost_start": ["context"],
    "ironpost_alert": ["alert"],
    "ironpost_reload": ["config"],
    "ironpost_health": [],
    "ironpost_stop": [],
}


@attrs.frozen
class Nothing:
    pass


def test_the_hooks_of_the_contract_and_their_arguments():
    found = {
        name: [*inspect.signature(hook).parameters][1:] for name, hook in vars(Plugin).items() if "ironpost" in name
    }
    assert found == HOOKS


def test_the_version_of_the_contract():
    assert (hookspecs.CONTRACT, Plugin.contract) == (1, (1, 1))


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_says_when_it_is_called_and_what_it_may_do(name):
    assert len(inspect.getdoc(getattr(Plugin, name)) or "") > 60


def test_an_inherited_hook_called_by_an_author_does_nothing():
    plugin: Plugin[None] = Plugin()
    assert plugin.ironpost_config() is None
    assert (plugin.ironpost_metrics(), plugin.ironpost_actions()) == ((), ())
    assert plugin.ironpost_health() == Health()
    plugin.ironpost_start(None)  # type: ignore[arg-type]
    plugin.ironpost_alert(an_alert())
    plugin.ironpost_reload(None)
    plugin.ironpost_stop()


def test_health_is_good_unless_said_otherwise():
    assert Health() == Health(State.HEALTHY, "", details={})
    assert [str(state) for state in State] == ["healthy", "degraded", "unhealthy"]


@pytest.mark.parametrize("name", ["", "Sing", "sing loud", "-sing", "sing.loud", "sing\n"])
def test_an_action_has_a_plain_name(name):
    assert Action(name="sing-loud_2", request=Nothing, run=print, help="Sing.").deadline == 10.0
    with pytest.raises(ValueError, match="name"):
        Action(name=name, request=Nothing, run=print, help="Sing.")

"""Turns a plugin object into its hooks and declared data. Shared by the daemon and `testing`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import attrs
import pluggy

from ironpost_core.config import DAEMON_SECTIONS, KNOWN_SECTIONS, Section
from ironpost_core.errors import PluginError
from ironpost_core.hookspecs import CONTRACT, Action, Plugin
from ironpost_core.metrics import MetricSpec
from ironpost_core.names import PLUGIN_NAME

_HOOK_PREFIX = "ironpost_"


class _HookManager(pluggy.PluginManager):
    """Finds hooks by their name alone, as pytest does: no decorator that an author could forget."""

    def parse_hookspec_opts(self, module_or_class: object, name: str) -> Any:
        return {"firstresult": True} if name.startswith(_HOOK_PREFIX) else None

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        if not name.startswith(_HOOK_PREFIX):
            return None
        hook = getattr(plugin, name)
        inherited = getattr(type(plugin), name, None) is getattr(Plugin, name, plugin)
        if inherited or hook is None:
            return None
        if not callable(hook) or inspect.iscoroutinefunction(hook):
            raise pluggy.PluginValidationError(plugin, f"{name} must be a plain method, and None to be without it")
        return {}


@attrs.frozen(kw_only=True)
class Hooks:
    """A registered plugin: its hooks and what it declared at load.

    Attributes:
        name: the plugin's name.
        plugin: the instance.
        section: its configuration section, or None.
        metrics: its metric specs.
        actions: its actions by name.
    """

    name: str
    plugin: object
    manager: pluggy.PluginManager = attrs.field(repr=False)
    section: Section[Any] | None = None
    metrics: tuple[MetricSpec, ...] = ()
    actions: Mapping[str, Action[Any]] = attrs.field(factory=dict)

    def has(self, hook: str) -> bool:
        """Whether the plugin implements this hook."""
        return bool(getattr(self.manager.hook, hook).get_hookimpls())

    def call(self, hook: str, **arguments: object) -> Any:
        """Call one hook and let out whatever it raises; the daemon calls this through its guard only."""
        return getattr(self.manager.hook, hook)(**arguments)


def register(name: str, plugin: object) -> Hooks:
    """Register one plugin in a manager of its own and collect what it declares.

    Calls ``ironpost_config``, ``ironpost_metrics`` and ``ironpost_actions``, and lets out what they raise.

    Raises:
        PluginError: another contract, an unknown hook or argument, or declarations of the wrong type.
    """
    if not PLUGIN_NAME.fullmatch(name):
        raise PluginError(name, "a plugin's name is lower-case letters, digits and '_'", "rename its entry point")
    _check_contract(name, plugin)
    manager = _HookManager("ironpost")
    manager.add_hookspecs(Plugin)
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hooks = ", ".join(hook for hook in dir(Plugin) if hook.startswith(_HOOK_PREFIX))
        raise PluginError(name, " ".join(str(error).split()), f"the hooks are {hooks}") from error
    bare = Hooks(name=name, plugin=plugin, manager=manager)
    return attrs.evolve(bare, section=_section(bare), metrics=_metrics(bare), actions=_actions(bare))


def check_section(plugin: str, section: str) -> None:
    """Hold a plugin to a section of its own name; for the four it is what `KNOWN_SECTIONS` fixes.

    Raises:
        PluginError: it is another's.
    """
    owner = KNOWN_SECTIONS.get(section)
    of_the_four = {package.removeprefix("ironpost-plugin-"): name for name, package in KNOWN_SECTIONS.items()}
    own = of_the_four.get(plugin, plugin)
    if section == own and section not in {*DAEMON_SECTIONS, *KNOWN_SECTIONS} - {of_the_four.get(plugin)}:
        return
    owner = "the daemon" if section in DAEMON_SECTIONS else KNOWN_SECTIONS.get(section)
    belongs = f"belongs to {owner}" if owner else "is not its own"
    raise PluginError(plugin, f"it claims section [{section}], which {belongs}", f"name it {own!r}")


def _check_contract(name: str, plugin: object) -> None:
    span = getattr(plugin, "contract", (CONTRACT, CONTRACT))
    try:
        first, last = span
        fits = first <= CONTRACT <= last
    except (TypeError, ValueError):
        raise PluginError(name, f"contract is {span!r}", "give two numbers, as contract = (1, 1)") from None
    if not fits:
        raise PluginError(
            name,
            f"made for contract {first} to {last}, this ironpost has {CONTRACT}",
            "install a version of the plugin, or of ironpost, that fits",
        )


def _section(hooks: Hooks) -> Section[Any] | None:
    section = hooks.call("ironpost_config")
    if section is None or isinstance(section, Section):
        return section
    raise PluginError(hooks.name, f"ironpost_config() returned {section!r}", "return a Section or None")


def _metrics(hooks: Hooks) -> tuple[MetricSpec, ...]:
    specs = _sequence(hooks, "ironpost_metrics")
    for spec in specs:
        if not isinstance(spec, MetricSpec):
            raise PluginError(hooks.name, f"ironpost_metrics() holds {spec!r}", "return MetricSpec objects")
    return specs


def _actions(hooks: Hooks) -> Mapping[str, Action[Any]]:
    actions: dict[str, Action[Any]] = {}
    for action in _sequence(hooks, "ironpost_actions"):
        if not isinstance(action, Action):
            raise PluginError(hooks.name, f"ironpost_actions() holds {action!r}", "return Action objects")
        if action.name in actions:
            raise PluginError(hooks.name, f"two actions are named {action.name!r}")
        actions[action.name] = action
    return actions


def _sequence(hooks: Hooks, hook: str) -> tuple[Any, ...]:
    result = hooks.call(hook)
    if isinstance(result, str | bytes):
        raise PluginError(hooks.name, f"{hook}() returned {result!r}", "return a sequence")
    try:
        return tuple(result or ())
    except TypeError:
        raise PluginError(hooks.name, f"{hook}() returned {result!r}", "return a sequence") from None

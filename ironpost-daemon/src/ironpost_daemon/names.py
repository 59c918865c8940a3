"""Which plugin may export which metric names: checked before anything is built, so that a clash harms one plugin."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

from ironpost_core import MetricSpec, PluginError
from ironpost_core.metrics import PLUGIN_PREFIXES, catalogue_of, prefix_of, reserved_overlaps


def daemon_names() -> dict[str, str]:
    """The series names that the daemon itself exports, each with its owner: what `register_specs` starts from."""
    return {series: "daemon" for spec in catalogue_of("daemon") for series in spec.series_names()}


def register_specs(taken: MutableMapping[str, str], plugin: str, specs: Sequence[MetricSpec]) -> None:
    """Check what a plugin wants to export and, only if all of it is right, enter its series into `taken`.

    Args:
        taken: series name → the plugin that owns it; added to on success.
        plugin: the entry point's name.
        specs: what `ironpost_metrics` returned.

    Raises:
        PluginError: something that is no spec, a foreign or reserved prefix, open labels, a missing or changed metric
            of the catalogue, or a series that is taken; names the metric and both plugins.
    """
    if specs:
        _check_reserved(plugin)
    fresh: dict[str, str] = {}
    for spec in specs:
        _check_spec(plugin, spec)
        for series in spec.series_names():
            owner = plugin if series in fresh else taken.get(series)
            if owner is not None:
                _refuse_clash(plugin, spec, series, owner)
            fresh[series] = plugin
    if plugin in PLUGIN_PREFIXES:
        _check_catalogue(plugin, specs)
    taken.update(fresh)


def _check_reserved(plugin: str) -> None:
    for prefix in reserved_overlaps(plugin):
        raise PluginError(
            plugin,
            f"its metrics would begin with {plugin}_, which overlaps {prefix}_, reserved for ironpost's own",
            "give the entry point another name",
        )


def _check_spec(plugin: str, spec: object) -> None:
    if not isinstance(spec, MetricSpec):
        raise PluginError(plugin, f"ironpost_metrics() returned {spec!r:.80}", "return a sequence of MetricSpec")
    prefix = f"{prefix_of(plugin)}_"
    if not spec.name.startswith(prefix):
        raise PluginError(plugin, f"metric {spec.name}: its name must begin with {prefix}", "rename the metric")
    for label, values in spec.labels.items():
        if not values:
            raise PluginError(
                plugin, f"metric {spec.name}: label {label} is open", "name every value that the label can take"
            )


def _check_catalogue(plugin: str, specs: Sequence[MetricSpec]) -> None:
    given = {spec.name: spec for spec in specs}
    for spec in catalogue_of(plugin):
        if given.get(spec.name) is not spec:
            what = "does not return" if spec.name not in given else "returns a changed copy of"
            raise PluginError(
                plugin,
                f"ironpost_metrics() {what} {spec.name} of the catalogue",
                f'return ironpost_core.metrics.catalogue_of("{plugin}"), and more if needed',
            )


def _refuse_clash(plugin: str, spec: MetricSpec, series: str, owner: str) -> None:
    who = "the plugin itself, a second time" if owner == plugin else f"plugin {owner}"
    raise PluginError(plugin, f"metric {spec.name}: the series {series} is taken by {who}", "rename the metric")

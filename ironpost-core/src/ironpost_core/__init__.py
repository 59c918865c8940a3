"""The ironpost plugin contract. A plugin needs this package and nothing else of ironpost.

Names are imported when first used, so that ``import ironpost_core`` costs next to nothing on the command line.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ironpost_core.alerts import Alert, Key, Observable, Severity, Trust, deterministic_id
    from ironpost_core.clock import Clock
    from ironpost_core.config import Section
    from ironpost_core.errors import (
        ActionError,
        ConfigError,
        IronpostError,
        PluginError,
        Problem,
        RuleError,
        SourceError,
    )
    from ironpost_core.hookspecs import Action, Context, Health, Operator, Plugin, Publisher, State
    from ironpost_core.instruments import HistogramValue, Metrics
    from ironpost_core.metrics import MetricSpec
    from ironpost_core.settings import Duration, Secret, Size, setting

_HOME = {
    "Action": "hookspecs",
    "ActionError": "errors",
    "Alert": "alerts",
    "Clock": "clock",
    "ConfigError": "errors",
    "Context": "hookspecs",
    "Duration": "settings",
    "Health": "hookspecs",
    "HistogramValue": "instruments",
    "IronpostError": "errors",
    "Key": "alerts",
    "MetricSpec": "metrics",
    "Metrics": "instruments",
    "Observable": "alerts",
    "Operator": "hookspecs",
    "Plugin": "hookspecs",
    "PluginError": "errors",
    "Problem": "errors",
    "Publisher": "hookspecs",
    "RuleError": "errors",
    "Secret": "settings",
    "Section": "config",
    "Severity": "alerts",
    "Size": "settings",
    "SourceError": "errors",
    "State": "hookspecs",
    "Trust": "alerts",
    "deterministic_id": "alerts",
    "setting": "settings",
}

__all__ = [
    "Action",
    "ActionError",
    "Alert",
    "Clock",
    "ConfigError",
    "Context",
    "Duration",
    "Health",
    "HistogramValue",
    "IronpostError",
    "Key",
    "MetricSpec",
    "Metrics",
    "Observable",
    "Operator",
    "Plugin",
    "PluginError",
    "Problem",
    "Publisher",
    "RuleError",
    "Secret",
    "Section",
    "Severity",
    "Size",
    "SourceError",
    "State",
    "Trust",
    "deterministic_id",
    "setting",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"ironpost_core.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ironpost_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

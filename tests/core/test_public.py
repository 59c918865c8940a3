"""The public door of the core: a name that comes or goes here is a change of the contract."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import ironpost_core

PUBLIC = [
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


def test_the_public_names():
    assert ironpost_core.__all__ == PUBLIC == sorted(PUBLIC)
    assert dir(ironpost_core) == PUBLIC
    assert len(PUBLIC) <= 35


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_is_there_under_its_own_name(name):
    found = getattr(ironpost_core, name)
    assert found.__name__ == name
    assert getattr(importlib.import_module(found.__module__), name) is found


def test_no_other_name_is():
    with pytest.raises(AttributeError, match="module 'ironpost_core' has no attribute 'nope'"):
        _ = ironpost_core.nope  # type: ignore[attr-defined]


def test_importing_it_imports_nothing_heavy():
    code = (
        "import sys, ironpost_core; print(*sorted({'attrs', 'cattrs', 'pluggy', 'prometheus_client'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")

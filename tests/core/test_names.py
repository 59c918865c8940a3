from __future__ import annotations

import subprocess
import sys

from ironpost_core.names import COMMANDS_GROUP, PLUGIN_NAME, PLUGINS_GROUP


def test_where_plugins_and_commands_are_found():
    assert (PLUGINS_GROUP, COMMANDS_GROUP) == ("ironpost.plugins", "ironpost.commands")
    assert PLUGIN_NAME.pattern == "[a-z][a-z0-9_]*"


def test_finding_them_imports_nothing_heavy():
    code = "import ironpost_daemon.discovery, sys; print(sorted({'pluggy', 'prometheus_client'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")

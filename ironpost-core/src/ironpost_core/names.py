"""How plugins and commands are found: entry-point groups and names. Apart, because finding imports nothing else."""

from __future__ import annotations

import re
from typing import Final

PLUGINS_GROUP: Final = "ironpost.plugins"
COMMANDS_GROUP: Final = "ironpost.commands"
#: A plugin's name is that of its entry point.
PLUGIN_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")

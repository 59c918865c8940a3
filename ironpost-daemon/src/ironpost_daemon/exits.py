"""What the programs' exit codes mean (78 is EX_CONFIG of sysexits.h, so that a service manager does not loop)."""

from __future__ import annotations

from typing import Final

GOOD: Final = 0
#: The answer is no: unhealthy, findings, nothing there.
NO: Final = 1
USAGE: Final = 2
CONFIGURATION: Final = 78

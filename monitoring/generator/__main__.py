"""``python -m monitoring.generator [FOLDER]``: writes the dashboards, by default where they are committed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from ironpost_core.files import write_atomic
from monitoring.generator import frame, log_pipeline, overview, plugins, security

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"


def dashboards() -> Mapping[str, str]:
    """File name → what has to stand in it."""
    made = {
        frame.OVERVIEW: overview.build(),
        frame.LOG_PIPELINE: log_pipeline.build(),
        frame.SECURITY: security.build(),
        frame.PLUGINS: plugins.build(),
    }
    return {f"{uid}.json": text for uid, text in made.items()}


def main(folder: Path) -> None:
    """Write all dashboards into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in dashboards().items():
        write_atomic(folder / name, text.encode(), 0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)

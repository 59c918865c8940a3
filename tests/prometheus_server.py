"""A real Prometheus (Debian's) for tests: started on loopback, asked over its API, ended by its own id."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon_process import eventually, free_port
from real import program, running


class Prometheus:
    """Its HTTP API."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer; `urllib.error.HTTPError` when it is refused."""
        address = f"{self.base}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def series(self, query: str) -> list[Any]:
        """The result of an instant query."""
        found: list[Any] = self.get("/api/v1/query", query=query)["result"]
        return found

    def courses(self, query: str, start: float, end: float, step: float) -> list[Any]:
        """The result of a range query."""
        times = {"start": str(start), "end": str(end), "step": str(step)}
        found: list[Any] = self.get("/api/v1/query_range", query=query, **times)["result"]
        return found


@contextlib.contextmanager
def prometheus_with(config: str, folder: Path, port: int | None = None) -> Iterator[Prometheus]:
    """Run it with this configuration until the block ends."""
    port = port or free_port()
    file = folder / "prometheus.yml"
    file.write_text(config)
    command = [
        program("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(command, folder / "prometheus.log"):
        server = Prometheus(port)
        eventually(server.ready, "prometheus is ready")
        yield server

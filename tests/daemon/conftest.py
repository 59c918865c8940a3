"""What the tests of the HTTP server share: a server on a free port with a backend that the test controls."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from http_server import Backend, Serve, serving


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def serve(backend: Backend) -> Iterator[Serve]:
    with serving(backend) as start:
        yield start


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set at the end, so that nothing that waits for it is left behind."""
    event = threading.Event()
    yield event
    event.set()

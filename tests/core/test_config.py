from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironpost_core import config
from ironpost_core.config import LARGEST_FILE, MetricsConfig, Section, load, read_file
from ironpost_core.errors import ConfigError
from ironpost_core.settings import Secret


def test_the_defaults_listen_on_loopback() -> None:
    metrics = MetricsConfig()
    assert (metrics.enabled, metrics.listen_addr, metrics.port, metrics.endpoint) == (
        True,
        "127.0.0.1",
        9100,
        "/metrics",
    )


@pytest.mark.parametrize(
    "values",
    [
        {"port": 0},
        {"port": 65536},
        {"listen_addr": ""},
        {"endpoint": "metrics"},
        {"endpoint": ""},
        {"tls_cert": Path("/x")},
        {"tls_key": Path("/x")},
        {"basic_auth_user": "a"},
        {"basic_auth_password": Secret("a")},
    ],
)
def test_values_are_checked_only_when_it_is_enabled(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        MetricsConfig(**values)
    MetricsConfig(enabled=False, **values)
    for enabled in (True, False):
        document = f"[metrics]\nenabled = {str(enabled).lower()}\n"
        overrides = {f"metrics.{key}": value if isinstance(value, int) else "a" for key, value in values.items()}
        if values in ({"listen_addr": ""}, {"endpoint": ""}):
            overrides = {f"metrics.{key}": "" for key in values}
        loaded = load(
            document.encode(), file="f", sections=[Section("metrics", MetricsConfig)], environ={}, overrides=overrides
        )
        assert bool(loaded.problems) == enabled


@pytest.mark.parametrize("port", [1, 65535])
def test_the_ends_of_the_range_are_ports(port: int) -> None:
    assert MetricsConfig(port=port).port == port


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ironpost.toml"
    path.write_bytes(b"x" * LARGEST_FILE)
    assert read_file(path) == path.read_bytes()
    assert read_file(str(path)) == path.read_bytes()


def test_a_file_that_is_not_there_or_no_file_or_too_large(tmp_path: Path) -> None:
    missing, large = tmp_path / "missing", tmp_path / "large"
    large.write_bytes(b"x" * (LARGEST_FILE + 1))
    messages = []
    for path in (missing, tmp_path, large):
        with pytest.raises(ConfigError) as caught:
            read_file(path)
        messages.append(str(caught.value))
    assert messages == [
        f"{missing}: does not exist (write one with `ironpost config init`, or name another with --config)",
        f"{tmp_path}: is a folder (name the file in it)",
        f"{large}: is larger than 1MiB (name a configuration file; long lists go into files of their own)",
    ]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "may not be read by this user .change its owner or mode"),
        (OSError(5, "Input/output error"), "can't be read: Input/output error"),
    ],
)
def test_a_file_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, error: OSError, message: str) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=message):
        read_file("/etc/ironpost/ironpost.toml")


def test_the_public_names() -> None:
    assert config.__all__ == sorted(config.__all__)
    assert all(hasattr(config, name) for name in config.__all__)

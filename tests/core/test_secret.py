from __future__ import annotations

from pathlib import Path

import pytest

from ironpost_core.errors import ConfigError
from ironpost_core.secret import LARGEST, Secret


def test_a_literal_secret_is_itself() -> None:
    assert Secret("hunter2").reveal() == "hunter2"
    assert Secret("hunter2").place is None


def test_no_form_is_printed() -> None:
    for secret in (Secret("hunter2"), Secret("hunter2", "file"), Secret("hunter2", "env")):
        assert str(secret) == repr(secret) == f"{secret}" == "***"
        assert not hasattr(secret, "__dict__")


def test_a_file_is_read_when_asked_for_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "token"
    secret = Secret(str(path), "file")
    path.write_bytes(b"first\n")
    assert secret.reveal() == "first"
    path.write_bytes(b"second\r\n")
    assert secret.reveal() == "second"
    assert secret.place == {"file": str(path)}


def test_a_variable_is_read_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret("IRONPOST_TEST_TOKEN", "env")
    monkeypatch.setenv("IRONPOST_TEST_TOKEN", "abc")
    assert secret.reveal() == "abc"
    assert secret.reveal({"IRONPOST_TEST_TOKEN": "given"}) == "given"
    assert secret.place == {"env": "IRONPOST_TEST_TOKEN"}


def test_an_unset_variable_is_named_with_its_cure() -> None:
    with pytest.raises(ConfigError) as caught:
        Secret("NO_SUCH", "env").reveal({})
    assert str(caught.value) == (
        "secret in environment variable NO_SUCH: is not set or empty "
        "(set this variable for the daemon, or change the setting)"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "can't be read: No such file or directory"),
        (b"pass\xffword", "can't be read: is not a UTF-8 text"),
        (b"\n", "is empty"),
        (b"x" * (LARGEST + 1), "is larger than 64KiB"),
    ],
)
def test_a_file_without_a_secret_is_named_with_its_cure(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Secret(str(path), "file").reveal()
    assert str(caught.value) == (
        f"secret in file {path}: {reason} (put the secret in this file, readable by the daemon's user only)"
    )


def test_secrets_are_equal_when_they_come_from_one_place() -> None:
    assert Secret("a") == Secret("a")
    assert len({Secret("a"), Secret("a"), Secret("a", "file"), Secret("b")}) == 3
    assert Secret("a") != Secret("a", "env")
    assert Secret("a") != "a"

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ironpost_logpipe.replay import Replay
from logpipe.helpers import NOW, bundled, failed


def replayed(content: bytes, format_: str = "auto") -> tuple[Replay, list[str]]:
    run = Replay(bundled(), now=lambda: NOW, format_=format_)
    return run, [alert.id for alert in run.run(Path("x.log"), io.BytesIO(content))]


def test_a_file_becomes_alerts_and_a_summary() -> None:
    content = b"".join(failed(second) + b"\n" for second in range(7)) + b"end"
    run, ids = replayed(content)
    assert len(ids) == 1
    summary = run.summary
    assert (summary.lines, summary.matches, summary.alerts, summary.size) == (8, 14, 1, len(content) + 1)
    assert summary.to_dict()["sources"] == {"203.0.113.7": 5}
    assert summary.to_dict()["rules"] == {"ssh-password-guessing": 1}


def test_the_size_of_blocks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"".join(failed(second, f"192.0.2.{second % 3}") + b"\n" for second in range(300)) + b"x" * 1000
    expected = replayed(content)
    for block in (1, 7, 100, 4096):
        monkeypatch.setattr("ironpost_logpipe.replay._BLOCK", block)
        found = replayed(content)
        assert found[1] == expected[1]
        assert found[0].summary.lines == expected[0].summary.lines


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    run, _ = replayed(b"x" * 1_000_000)
    assert run.summary.size >= 1_000_000


def test_parse_errors_are_counted() -> None:
    assert replayed(b"a\nb\n" + failed() + b"\n", "syslog")[0].summary.parse_errors == 2

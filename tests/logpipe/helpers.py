"""Lines and rules that the log pipeline's tests share."""

from __future__ import annotations

from ironpost_core.alerts import Trust
from ironpost_logpipe.chunks import HEAD, Chunk, Position, Source
from ironpost_logpipe.rulefiles import load_rules, parse_rules
from ironpost_logpipe.rules import Rule

FILE = Source(name="auth.log", trust=Trust.LOCAL)
LIVE = Source(name="udp", trust=Trust.CLAIMED, live=True)
NOW = 1_767_268_800.0  # 2026-01-01 12:00 UTC


def failed(second: int = 0, address: str = "203.0.113.7", user: str = "root") -> bytes:
    minute, second = divmod(second, 60)
    text = f"Nov  3 10:{minute:02}:{second:02} web1 sshd[123]: Failed password for {user} from {address} port 5022 ssh2"
    return text.encode()


def bundled() -> tuple[Rule, ...]:
    loaded = load_rules([], ["sshd", "sudo"])
    assert not loaded.problems
    return loaded.rules


def rule(text: str) -> Rule:
    loaded = parse_rules("test.yaml", text.encode())
    assert not loaded.problems, loaded.problems
    return loaded.rules[0]


def simple(conditions: str, name: str = "r", threshold: str = "") -> Rule:
    return rule(
        f"id: {name}\ntitle: A title\nseverity: low\ndetection:\n  conditions: {conditions}\n"
        + (f"threshold: {threshold}\n" if threshold else "")
    )


def file_chunk(lines: list[bytes], before: bytes = b"", source: Source = FILE) -> Chunk:
    """The lines as a chunk of a file in which `before` stands in front of them."""
    content = before + b"".join(line + b"\n" for line in lines)
    return Chunk(source, lines, NOW, len(before), Position("auth.log", 1, 2, content[:HEAD], len(content)))

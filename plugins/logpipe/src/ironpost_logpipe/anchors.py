"""Which patterns may say whom a line accuses."""

from __future__ import annotations

from ironpost_logpipe.patterns import Pattern, compile_pattern

_QUANTIFIERS = (b"*", b"?", b"{")
_UNGREEDY = compile_pattern(r"\(\?[a-zA-Z]*U[a-zA-Z-]*[:)]")
_LINE_MODE = compile_pattern(r"\(\?[a-zA-Z]*m[a-zA-Z-]*[:)]")


def source_pattern_fault(pattern: Pattern) -> str:
    """Why a pattern may not feed `source_ip`, or nothing.

    It must be anchored at both ends and hold in one way only, or an attacker who chooses a part of the line chooses
    whom it accuses.
    """
    body = pattern.pattern
    if body.startswith((b"(?i)", b"(?s)", b"(?is)", b"(?si)")):
        body = body.partition(b")")[2]
    ends = body.endswith(b"\\z") or (body.endswith(b"$") and not body.endswith(b"\\$"))
    if not body.startswith((b"^", b"\\A")) or not ends:
        return "a pattern that catches source_ip must be anchored: begin it with ^ and end it with $"
    if _LINE_MODE.search(body) is not None:
        return "a pattern that catches source_ip must not use (?m): ^ and $ then hold inside of the text, too"
    if body[1:2] in _QUANTIFIERS or (body[2:3] in _QUANTIFIERS and body.startswith(b"\\A")):
        return "a pattern that catches source_ip must not repeat its first ^: it would hold anywhere then"
    if b"\\Q" in body or _UNGREEDY.search(body) is not None:
        return "a pattern that catches source_ip must use neither \\Q nor (?U): they change what $ and * mean"
    if _alternates(body):
        return "a pattern that catches source_ip must not have | outside of brackets: ^ and $ hold for one side only"
    return ""


def _alternates(body: bytes) -> bool:
    depth, at, in_class = 0, 0, False
    while at < len(body):
        char = body[at : at + 1]
        if char == b"\\":
            at += 1
        elif in_class:
            in_class = char != b"]"
        elif char == b"[":
            in_class = True
            at += 2 if body[at + 1 : at + 3] == b"^]" else 1 if body[at + 1 : at + 2] == b"]" else 0
        elif char == b"|" and depth == 0:
            return True
        else:
            depth += (char == b"(") - (char == b")")
        at += 1
    return False

"""Quoted texts in log lines: where they end, and what their escapes stand for. All of it takes linear time."""

from __future__ import annotations

_HEX = b"0123456789abcdefABCDEF"
_BYTES = {bytes((a, b)): bytes((int(bytes((a, b)), 16),)) for a in _HEX for b in _HEX}
_SIMPLE = {
    b'"': b'"',
    b"'": b"'",
    b"/": b"/",
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}


def closing_quote(text: bytes, at: int) -> int:
    """Where the quote stands that ends a quoted text whose content begins at `at`; -1 without one.

    A quote behind an odd number of backslashes is part of the text.
    """
    while True:
        end = text.find(b'"', at)
        if end < 0:
            return -1
        piece = text[at:end]  # begins behind the quote before, so that the whole costs linear time
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 0:
            return end
        at = end + 1


def unescaped(value: bytes) -> bytes:
    r"""Undo ``\"``, ``\\``, ``\n`` and the like, ``\x22`` and ``\u0022``; a backslash before anything else stays."""
    if b"\\" not in value:
        return value
    first, *pieces = value.split(b"\\")
    found = [first]
    literal = False
    for piece in pieces:
        if literal or piece:
            found.append(piece if literal else _escape(piece))
            literal = False
        else:  # two in a row: one of them is meant, and what follows is plain text
            found.append(b"\\")
            literal = True
    return b"".join(found)


def _escape(piece: bytes) -> bytes:
    """What stands behind a backslash, with the escape at its beginning undone."""
    kind = piece[:1]
    if kind == b"x" and piece[1:3] in _BYTES:
        return _BYTES[piece[1:3]] + piece[3:]
    if kind == b"u" and piece[1:3] in _BYTES and piece[3:5] in _BYTES:
        return chr(int(piece[1:5], 16)).encode("utf-8", "surrogatepass") + piece[5:]
    simple = _SIMPLE.get(kind)
    return b"\\" + piece if simple is None else simple + piece[1:]

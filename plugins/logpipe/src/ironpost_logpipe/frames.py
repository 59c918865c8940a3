"""From a stream's bytes to syslog messages (RFC 6587): octet counting and lines, told apart by the first bytes.

Pure: no sockets, no clock. Wherever the bytes are split, the messages are the same; no bytes raise or loop.
"""

from __future__ import annotations

from typing import Literal

from ironpost_logpipe.chunks import MAX_LINE
from ironpost_logpipe.parsers import LINE_ENDS

#: A count of more digits is no count: nobody sends a message of 100 MB.
_DIGITS = 8
_LF = 0x0A
_ZERO = b"0"


class Deframer:
    """One connection's messages. Holds at most one of them, and of that no more than `limit` bytes and one.

    The first bytes decide for the whole connection: a number and a blank mean counted messages, anything else lines. A
    sender that changes its mind must connect again, or a line that begins with a number could swallow those after it.

    Messages come without the line ends behind them, and empty ones not at all. One that is longer than `limit` is cut
    there. After a count that is none, nothing tells where the next message begins, so no more of them come.

    Attributes:
        framing: what the sender uses.
        broken: a count was none; close the connection.
        cut: messages that were too long.
    """

    def __init__(self, limit: int = MAX_LINE) -> None:
        self.framing: Literal["unknown", "counted", "lines"] = "unknown"
        self.broken = False
        self.cut = 0
        self._limit = limit
        self._rest = bytearray()
        self._left = 0  # so many bytes of a counted message are still to come

    @property
    def pending(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._rest or self._left)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete with `data`; none once it is `broken`."""
        if self.broken:
            return []
        if self.framing == "unknown":
            data = self._with_rest(data)
            self.framing = _framing_of(data)
        if self.framing == "unknown":
            self._rest += data
            return []
        found = self._lines(data) if self.framing == "lines" else self._counted(data)
        return [text for message in found if (text := message.rstrip(LINE_ENDS))]

    def end(self) -> list[bytes]:
        """The last line, when it has no end and the sender ended in order. A counted message stays `pending` then."""
        if self.framing == "counted":
            return []
        self.framing = "lines"
        return self.feed(b"\n")

    def _with_rest(self, data: bytes) -> bytes:
        if self._rest:
            data = bytes(self._rest) + data
            self._rest.clear()
        return data

    def _lines(self, data: bytes) -> list[bytes]:
        if b"\0" in data:  # some senders end their messages so
            data = data.replace(b"\0", b"\n")
        first, *more = data.split(b"\n")
        self._keep(first)
        if not more:
            return []
        found = [self._fitting(bytes(self._rest)), *more[:-1]]
        self._rest.clear()
        self._keep(more[-1])
        return found if len(data) <= self._limit else list(map(self._fitting, found))

    def _keep(self, text: bytes) -> None:
        """Hold back an unfinished line, with one byte too many at most, which tells that it is to be cut."""
        self._rest += text[: self._limit + 1 - len(self._rest)]

    def _fitting(self, line: bytes) -> bytes:
        if len(line) <= self._limit:
            return line
        self.cut += 1
        return line[: self._limit]

    def _counted(self, data: bytes) -> list[bytes]:
        found: list[bytes] = []
        at = 0
        if self._left:
            at = self._continue(data, found)
        else:
            data = self._with_rest(data)
        size, limit = len(data), self._limit
        while at < size:
            blank = data.find(b" ", at, at + _DIGITS + 1)
            digits = data[at : blank if blank >= 0 else at + _DIGITS + 1]
            if not digits.isdigit() or digits[:1] == _ZERO or len(digits) > _DIGITS:
                if data[at] == _LF:  # behind a message, by senders that do not count their line end
                    at += 1
                    continue
                self.broken = True
                break
            if blank < 0:
                self._rest += digits
                break
            at = blank + 1 + int(digits)
            if at <= size and at - blank <= limit:
                found.append(data[blank + 1 : at])  # by far the most frequent case
            else:
                self._begin(data, blank + 1, at, found)
        return found

    def _begin(self, data: bytes, begin: int, end: int, found: list[bytes]) -> None:
        """Take the message between `begin` and `end`, or what there is of it."""
        kept = data[begin : min(end, begin + self._limit)]
        self.cut += end - begin > self._limit
        if end <= len(data):
            found.append(kept)
        else:
            self._left = end - len(data)
            self._rest += kept

    def _continue(self, data: bytes, found: list[bytes]) -> int:
        """Take more of the message that has begun; where in `data` it ends."""
        end = min(self._left, len(data))
        self._rest += data[: min(end, self._limit - len(self._rest))]
        self._left -= end
        if not self._left:
            found.append(bytes(self._rest))
            self._rest.clear()
        return end


def _framing_of(data: bytes) -> Literal["unknown", "counted", "lines"]:
    digits, blank, _ = data[: _DIGITS + 1].partition(b" ")
    if not data:
        return "unknown"
    if not digits.isdigit() or digits[:1] == _ZERO or len(digits) > _DIGITS:
        return "lines"
    return "counted" if blank else "unknown"

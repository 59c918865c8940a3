r"""Logs of web servers: access logs of nginx and Apache, their error logs.

An access log's client address stands in front of everything that a client chooses, and what a client chooses stands
in quotes with its own quotes escaped (``\x22``, ``\"``), so it can't be forged. The same holds for ``[client …]`` in
Apache's error log. nginx's error log escapes nothing: a request for ``/%0a…`` writes lines of the client's own, so
nothing in it is worth anything (`ForgeableEvent`).
"""

from __future__ import annotations

from ironpost_logpipe.event import Event, ForgeableEvent
from ironpost_logpipe.quoting import closing_quote, unescaped
from ironpost_logpipe.wellknown import priority_of

_STAMP = len(b"24/Nov/2026:22:38:51 +0000")
_IN_ADDRESSES = b"0123456789abcdefABCDEF.:"
_DAYS = (b"[Mon ", b"[Tue ", b"[Wed ", b"[Thu ", b"[Fri ", b"[Sat ", b"[Sun ")
_LONGEST_HEAD = 100
_CLIENT = b", client: "


def parse_access(line: bytes) -> Event | None:
    """Read a line of a common or combined access log, Apache's vhost_combined among them; None for anything else.

    Whatever a format of one's own adds behind the user agent is passed over.
    """
    end = line.find(b'] "')  # the first one: in what comes before it quotes are escaped
    begin = end - _STAMP
    if begin < 5 or line[begin - 2 : begin] != b" [" or line[begin + 2 : begin + 7 : 4] != b"//":
        return None
    extra = _requester(line[: begin - 2])
    request_end = closing_quote(line, end + 3)
    if extra is None or request_end < 0:
        return None
    rest = line[request_end + 1 :].split(b" ", 3)
    if len(rest) < 3 or rest[0] or len(rest[1]) != 3 or not rest[1].isdigit():
        return None
    _note_request(unescaped(line[end + 3 : request_end]), extra)
    extra["status"] = rest[1]
    if rest[2].isdigit():
        extra["size"] = rest[2]
    if len(rest) == 4 and rest[3][:1] == b'"':
        _note_sender(rest[3], extra)
    return Event(line, line, b"", b"", b"", line[begin:end], -1, extra)


def _requester(head: bytes) -> dict[str, bytes] | None:
    """Who asked: ``client identity user``, with ``vhost:port`` before it or not. A user may hold blanks."""
    words = head.split(b" ", 2)
    if len(words) != 3:
        return None
    found: dict[str, bytes] = {}
    if not _may_be_address(words[0]) and words[0].rpartition(b":")[2].isdigit():
        found["vhost"] = words[0].rpartition(b":")[0]
        words = head.split(b" ", 3)[1:]
        if len(words) != 3:
            return None
    client, _, user = words
    found["client"] = client
    if _may_be_address(client):
        found["source_ip"] = client
    if user not in (b"-", b'""'):
        found["user"] = unescaped(user)
    return found


def _may_be_address(text: bytes) -> bool:
    """Whether a text is no name, at least; `Judge` looks closer at what it uses."""
    return not text.translate(None, _IN_ADDRESSES) and (b"." in text or b":" in text)


def _note_request(request: bytes, extra: dict[str, bytes]) -> None:
    if request in (b"", b"-"):
        return
    extra["request"] = request
    method, _, rest = request.partition(b" ")
    target, blank, protocol = rest.rpartition(b" ")
    if not blank or not protocol.startswith(b"HTTP/"):
        target, protocol = rest, b""
    if not target:
        return  # no request at all, such as a TLS greeting sent in clear
    path, _, query = target.partition(b"?")
    extra["method"], extra["path"] = method, path
    if query:
        extra["query"] = query
    if protocol:
        extra["protocol"] = protocol


def _note_sender(rest: bytes, extra: dict[str, bytes]) -> None:
    """The referrer and the user agent."""
    end = closing_quote(rest, 1)
    if end > 1 and rest[:end] != b'"-':
        extra["referrer"] = unescaped(rest[1:end])
    if end < 0 or rest[end + 1 : end + 3] != b' "':
        return
    begin = end + 3
    end = closing_quote(rest, begin)
    if end > begin and rest[begin:end] != b"-":
        extra["user_agent"] = unescaped(rest[begin:end])


def parse_nginx_error(line: bytes) -> Event | None:
    """Read ``2026/11/24 22:38:51 [error] 12#12: *3 message``; None for anything else."""
    if line[4:8:3] != b"//" or line[13:17:3] != b"::" or line[19:21] != b" [":
        return None
    close = line.find(b"] ", 21, _LONGEST_HEAD)
    priority = priority_of(line[21:close]) if close > 0 else -1
    colon = line.find(b": ", close, _LONGEST_HEAD)
    process, _, thread = line[close + 2 : colon].partition(b"#")
    if priority < 0 or colon < 0 or not process.isdigit() or not thread.isdigit():
        return None
    message = line[colon + 2 :]
    if message[:1] == b"*" and message[1:].partition(b" ")[0].isdigit():
        message = message.partition(b" ")[2]
    extra: dict[str, bytes] = {}
    before, client, after = message.partition(_CLIENT)
    if client and before and _CLIENT not in after:
        extra["client"] = after.partition(b",")[0]
    return ForgeableEvent(line, message, b"", b"", process, line[:19], priority, extra)


def parse_apache_error(line: bytes) -> Event | None:
    """Read ``[Tue Nov 24 22:28:12.123456 2026] [core:error] [pid 12:tid 34] [client 192.0.2.1:5] message``."""
    if not line.startswith(_DAYS):
        return None
    stamp_end = line.find(b"] [", 0, _LONGEST_HEAD)
    level_end = line.find(b"] ", stamp_end + 3, _LONGEST_HEAD)
    if stamp_end < 0 or level_end < 0:
        return None
    module, _, level = line[stamp_end + 3 : level_end].rpartition(b":")
    priority = priority_of(level)
    if priority < 0:
        return None
    extra = {"component": module} if module else {}
    at, pid = level_end + 2, b""
    if line.startswith(b"[pid ", at):
        end = line.find(b"] ", at, at + _LONGEST_HEAD)
        pid = line[at + 5 : end].partition(b":")[0] if end > 0 else b""
        at = end + 2 if end > 0 else at
    message = _without_client(line[at:], extra)
    return Event(line, unescaped(message), b"", b"", pid, line[1:stamp_end], priority, extra)


def _without_client(text: bytes, extra: dict[str, bytes]) -> bytes:
    """The message behind the client, who is noted. Only an error of the system's may stand before the client."""
    begin = text.find(b": ", 0, _LONGEST_HEAD) + 2 if text[:1] == b"(" else 0  # "(13)Permission denied: "
    if not text.startswith(b"[client ", begin):
        return text
    client, closed, rest = text[begin + 8 :].partition(b"] ")
    if not closed:
        return text
    address, colon, port = client.rpartition(b":")
    if not colon or not port.isdigit():
        address = client
    extra["client"] = address
    if _may_be_address(address):
        extra["source_ip"] = address
    return rest

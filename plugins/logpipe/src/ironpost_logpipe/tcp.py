"""The syslog listener over TCP (RFC 6587) and TLS (RFC 5425): one thread for all connections.

Nobody waits for anybody: sockets do not block, a handshake has its time, a connection may hold one unfinished message.
When the buffer is full nothing is read any more, so that the senders' TCP waits and no line is dropped.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from ironpost_core.errors import SourceError
from ironpost_logpipe.chunks import Chunk
from ironpost_logpipe.frames import Deframer
from ironpost_logpipe.listening import WAIT, Listener
from ironpost_logpipe.tls import server_context

T = TypeVar("T")
_BLOCK = 64 << 10
_CHUNK = 1000
_ACCEPTS = 64
_HANDSHAKE_TIME = 10.0
_LOOK_AROUND = 1.0
_LAST_WAIT = 0.5
#: A peer that vanished without a word is noticed after about two minutes, however quiet it was.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


@attrs.define(eq=False, kw_only=True)
class _Peer:
    """One connection. `late` is when it will have been silent for too long."""

    socket: socket.socket
    sender: str
    late: float
    handshaking: bool
    events: int = selectors.EVENT_READ
    deframer: Deframer = attrs.field(factory=Deframer)


class TcpListener(Listener):
    """Receives streams. What waits here is bounded: one block, and one unfinished message for each connection."""

    kind = socket.SOCK_STREAM

    def __init__(self, *args: Any, **options: Any) -> None:
        self._peers: dict[int, _Peer] = {}
        self._selector: selectors.BaseSelector
        self._tls: ssl.SSLContext | None = None
        self._renewing = False
        self._troubles: dict[str, str] = {}
        self._lines: list[bytes] = []
        self._senders: list[str] = []
        self._size = 0
        self._cut = 0
        self._idle = 0
        self._stalled = False
        self._handshake_error = ""
        super().__init__(*args, **options)

    def renew(self) -> None:
        """Read the certificate files again; new connections get the new ones. Safe to call on any thread."""
        self._renewing = self._config.protocol == "tls"

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "connections": len(self._peers),
            "refused_connections": dict(self.refused),
            "framing_errors": self.framing_errors,
            "cut_messages": self._cut,
            "idle_connections_closed": self._idle,
        }
        return facts | ({"last_handshake_error": self._handshake_error} if self._handshake_error else {})

    def _open(self) -> socket.socket:
        if self._config.protocol == "tls":
            self._tls = server_context(self._config, self._source.name)
        return self._bind()

    def _prepare(self, opened: socket.socket) -> None:
        if os.name == "posix":  # elsewhere it would share the port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def _serve(self, opened: socket.socket) -> None:
        peers = self._peers
        # A forked child must not hold connections that its parent closes, or their senders would wait for ever.
        os.register_at_fork(after_in_child=self._forget)
        look_at = 0.0
        self._troubles.clear()
        with selectors.DefaultSelector() as self._selector:
            self._selector.register(opened, selectors.EVENT_READ)
            try:
                while not self._stopping.is_set():
                    self._turn(opened)
                    if (now := self._clock.monotonic()) >= look_at:
                        look_at = now + _LOOK_AROUND
                        self._look_around(now)
                    self._say("listening")
            finally:
                for peer in list(peers.values()):
                    self._close(peer)

    def _forget(self) -> None:
        for peer in self._peers.values():
            peer.socket.close()

    def _turn(self, opened: socket.socket) -> None:
        """Serve everybody who has something, once."""
        for key, _ in self._selector.select(WAIT):
            peer = self._peers.get(key.fd)
            if key.fileobj is opened:
                self._accept(opened)
            elif peer is not None:  # it may have made room for another one meanwhile
                self._advance(peer)
            if self._size >= _BLOCK:
                self._hand_over()
        self._hand_over()

    # -- connections --------------------------------------------------------------------------------------------

    def _accept(self, opened: socket.socket) -> None:
        for _ in range(_ACCEPTS):
            try:
                accepted, address = opened.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ECONNABORTED:
                    self._note("accept", f"can't accept: {error.strerror} (raise the limit of open files)")
                    self._clock.wait(self._stopping, 0.1)  # it would be reported again at once
                    return
                continue
            self._note("accept", "")
            try:
                self._admit(accepted, str(address[0]))
            except OSError:  # it is gone already
                self.refused["tls"] += self._tls is not None
                accepted.close()

    def _admit(self, accepted: socket.socket, sender: str) -> None:
        if not self._allows(sender):
            accepted.close()
            return
        if len(self._peers) >= self._config.connections and not self._made_room():
            self.refused["connections"] += 1
            accepted.close()
            return
        accepted.setblocking(False)
        _keep_alive(accepted)
        time = self._config.patience
        if self._tls is not None:
            accepted = self._tls.wrap_socket(
                accepted, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
            time = _HANDSHAKE_TIME
        handshaking = self._tls is not None
        peer = _Peer(socket=accepted, sender=sender, late=self._clock.monotonic() + time, handshaking=handshaking)
        self._peers[accepted.fileno()] = peer
        self._selector.register(accepted, peer.events)

    def _made_room(self) -> bool:
        """Give up the oldest handshake, so that stalled ones keep nobody out."""
        oldest = next((peer for peer in self._peers.values() if peer.handshaking), None)
        if oldest is None:
            return False
        self._fail_handshake(oldest, "too many at the same time")
        return True

    def _advance(self, peer: _Peer) -> None:
        if peer.handshaking:
            self._shake_hands(peer)
        else:
            self._read(peer)

    def _shake_hands(self, peer: _Peer) -> None:
        tls = peer.socket
        assert isinstance(tls, ssl.SSLSocket)  # noqa: S101
        try:
            peer.handshaking = not self._attempt(peer, lambda: _shaken(tls), still=False)
        except (OSError, ValueError) as error:
            self._fail_handshake(peer, str(getattr(error, "reason", None) or error))
            return
        if not peer.handshaking:
            peer.late = self._clock.monotonic() + self._config.patience

    def _attempt(self, peer: _Peer, operation: Callable[[], T], *, still: T) -> T:
        """The result; `still` when the socket is not ready, for reading or, with TLS, for writing."""
        result, events = still, selectors.EVENT_READ
        try:
            result = operation()
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except ssl.SSLWantWriteError:
            events = selectors.EVENT_WRITE
        if events != peer.events:
            peer.events = events
            self._selector.modify(peer.socket, events)
        return result

    def _read(self, peer: _Peer) -> None:
        try:
            data = self._attempt(peer, lambda: peer.socket.recv(_BLOCK), still=None)
        except OSError:  # reset, timed out, or closed without TLS's farewell
            self._close(peer)
            return
        if data is None:
            return
        if not data:
            self._take(peer, peer.deframer.end())
            self._close(peer)
            return
        peer.late = self._clock.monotonic() + self._config.patience
        self._take(peer, peer.deframer.feed(data))
        self._size += len(data)
        self._cut += peer.deframer.cut
        peer.deframer.cut = 0
        if peer.deframer.broken:
            self._close(peer)

    def _take(self, peer: _Peer, messages: list[bytes]) -> None:
        self._lines += messages
        self._senders += [peer.sender] * len(messages)

    def _close(self, peer: _Peer) -> None:
        """End a connection; a message that broke off is a framing error."""
        self.framing_errors += peer.deframer.broken or peer.deframer.pending
        del self._peers[peer.socket.fileno()]
        self._selector.unregister(peer.socket)
        if isinstance(peer.socket, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):  # says farewell, and waits for no answer
                peer.socket.unwrap()
        peer.socket.close()

    def _fail_handshake(self, peer: _Peer, reason: str) -> None:
        self.refused["tls"] += 1
        self._handshake_error = f"{peer.sender}: {reason[:200]}"
        self._close(peer)

    def _look_around(self, now: float) -> None:
        self._renew()
        if self._stalled:  # they had no chance to be heard
            self._stalled = False
            return
        self._close_late(now)

    def _close_late(self, now: float) -> None:
        for peer in [peer for peer in self._peers.values() if peer.late <= now]:
            if peer.handshaking:
                self._fail_handshake(peer, f"not finished within {_HANDSHAKE_TIME:g} s")
            else:
                self._idle += 1
                self._close(peer)

    # -- the rest -----------------------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Give on what was read, and wait until there is room for it."""
        lines, senders = self._lines, self._senders
        self._lines, self._senders, self._size = [], [], 0
        arrived = self._clock.now().timestamp()
        for at in range(0, len(lines), _CHUNK):
            piece = slice(at, at + _CHUNK)
            chunk = Chunk(self._source, lines[piece], arrived, senders=senders[piece])
            while not self._buffer.put(chunk, WAIT):
                self._stalled = True
                if self._stopping.is_set():
                    if not self._buffer.put(chunk, _LAST_WAIT):
                        self._buffer.offer(chunk)  # drops by the policy, but in the book
                    break

    def _renew(self) -> None:
        if not self._renewing:
            return
        self._renewing = False
        try:
            self._tls = server_context(self._config, self._source.name)
        except SourceError as error:
            self._log.error("%s; the former certificate stays in use", error)
            self._note("renew", str(error))
            return
        self._note("renew", "")

    def _note(self, about: str, trouble: str) -> None:
        self._troubles[about] = trouble
        self.status.trouble = "; ".join(filter(None, self._troubles.values()))


def _shaken(tls: ssl.SSLSocket) -> bool:
    tls.do_handshake()
    return True


def _keep_alive(accepted: socket.socket) -> None:
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                accepted.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

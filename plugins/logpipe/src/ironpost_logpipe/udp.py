"""The syslog listener over UDP (RFC 5426): one datagram, one message, whatever bytes it holds."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
from typing import Any

from ironpost_logpipe.chunks import Chunk
from ironpost_logpipe.listening import WAIT, Listener

_LARGEST = 65_535
_BURST = 512
_WANTED_BUFFER = 8 << 20
#: <asm-generic/socket.h> and <linux/sock_diag.h>; Python's socket module does not name them.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")


class UdpListener(Listener):
    """Receives datagrams. A full buffer drops by its policy; what the kernel dropped before is counted apart."""

    kind = socket.SOCK_DGRAM

    def _facts(self) -> dict[str, Any]:
        return {"refused_datagrams": self.refused["address"], "socket_drops": self.socket_drops}

    def _prepare(self, opened: socket.socket) -> None:
        """Ask for room. The kernel gives what it allows, so a refusal changes nothing."""
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WANTED_BUFFER)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # only root may go beyond net.core.rmem_max
                opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WANTED_BUFFER)

    def _serve(self, opened: socket.socket) -> None:
        space = bytearray(_LARGEST)
        before = self.socket_drops
        while not self._stopping.is_set():
            if select.select([opened], [], [], WAIT)[0]:
                self._drain(opened, space)
            self.socket_drops = before + kernel_drops(opened)
            self._say("listening")

    def _drain(self, opened: socket.socket, space: bytearray) -> None:
        """Take what the socket holds, a burst at most."""
        lines: list[bytes] = []
        senders: list[str] = []
        view = memoryview(space)
        with contextlib.suppress(BlockingIOError):
            for _ in range(_BURST):
                length, sender = opened.recvfrom_into(space)
                if self._allowed.get(sender[0]) or self._allows(sender[0]):
                    lines.append(bytes(view[:length]))
                    senders.append(sender[0])
        if lines:
            self._buffer.offer(Chunk(self._source, lines, self._clock.now().timestamp(), senders=senders))


def kernel_drops(opened: socket.socket) -> int:
    """How many datagrams the kernel dropped at this socket so far: what SO_RXQ_OVFL tells with the next datagram."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, struct.error):
            return int(_MEMINFO.unpack(opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[8])
    return 0

"""The syslog listener over UDP (RFC 5426): one datagram, one message, whatever bytes it holds."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import select
import socket
import struct
import sys
from threading import Event

from ironpost_core.alerts import Trust
from ironpost_core.clock import Clock
from ironpost_core.errors import SourceError
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import Chunk, Source
from ironpost_logpipe.config import SyslogSource, address_of
from ironpost_logpipe.status import Status

_LARGEST = 65_535
_BURST = 512
_WAIT = 0.25
_RETRY = 5.0
_WANTED_BUFFER = 8 << 20
_KNOWN_SENDERS = 4096
#: <asm-generic/socket.h>; Python's socket module does not name them.
_SO_RXQ_OVFL = 40
_SO_RCVBUFFORCE = 33


class UdpListener:
    """Receives datagrams. A full buffer drops by its policy; what the kernel dropped before is counted apart."""

    def __init__(
        self, config: SyslogSource, *, buffer: Buffer, clock: Clock, stopping: Event, log: logging.Logger
    ) -> None:
        self._config = config
        self._source = Source(
            name=f"syslog {config.listen}/udp", trust=Trust(config.trust), format=config.format, live=True
        )
        self._buffer = buffer
        self._clock = clock
        self._stopping = stopping
        self._log = log
        self._allowed: dict[str, bool] = {}
        self._space = bytearray(_LARGEST)
        self._view = memoryview(self._space)
        self._overflow_before = 0
        self.refused = 0
        self.socket_drops = 0
        self.address: tuple[str, int] | None = None
        self.status = Status(config.name or self._source.name, entries=[self._entry("starting")])

    def run(self) -> None:
        """Listen until the end; on a supervised thread. A port that is taken is tried again."""
        while not self._stopping.is_set():
            try:
                opened = self._bind()
            except SourceError as error:
                if self.status.trouble != str(error):
                    self._log.error("%s", error)
                self.status.trouble = str(error)
                self.status.entries = [self._entry("not listening")]
                self._clock.wait(self._stopping, _RETRY)
                continue
            self.status.trouble = ""
            self.status.entries = [self._entry("listening")]
            with opened:
                self._overflow_before = 0
                self._receive(opened)

    def _entry(self, state: str) -> dict[str, object]:
        return {
            "source": self._source.name,
            "state": state,
            "refused_datagrams": self.refused,
            "socket_drops": self.socket_drops,
        }

    def _bind(self) -> socket.socket:
        host, port = address_of(self._config.listen)
        family = socket.AF_INET6 if ":" in host or not host else socket.AF_INET
        try:
            opened = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            raise self._unbindable(error) from error
        try:
            if family == socket.AF_INET6 and not host:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            _enlarge(opened)
            opened.bind((host, port))
        except OSError as error:
            opened.close()
            raise self._unbindable(error) from error
        # A forked child that outlives a crash must not keep the port from the next start.
        os.register_at_fork(after_in_child=opened.close)
        opened.setblocking(False)
        self.address = opened.getsockname()[:2]
        return opened

    def _unbindable(self, error: OSError) -> SourceError:
        low = address_of(self._config.listen)[1] < 1024
        cure = "a port below 1024 needs root or CAP_NET_BIND_SERVICE" if low else "see who listens there: `ss -lunp`"
        what = f"can't listen: {error.strerror}"
        return SourceError(self._source.name, what, f"{cure}, or change `listen` in log_pipeline.sources")

    def _receive(self, opened: socket.socket) -> None:
        while not self._stopping.is_set():
            if select.select([opened], [], [], _WAIT)[0]:
                self._drain(opened)
            self.status.entries = [self._entry("listening")]

    def _drain(self, opened: socket.socket) -> None:
        """Take what the socket holds, a burst at most."""
        lines: list[bytes] = []
        senders: list[str] = []
        view, space = self._view, self._space
        with contextlib.suppress(BlockingIOError):
            self._first(opened, lines, senders)
            for _ in range(_BURST):
                length, sender = opened.recvfrom_into(space)
                if self._allowed.get(sender[0]) or self._allows(sender[0]):
                    lines.append(bytes(view[:length]))
                    senders.append(sender[0])
        if lines:
            self._buffer.offer(Chunk(self._source, lines, self._clock.now().timestamp(), senders=senders))

    def _first(self, opened: socket.socket, lines: list[bytes], senders: list[str]) -> None:
        """Receive the first of a burst with the kernel's count of drops, which costs too much for every one."""
        if not hasattr(opened, "recvmsg_into"):
            return
        length, ancillary, _, sender = opened.recvmsg_into([self._space], 64)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL and len(data) >= 4:
                (total,) = struct.unpack_from("=I", data)
                self.socket_drops += (total - self._overflow_before) & 0xFFFFFFFF
                self._overflow_before = total
        if self._allows(sender[0]):
            lines.append(bytes(self._view[:length]))
            senders.append(sender[0])

    def _allows(self, sender: str) -> bool:
        if not self._config.allow_from:
            return True
        known = self._allowed.get(sender)
        if known is None:
            if len(self._allowed) >= _KNOWN_SENDERS:
                self._allowed.clear()
            known = self._allowed[sender] = self._in_networks(sender)
        if not known:
            self.refused += 1
        return known

    def _in_networks(self, sender: str) -> bool:
        address = ipaddress.ip_address(sender.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address.version == network.version and address in network for network in self._config.allow_from)


def _enlarge(opened: socket.socket) -> None:
    """Ask for room and for the count of drops. The kernel gives what it allows, so a refusal changes nothing."""
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WANTED_BUFFER)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # only root may go beyond net.core.rmem_max
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WANTED_BUFFER)
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)

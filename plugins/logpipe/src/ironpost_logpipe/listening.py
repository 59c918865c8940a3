"""What all syslog listeners share: opening a port and trying again, who may send, and what is said about it."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from abc import ABC, abstractmethod
from threading import Event
from typing import Any

from ironpost_core.alerts import Trust
from ironpost_core.clock import Clock
from ironpost_core.errors import SourceError
from ironpost_core.metrics import REFUSALS
from ironpost_logpipe.buffer import Buffer
from ironpost_logpipe.chunks import Source
from ironpost_logpipe.config import SyslogSource, address_of
from ironpost_logpipe.status import Status

#: How long a thread may not notice that it is to stop, in seconds.
WAIT = 0.25
_RETRY = 5.0
_KNOWN_SENDERS = 4096
_BACKLOG = 128


class Listener(ABC):
    """A source that waits on a port.

    Attributes:
        refused: datagrams and connections that were turned away, by reason.
        socket_drops: datagrams that the kernel dropped.
        framing_errors: messages that could not be told apart or broke off.
        address: where it listens, once it does.
    """

    kind: socket.SocketKind

    def __init__(
        self, config: SyslogSource, *, buffer: Buffer, clock: Clock, stopping: Event, log: logging.Logger
    ) -> None:
        name = f"syslog {config.listen}/{config.protocol}"
        self._config = config
        self._source = Source(name=name, trust=Trust(config.worth), format=config.format, live=True)
        self._buffer = buffer
        self._clock = clock
        self._stopping = stopping
        self._log = log
        self._allowed: dict[str, bool] = {}
        self.refused = dict.fromkeys(REFUSALS, 0)
        self.socket_drops = 0
        self.framing_errors = 0
        self.address: tuple[str, int] | None = None
        self.status = Status(config.name or name)
        self._say("starting")

    def run(self) -> None:
        """Listen until the end; on a supervised thread. A port that is taken is tried again."""
        while not self._stopping.is_set():
            try:
                opened = self._open()
            except SourceError as error:
                if self.status.trouble != str(error):
                    self._log.error("%s", error)
                self.status.trouble = str(error)
                self._say("not listening")
                self._clock.wait(self._stopping, _RETRY)
                continue
            self.status.trouble = ""
            self._say("listening")
            with opened:
                self._serve(opened)

    def _open(self) -> socket.socket:
        """Everything that must be there before it listens.

        Raises:
            SourceError: something is not; `run` says so and tries again.
        """
        return self._bind()

    @abstractmethod
    def _serve(self, opened: socket.socket) -> None:
        """Receive until the end."""

    @abstractmethod
    def _facts(self) -> dict[str, Any]:
        """What this kind of listener counts, for the status."""

    def _say(self, state: str) -> None:
        self.status.entries = [{"source": self._source.name, "state": state, **self._facts()}]

    def _bind(self) -> socket.socket:
        host, port = address_of(self._config.listen)
        family = socket.AF_INET6 if ":" in host or not host else socket.AF_INET
        try:
            opened = socket.socket(family, self.kind)
        except OSError as error:
            raise self._unbindable(error) from error
        try:
            if family == socket.AF_INET6 and not host:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._prepare(opened)
            opened.bind((host, port))
            if self.kind == socket.SOCK_STREAM:
                opened.listen(_BACKLOG)
        except OSError as error:
            opened.close()
            raise self._unbindable(error) from error
        # A forked child that outlives a crash must not keep the port from the next start.
        os.register_at_fork(after_in_child=opened.close)
        opened.setblocking(False)
        self.address = opened.getsockname()[:2]
        return opened

    @abstractmethod
    def _prepare(self, opened: socket.socket) -> None:
        """Set what must be set before the socket is bound."""

    def _unbindable(self, error: OSError) -> SourceError:
        low = address_of(self._config.listen)[1] < 1024
        shown = "ss -lunp" if self.kind == socket.SOCK_DGRAM else "ss -ltnp"
        cure = "a port below 1024 needs root or CAP_NET_BIND_SERVICE" if low else f"see who listens there: `{shown}`"
        what = f"can't listen: {error.strerror}"
        return SourceError(self._source.name, what, f"{cure}, or change `listen` in log_pipeline.sources")

    def _allows(self, sender: str) -> bool:
        """Whether it may send; counted when it may not."""
        known = self._allowed.get(sender)
        if known is None:
            if len(self._allowed) >= _KNOWN_SENDERS:
                self._allowed.clear()
            known = self._allowed[sender] = self._in_networks(sender)
        if not known:
            self.refused["address"] += 1
        return known

    def _in_networks(self, sender: str) -> bool:
        networks = self._config.allow_from
        if not networks:
            return True
        address = ipaddress.ip_address(sender.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address.version == network.version and address in network for network in networks)

"""TCP and TLS connections of the HTTP server: how many, how long, and who has to go when there are too many.

aiohttp bounds neither their number nor the time of a TLS handshake or of a client that does not read its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import attrs

_NO_ROOM: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


@attrs.frozen(kw_only=True)
class Limits:
    """Bounds on what clients can hold. Times in seconds.

    Attributes:
        connections: at once; above it the longest idle one is closed for a new one, or the new one when all are busy.
        handshake: until a TLS handshake is complete.
        request: from the connection until its first request is complete.
        idle: from an answer until the next request is complete; also the time to read the answer.
        busy: until an answer is there.
        tick: how often this is looked at.
    """

    connections: int = 256
    handshake: float = 10.0
    request: float = 10.0
    idle: float = 30.0
    busy: float = 30.0
    tick: float = 0.5


@attrs.define(eq=False)
class _Connection:
    transport: asyncio.Transport
    since: float
    busy: bool = False
    served: bool = False

    def expires(self, limits: Limits) -> float:
        if self.busy:
            return self.since + limits.busy
        return self.since + (limits.idle if self.served else limits.request)


@attrs.frozen(eq=False)
class _Handshake:
    accepted: socket.socket
    since: float

    def end(self) -> None:
        """Have it fail. To cancel the task instead could leave a transport with a closed descriptor."""
        with contextlib.suppress(OSError):  # the client has left already
            self.accepted.shutdown(socket.SHUT_RDWR)


class Connections:
    """All connections of one server, on one event loop. The protocol tells `opened`, `begun`, `ended` and `closed`."""

    def __init__(self, limits: Limits, log: logging.Logger) -> None:
        self._limits = limits
        self._log = log
        self._open: dict[asyncio.BaseProtocol, _Connection] = {}
        self._joining: dict[asyncio.Task[None], _Handshake] = {}

    def __len__(self) -> int:
        return len(self._open) + len(self._joining)

    # -- what the protocol tells ----------------------------------------------------------------------------------

    def opened(self, protocol: asyncio.BaseProtocol, transport: asyncio.Transport) -> None:
        """A connection is there (its handshake done)."""
        self._open[protocol] = _Connection(transport, _now())

    def begun(self, protocol: asyncio.BaseProtocol) -> None:
        """A request is complete and worked on."""
        if (connection := self._open.get(protocol)) is not None:
            connection.busy, connection.served, connection.since = True, True, _now()

    def ended(self, protocol: asyncio.BaseProtocol) -> None:
        """Its answer is made and has still to be sent."""
        if (connection := self._open.get(protocol)) is not None:
            connection.busy, connection.since = False, _now()

    def closed(self, protocol: asyncio.BaseProtocol) -> None:
        """The connection is gone."""
        self._open.pop(protocol, None)

    # -- accepting ------------------------------------------------------------------------------------------------

    async def serve(
        self,
        listeners: Sequence[socket.socket],
        make_protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        """Accept connections until cancelled."""
        async with asyncio.TaskGroup() as group:
            for listener in listeners:
                group.create_task(self._accept(listener, make_protocol, tls))
            group.create_task(self._reap())

    async def _accept(
        self, listener: socket.socket, make_protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._log.warning("no connection can be accepted: %s", error.strerror)
                    self._make_room()
                    await asyncio.sleep(self._limits.tick)
                continue  # else the client has left already
            if len(self) >= self._limits.connections and not self._make_room():
                accepted.close()
                self._log.warning("a connection was refused: %d requests are being worked on", len(self))
            elif tls is None:
                await self._join(accepted, make_protocol, None)
            else:
                task = loop.create_task(self._join(accepted, make_protocol, tls))
                self._joining[task] = _Handshake(accepted, _now())
                task.add_done_callback(self._joined)

    async def _join(
        self, accepted: socket.socket, make_protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        timeout = self._limits.handshake if tls is not None else None
        try:
            await loop.connect_accepted_socket(make_protocol, accepted, ssl=tls, ssl_handshake_timeout=timeout)
        except OSError as error:  # TLS errors and time-outs are among them
            self._log.debug("a connection was not completed: %s", error)

    def _joined(self, task: asyncio.Task[None]) -> None:
        self._joining.pop(task, None)

    # -- closing --------------------------------------------------------------------------------------------------

    def _make_room(self) -> bool:
        """Close the connection that has been without a request the longest; False when all are being worked on."""
        idle = [connection for connection in self._open.values() if not connection.busy]
        idle_oldest = min(idle, key=lambda connection: connection.since, default=None)
        joining_oldest = next(iter(self._joining.items()), None)  # in the order in which they came
        if joining_oldest is not None and (idle_oldest is None or joining_oldest[1].since < idle_oldest.since):
            self._joining.pop(joining_oldest[0])
            joining_oldest[1].end()
        elif idle_oldest is not None:
            self._forget(idle_oldest)
        else:
            return False
        return True

    def _forget(self, connection: _Connection) -> None:
        connection.transport.abort()
        # `closed` comes later; until then it must not count.
        self._open = {protocol: known for protocol, known in self._open.items() if known is not connection}

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(self._limits.tick)
            now = _now()
            for connection in list(self._open.values()):
                if now > connection.expires(self._limits):
                    self._forget(connection)

    async def close(self) -> None:
        """Close what is left, answered or not."""
        joining = dict(self._joining)
        for handshake in joining.values():
            handshake.end()
        if joining:
            await asyncio.wait(joining)
        for connection in list(self._open.values()):
            self._forget(connection)


def _now() -> float:
    return asyncio.get_running_loop().time()

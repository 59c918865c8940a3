"""Opening the metrics address: listening sockets and TLS, with errors that name the setting and the cure."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from pathlib import Path
from typing import Final, NoReturn

from ironpost_core import ConfigError, Problem
from ironpost_core.config import MetricsConfig

_BACKLOG: Final = 128


def listen(config: MetricsConfig) -> list[socket.socket]:
    """Listening, non-blocking sockets for every address that `listen_addr` means (``localhost`` means two).

    Raises:
        ConfigError: names ``[metrics] listen_addr`` or ``port`` and what to do.
    """
    sockets: list[socket.socket] = []
    port = config.port
    try:
        for family, address in _addresses(config):
            sockets.append(_open(config, family, address, port))
            port = sockets[0].getsockname()[1]  # port 0 means one free port for all of them
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _addresses(config: MetricsConfig) -> list[tuple[int, str]]:
    try:
        found = socket.getaddrinfo(config.listen_addr, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        _refuse("listen_addr", f"{config.listen_addr!r} is no address of this machine: {error}", _ADDRESS_CURE)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _open(config: MetricsConfig, family: int, address: str, port: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        opened.setblocking(False)
        opened.bind((address, port))
        opened.listen(_BACKLOG)
        # In a child that a plugin forked, it would hold the address when the daemon has ended.
        os.register_at_fork(after_in_child=opened.close)
    except OSError as error:
        opened.close()
        _refuse_bind(config, error)
    return opened


_ADDRESS_CURE: Final = "set [metrics] listen_addr to an address of this machine, such as 127.0.0.1 or 0.0.0.0"


def _refuse_bind(config: MetricsConfig, error: OSError) -> NoReturn:
    place = f"{config.listen_addr} port {config.port}"
    if error.errno == errno.EADDRINUSE:
        where = " (9100 is also node_exporter's port)" if config.port == 9100 else ""
        _refuse("port", f"{place} is taken by another program{where}", "set [metrics] port to a free one")
    if error.errno in (errno.EACCES, errno.EPERM):
        cure = "set [metrics] port to 1024 or higher, or grant CAP_NET_BIND_SERVICE"
        _refuse("port", f"{place} may not be opened by this user", cure)
    _refuse("listen_addr", f"{place} can't be opened: {error.strerror}", _ADDRESS_CURE)


def tls_context(config: MetricsConfig) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the configured certificate; None when none is configured.

    Raises:
        ConfigError: names the file and what to do.
    """
    if config.tls_cert is None or config.tls_key is None:
        return None
    for setting, path in (("tls_cert", config.tls_cert), ("tls_key", config.tls_key)):
        _readable(setting, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # The password is given so that OpenSSL does not ask on the terminal for one.
        context.load_cert_chain(config.tls_cert, config.tls_key, password="")
    except (OSError, ValueError) as error:
        what = f"{config.tls_cert} and {config.tls_key} can't be used together: {error}"
        _refuse("tls_cert", what, "give a PEM chain, the server's own certificate first, and its unencrypted PEM key")
    return context


def _readable(setting: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        cure = f"make it readable for the daemon's user, or set [metrics] {setting} to another file"
        _refuse(setting, f"{path} can't be read: {error.strerror}", cure)


def _refuse(setting: str, what: str, remedy: str) -> NoReturn:
    raise ConfigError([Problem(where=f"metrics.{setting}", what=what, remedy=remedy)])

"""A Unix socket that is private from its first moment, and who is at its other end."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
import struct
import time
from pathlib import Path
from typing import Final, NoReturn

from ironpost_core import ConfigError, Problem

#: Bytes that fit into sockaddr_un beside the final NUL (unix(7)).
LONGEST_PATH: Final = 107
_BACKLOG: Final = 16
_CHUNK: Final = 65536


def group_id(name: str | None) -> int | None:
    """The number of a group; ConfigError when this machine has no such group."""
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        _refuse("general.control_group", f"there is no group {name!r}", f"create it (groupadd {name}), or name another")


def open_socket(path: Path, gid: int | None) -> socket.socket:
    """A listening socket of mode 0600, or 0660 for the group `gid`. A dead daemon's socket is replaced.

    Raises:
        ConfigError: the path is too long, something else lies there, a daemon listens there, or it can't be made.
    """
    length = len(bytes(path))
    if length > LONGEST_PATH:
        what = f"the control socket's path {path} has {length} bytes, {LONGEST_PATH} are possible"
        _refuse("general.run_dir", what, "set general.run_dir to a folder with a shorter name")
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(listener.fileno(), 0o600)  # Linux makes the file with the socket's own mode, so there is no gap
        listener.bind(str(path))
        if gid is not None:
            os.chown(path, -1, gid)
            path.chmod(0o660)
        listener.listen(_BACKLOG)
        # In a child that a plugin forked, it would seem that the daemon goes on when it has ended.
        os.register_at_fork(after_in_child=listener.close)
    except OSError as error:
        listener.close()
        cure = "make the folder writable for the daemon's user (and this user a member of general.control_group)"
        _refuse("general.run_dir", f"the control socket {path} can't be made: {error.strerror}", cure)
    return listener


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            _refuse("general.run_dir", f"{path} is no socket", "move it away, or set general.run_dir to another folder")
    except OSError:
        return  # absent, or bind will say what is wrong
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            what = f"the control socket {path} is there and can't be asked who listens: {error}"
            _refuse("general.run_dir", what, "stop the other daemon, or set general.run_dir to another folder")
    what = f"another daemon listens on {path}"
    _refuse("general.run_dir", what, "stop it, or give this one a general.run_dir of its own")


def allowed(connection: socket.socket, gid: int | None) -> str:
    """Why the peer may not call; empty when it may: root, this process's user, or a member of the group."""
    size = struct.calcsize("3i")
    pid, uid, peer_gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if uid in (0, os.geteuid()) or (gid is not None and gid in _groups(uid, peer_gid)):
        return ""
    return f"user {uid} (process {pid}) is neither root nor the daemon's user, nor in general.control_group"


def _groups(uid: int, gid: int) -> set[int]:
    try:
        return {gid, *os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)}
    except KeyError:  # a user without an entry, as in containers
        return {gid}


def read_line(connection: socket.socket, limit: int, until: float) -> bytes:
    """All bytes up to the first line end or the end of the stream.

    Args:
        connection: a connected socket.
        limit: bytes at most.
        until: `time.monotonic` at which to give up.

    Raises:
        ValueError: the line is longer than `limit`.
        TimeoutError: it is not there in time.
        OSError: the connection broke.
    """
    data = bytearray()
    while not data.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the line is not complete in time")
        connection.settimeout(left)
        chunk = connection.recv(_CHUNK)
        if not chunk:
            break
        data += chunk
        if len(data) > limit:
            raise ValueError(f"more than {limit} bytes")
    return bytes(data)


def _refuse(where: str, what: str, remedy: str) -> NoReturn:
    raise ConfigError([Problem(where=where, what=what, remedy=remedy)])

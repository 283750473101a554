"""Sockets that a server listens on: at a port, or at a path."""

import errno
import os
import socket
import stat
from pathlib import Path


class CannotListen(Exception):
    """A place to listen at is taken, or is none; the message says which."""


def at_port(host: str, port: int) -> socket.socket:
    """A bound socket at a port; CannotListen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
    except OSError as error:
        raise CannotListen(f"Nobody can listen at {host}, port {port}: {error}.") from error
    return listening


def at_path(path: Path) -> socket.socket:
    """A bound Unix socket; one that was left there, and that nobody listens at, is replaced.

    Who may connect is what the umask lets. CannotListen.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_left_over(path):
            path.unlink()
        listening.bind(os.fspath(path))
    except OSError as error:
        listening.close()
        raise CannotListen(f"Nobody can listen at {path}: {error}.") from error
    return listening


def _is_left_over(path: Path) -> bool:
    """Whether a socket is there that nobody listens at."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(os.fspath(path)) == errno.ECONNREFUSED

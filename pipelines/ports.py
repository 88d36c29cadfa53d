"""A port for a program that has to be told one: kept for it until it comes, and while it is away."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def keeper() -> socket.socket:
    """A socket that keeps a port of loopback as long as it is open.

    It is bound and not listened at, so the system gives that port to nobody who asks for any; whoever asks for it by
    number gets it, if both allow it by SO_REUSEADDR, as this one and servers do. A port that is only looked up and let
    go may be another test's by the time it is used.
    """
    keeping = socket.socket()
    keeping.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeping.bind(("127.0.0.1", 0))
    return keeping


@contextmanager
def kept_port() -> Iterator[int]:
    """A port of loopback that is kept while the block lasts."""
    with keeper() as keeping:
        yield int(keeping.getsockname()[1])

"""A TCP proxy on loopback that a test can take down, slow down, or have cut connections after so many bytes."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 512
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST


class Proxy:
    """Hands bytes on, both ways.

    Attributes:
        is_down: every new connection is reset.
        pause_s: before each piece of 512 bytes that goes to the other side.
        cuts: after how many bytes of a request the next connections are reset; then none is.
        cut: how many were.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=address))
        self.is_down = False
        self.pause_s = 0.0
        self.cuts: list[int] = []
        self.cut = self.refused = 0
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            _reset(one)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            if self.is_down:
                self.refused += 1
                _reset(caller)
                continue
            called = socket.create_connection(self._target, 10)
            self._open |= {caller, called}
            cut_after = self.cuts.pop(0) if self.cuts else None
            threading.Thread(target=self._hand_on, args=(caller, called, cut_after), daemon=True).start()
            threading.Thread(target=self._hand_on, args=(called, caller, None), daemon=True).start()

    def _hand_on(self, source: socket.socket, sink: socket.socket, cut_after: int | None) -> None:
        count = 0
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                count += len(data)
                if cut_after is not None and count > cut_after:
                    self.cut += 1
                    _reset(source)
                    _reset(sink)
                    return
                if self.pause_s and cut_after is None:
                    time.sleep(self.pause_s)
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        one.shutdown(socket.SHUT_RD)  # wakes the thread that reads it
    with suppress(OSError):
        one.close()


@contextmanager
def proxy_to(url: str) -> Iterator[Proxy]:
    made = Proxy(url)
    try:
        yield made
    finally:
        made.close()

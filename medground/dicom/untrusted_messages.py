"""Messages between the parent and the processes that read untrusted files: framed, bounded, never pickled.

A message is two lengths, a JSON head and bytes. Whoever receives says how much of it there may be, and until when.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any, cast

_LENGTHS = struct.Struct("<QQ")
MAX_HEAD_BYTES = 2**20


class Broken(Exception):  # noqa: N818  # an answer that did not come, not an error of the input
    """The other side is gone, or what it sends is no message within the bounds."""


class Late(Broken):
    """The other side took too long."""


def send(to: socket.socket, head: dict[str, Any], body: memoryview | bytes = b"") -> None:
    """Send one message.

    Args:
        to: connected stream; its own timeout counts.
        head: what JSON can say.
        body: contiguous bytes.

    Raises:
        Late: the other side does not read.
        Broken: it is gone.
    """
    text = json.dumps(head).encode()
    body = memoryview(body).cast("B") if len(body) else b""
    try:
        to.sendall(_LENGTHS.pack(len(text), len(body)) + text)
        to.sendall(body)
    except TimeoutError as cause:
        raise Late from cause
    except OSError as cause:
        raise Broken from cause


def receive(source: socket.socket, at_most: int, *, deadline: float | None = None) -> tuple[dict[str, Any], bytearray]:
    """Receive one message; nothing is allocated for more than was allowed.

    Args:
        source: connected stream.
        at_most: bytes of the body.
        deadline: of `time.monotonic`; without one, however long it takes.

    Raises:
        Late: it was not there in time.
        Broken: the stream ended, or the message is too large or has no JSON object for its head.
    """
    head_bytes, body_bytes = _LENGTHS.unpack(_read(source, _LENGTHS.size, deadline))
    if head_bytes > MAX_HEAD_BYTES or body_bytes > at_most:
        raise Broken
    text, body = _read(source, head_bytes, deadline), _read(source, body_bytes, deadline)
    try:
        head = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise Broken from cause
    if not isinstance(head, dict):
        raise Broken
    return cast(dict[str, Any], head), body


def _read(source: socket.socket, count: int, deadline: float | None) -> bytearray:
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise Late
        source.settimeout(left)
        try:
            got = source.recv_into(view[done:])
        except TimeoutError as cause:
            raise Late from cause
        except OSError as cause:
            raise Broken from cause
        if got == 0:
            raise Broken
        done += got
    return data

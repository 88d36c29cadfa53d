"""Wire: one connection, as whole PDUs in and bytes out, each within its time and size.

pynetdicom's own receive path is not used. It reads a PDU of whatever length the other side declares, waits for the rest
of it for ever, makes the TLS handshake in the thread that accepts connections, keeps whole data sets in memory, and has
two threads to an association look a thousand times a second whether there is something to do: twenty idle callers take
a third of a processor (`benchmarks.dicom_receive`). One thread that waits in `recv` has none of this. pynetdicom
negotiates associations, and encodes and decodes all PDUs but those of data.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum, StrEnum
from typing import Final

_HEAD: Final = struct.Struct(">BxL")
_MOST_OTHER_BYTES: Final = 2**20  # 128 contexts with 50 transfer syntaxes each stay below
_LINGER_SECONDS, _LINGER_BYTES = 2.0, 2**24


class PduType(IntEnum):
    """PS3.8 section 9.3."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortReason(IntEnum):
    """Reasons of an A-ABORT by the provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class Ending(StrEnum):
    """How an association or a connection ended."""

    RELEASED = "released"
    ABORTED = "aborted by the other side"
    CLOSED = "connection lost"
    SILENT = "no answer in time"
    BROKEN = "protocol broken by the other side"
    STOPPED = "stopped"
    FAILED = "failed here"


class EndedError(Exception):
    """The association is over.

    Args:
        ending: how.
        abort_reason: what the other side is told, where it broke the protocol.
    """

    def __init__(self, ending: Ending, abort_reason: AbortReason = AbortReason.NOT_SPECIFIED) -> None:
        super().__init__(str(ending))
        self.ending, self.abort_reason = ending, abort_reason


class Wire:
    """PDUs of one connection.

    Args:
        connection: connected; closed with `close`.
        max_pdu_bytes: of a PDU of data.
        pdu_seconds: from the first byte of a PDU to its last.
        send_seconds: until what is sent has been taken.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        max_pdu_bytes: int,
        pdu_seconds: float,
        send_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._max_pdu_bytes = max_pdu_bytes
        self._pdu_seconds, self._send_seconds = pdu_seconds, send_seconds
        self._clock = clock
        self._head = memoryview(bytearray(_HEAD.size))
        self._body = memoryview(bytearray())
        with suppress(OSError):  # an answer is one small PDU: it must not wait for others to go with
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handshake(self, context: ssl.SSLContext, deadline: float) -> None:
        """Go on in TLS, as its server.

        Raises:
            EndedError: the other side speaks none, or none that is accepted, or takes too long.
        """
        try:
            self._connection = context.wrap_socket(
                self._connection, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
            )
            self._connection.settimeout(max(deadline - self._clock(), 0.001))
            self._connection.do_handshake()
        except (OSError, ValueError) as cause:
            raise EndedError(Ending.BROKEN) from cause

    def read(self, wait_seconds: float, *, whole_seconds: float | None = None) -> tuple[int, memoryview]:
        """The next PDU.

        Args:
            wait_seconds: until its first byte.
            whole_seconds: until its last; None where `pdu_seconds` from its first are enough of a bound.

        Returns:
            Its type, and what follows its length; valid until the next call.

        Raises:
            EndedError: there is none, or it is too long.
        """
        started = self._clock()
        begun = self._receive(self._head, started + wait_seconds)
        deadline = self._clock() + self._pdu_seconds
        if whole_seconds is not None:
            deadline = min(deadline, started + whole_seconds)
        self._fill(self._head[begun:], deadline)
        kind, length = _HEAD.unpack(self._head)
        if not PduType.ASSOCIATE_RQ <= kind <= PduType.ABORT:
            raise EndedError(Ending.BROKEN, AbortReason.UNRECOGNIZED_PDU)
        if length > (self._max_pdu_bytes if kind == PduType.DATA else _MOST_OTHER_BYTES):
            raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
        if length > len(self._body):
            self._body = memoryview(bytearray(length))
        body = self._body[:length]
        self._fill(body, deadline)
        return kind, body

    def send(self, data: bytes | memoryview) -> None:
        """Send everything.

        Raises:
            EndedError: it cannot be sent, or not in time.
        """
        try:
            self._connection.settimeout(self._send_seconds)
            self._connection.sendall(data)
        except TimeoutError as cause:
            raise EndedError(Ending.SILENT) from cause
        except (OSError, ValueError) as cause:
            raise EndedError(Ending.CLOSED) from cause

    def interrupt(self) -> None:
        """End a `read` that waits in another thread; what was received before is still read, and sending goes on."""
        with suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RD)  # that of an SSLSocket would end its TLS too

    def cut(self) -> None:
        """End everything that goes on in another thread."""
        with suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def close(self, *, linger: bool = False) -> None:
        """Close the connection.

        Args:
            linger: wait a little until the other side closes it too. To close while bytes of it are unread would make
                the system withdraw what was sent last, e.g. why it was refused.
        """
        if linger:
            with suppress(OSError):
                socket.socket.shutdown(self._connection, socket.SHUT_WR)
                deadline, dropped = self._clock() + _LINGER_SECONDS, 0
                while (left := deadline - self._clock()) > 0 and dropped < _LINGER_BYTES:
                    socket.socket.settimeout(self._connection, left)
                    received = len(socket.socket.recv(self._connection, 2**16))
                    if not received:
                        break
                    dropped += received
        with suppress(OSError):
            self._connection.close()

    def _fill(self, view: memoryview, deadline: float) -> None:
        filled = 0
        while filled < len(view):
            filled += self._receive(view[filled:], deadline)

    def _receive(self, view: memoryview, deadline: float) -> int:
        """Some bytes, at least one; how many."""
        left = deadline - self._clock()
        if left <= 0:
            raise EndedError(Ending.SILENT)
        try:
            self._connection.settimeout(left)
            received = self._connection.recv_into(view)
        except TimeoutError as cause:
            raise EndedError(Ending.SILENT) from cause
        except (OSError, ValueError) as cause:
            raise EndedError(Ending.CLOSED) from cause
        if not received:
            raise EndedError(Ending.CLOSED)
        return received

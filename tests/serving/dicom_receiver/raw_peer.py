"""A caller down to its bytes, to say what no library would; messages are encoded by pynetdicom."""

from __future__ import annotations

import io
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from pydicom import Dataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import build_context

from tests.serving.dicom_receiver.running import CALLER, MEDGROUND

STORE, ECHO, ACTION, EVENT_RESPONSE = 0x0001, 0x0030, 0x0130, 0x8100
PATIENCE_S = 120.0  # far more than any answer takes, however busy the machine is
ACCEPTED, REJECTED, RELEASE_RESPONSE, ABORT = 2, 3, 6, 7  # kinds of PDU (PS3.8 section 9.3)


def request_bytes(
    calling: str = CALLER,
    called: str = MEDGROUND,
    proposed: Sequence[tuple[str, Sequence[str]]] = ((CTImageStorage, (ExplicitVRLittleEndian,)),),
    application_context: str = "1.2.840.10008.3.1.1.1",
    max_pdu_bytes: int = 16384,
) -> bytes:
    """An A-ASSOCIATE-RQ; its contexts have the ids 1, 3, 5, ..."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(application_context)
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    contexts = [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in proposed]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = max_pdu_bytes, UID("1.2.3.4")
    primitive.user_information = [length, implementation]
    return A_ASSOCIATE_RQ(primitive).encode()


def command_bytes(**elements: Any) -> bytes:
    """A command set, with its length in front."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    content = encode(dataset, True, True) or b""
    return struct.pack("<HHLL", 0, 0, 4, len(content)) + content


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body


def fragment(data: bytes, *, command: bool, last: bool, context: int = 1) -> bytes:
    """A PDU with one fragment."""
    return pdu(4, item(data, command=command, last=last, context=context))


def item(data: bytes, *, command: bool, last: bool, context: int = 1) -> bytes:
    return struct.pack(">LBB", len(data) + 2, context, command | last << 1) + data


def store_command(sop_instance: str = "1.2.3.1", sop_class: str = CTImageStorage, **elements: Any) -> bytes:
    return command_bytes(
        **{
            "AffectedSOPClassUID": sop_class,
            "CommandField": STORE,
            "MessageID": 7,
            "Priority": 0,
            "CommandDataSetType": 1,
            "AffectedSOPInstanceUID": sop_instance,
            **elements,
        }
    )


class RawPeer:
    """A connection; PDUs are sent as they are given.

    Args:
        port: of the receiver.
        tls: None in plain text.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.settimeout(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *pdus: bytes) -> None:
        self.socket.sendall(b"".join(pdus))

    def drip(self, content: bytes, pause_s: float) -> None:
        """Send bytes one by one, until all are sent or nobody is left who takes them."""
        with suppress(OSError):
            for byte in content:
                self.send(bytes([byte]))
                time.sleep(pause_s)

    def read(self) -> tuple[int, bytes] | None:
        """The next PDU, by its type and what follows its length; None at the end of the connection."""
        head = self._exactly(6)
        if head is None:
            return None
        kind, length = struct.unpack(">BxL", head)
        return kind, self._exactly(length) or b""

    def associate(self, **changes: Any) -> int:
        """Ask for an association; the type of the answer."""
        self.send(request_bytes(**changes))
        answer = self.read()
        assert answer is not None
        return answer[0]

    def read_command(self) -> Dataset:
        """The command set of the next message, which has to come in one fragment."""
        answer = self.read()
        assert answer is not None
        kind, body = answer
        length, _, control = struct.unpack_from(">LBB", body)
        assert (kind, control, length) == (4, 3, len(body) - 4)
        return decode(io.BytesIO(body[6:]), True, True)

    def reset(self) -> None:
        """End the connection as a crash would: with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _exactly(self, size: int) -> bytes | None:
        content = b""
        while len(content) < size:
            try:
                received = self.socket.recv(size - len(content))
            except ConnectionResetError:
                return None
            if not received:
                return None
            content += received
        return content

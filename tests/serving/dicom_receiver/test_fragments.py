"""Fragments, as long as the other side takes them."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from medground.serving.dicom_receiver.fragments import Fragments, piece_bytes, send_message
from medground.serving.dicom_receiver.wire import EndedError, Ending, Wire


def wired(connection: socket.socket, max_pdu_bytes: int = 2**18) -> Wire:
    return Wire(connection, max_pdu_bytes=max_pdu_bytes, pdu_seconds=60, send_seconds=60, clock=time.monotonic)


@pytest.mark.parametrize(
    ("announced", "expected"),
    [(0, 2**18 - 6), (2**30, 2**18 - 6), (16384, 16378), (16383, 16376), (100, 94), (8, 2), (7, 2), (1, 2)],
)
def test_pieces_are_even_and_fit(announced: int, expected: int) -> None:
    assert piece_bytes(announced) == expected


@pytest.mark.parametrize("max_pdu_bytes", [8, 20, 106, 16384, 0])
def test_what_is_sent_is_received(max_pdu_bytes: int) -> None:
    command, content = bytes(range(100)), bytes(range(256)) * 3
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sending = threading.Thread(target=send_message, args=(wired(ours), 5, command, content, max_pdu_bytes))
        sending.start()
        fragments, read, lengths = Fragments(wired(theirs), 60), {True: b"", False: b""}, []
        while True:
            fragment = fragments.next()
            assert fragment.context_id == 5
            read[fragment.is_command] += fragment.data
            lengths.append(len(fragment.data) + 6)
            if fragment.is_last and not fragment.is_command:
                break
        sending.join()
    assert (read[True], read[False]) == (command, content)
    assert max(lengths) <= (max_pdu_bytes or 2**18)


def test_a_pdu_with_several_fragments_is_taken_apart() -> None:
    ours, theirs = socket.socketpair()
    items = [(1, 3, b"ab"), (3, 0, b""), (3, 2, b"c" * 10)]
    body = b"".join(struct.pack(">LBB", len(data) + 2, context, control) + data for context, control, data in items)
    with ours, theirs:
        ours.sendall(struct.pack(">BxL", 4, len(body)) + body)
        ours.shutdown(socket.SHUT_WR)
        fragments = Fragments(wired(theirs), 60)
        found = (fragments.next() for _ in items)
        read = [(one.context_id, one.is_command, one.is_last, bytes(one.data)) for one in found]
        with pytest.raises(EndedError) as raised:
            fragments.next()
    assert read == [(1, True, True, b"ab"), (3, False, False, b""), (3, False, True, b"c" * 10)]
    assert raised.value.ending is Ending.CLOSED

"""Multipart bodies, cut anywhere."""

from __future__ import annotations

import email
from email import policy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medground.schema.errors import PeerError
from medground.serving.dicom_receiver.multipart import DicomParts, boundary_of, pieces


def joined(chunks: list[bytes], boundary: bytes = b"xx") -> list[bytes]:
    parts: list[bytes] = []
    for number, data in pieces(chunks, boundary):
        if number > len(parts):
            parts.append(b"")
        parts[number - 1] += data
    return parts


@given(
    parts=st.lists(st.lists(st.sampled_from([b"\r\n", b"--", b"-", b"\r", b"x", b"a"])).map(b"".join), max_size=4),
    cut=st.integers(1, 12),
    head=st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nContent-Type: application/dicom\r\n"]),
    before=st.sampled_from([b"", b"preamble\r\n", b"--x\r\n"]),
    after=st.sampled_from([b"", b"\r\n", b"\r\nepilogue --xx"]),
)
def test_any_parts_cut_anywhere(parts: list[bytes], cut: int, head: bytes, before: bytes, after: bytes) -> None:
    delimiter = b"\r\n--xx"
    if any(delimiter in b"\r\n" + part + b"\r\n--x" for part in parts):
        return  # whoever writes such a part has to choose another boundary
    body = before + b"".join(b"--xx\r\n" + head + b"\r\n" + part + b"\r\n" for part in parts) + b"--xx--" + after
    chunks = [body[start : start + cut] for start in range(0, len(body), cut)]
    assert joined(chunks) == parts


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n--x", b"\r\n--xx", b"\r\n--xx\r\nA: b\r\n", b"\r\n--xx-"])
def test_a_body_that_ends_too_early(end: bytes) -> None:
    with pytest.raises(PeerError, match="ends in the middle") as raised:
        joined([b"--xx\r\n\r\nsomething" + end])
    assert raised.value.is_transient


def test_what_is_written_is_read_by_another(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.dcm" for number in range(3)]
    for number, path in enumerate(files):
        path.write_bytes(bytes([number]) * (number * 300_000))
    parts = DicomParts(files, "b0undary")
    body = b"".join(parts)
    assert len(body) == parts.size_bytes
    message = email.message_from_bytes(
        b"Content-Type: " + parts.content_type.encode() + b"\r\n\r\n" + body, policy=policy.HTTP
    )
    read = [part.get_payload(decode=True) for part in message.iter_parts()]
    assert read == [path.read_bytes() for path in files]
    assert {part.get_content_type() for part in message.iter_parts()} == {"application/dicom"}
    assert joined([body], b"b0undary") == read


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    path = tmp_path / "1.dcm"
    path.write_bytes(bytes(100))
    parts = DicomParts([path], "xx")
    path.write_bytes(bytes(50))
    with pytest.raises(PeerError, match="became shorter"):
        b"".join(parts)


def test_boundaries() -> None:
    assert boundary_of("multipart/related; boundary=abc; type=x") == b"abc"
    assert boundary_of('Multipart/Related; type="application/dicom"; Boundary="a b"') == b"a b"
    for other in ("", "application/json", "multipart/related", "multipart/form-data; boundary=a"):
        with pytest.raises(PeerError, match="multipart/related"):
            boundary_of(other)

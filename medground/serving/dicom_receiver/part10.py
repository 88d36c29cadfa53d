"""What a file of PS3.10 has before its data set, written and read."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.filereader import read_dataset

from medground.dicom.boundary import typed_errors
from medground.schema.errors import UnreadableFileError
from medground.serving.dicom_receiver.commands import is_uid
from medground.serving.dicom_receiver.identity import raw_uid
from medground.serving.dicom_receiver.implementation import implementation_class_uid, implementation_version_name

_PREFIX_AT, _PREFIX = 128, b"DICM"
_GROUP: Final = 0x0002
_LENGTH: Final = struct.Struct("<HH2sHL")  # the first element: how long the others are
_MOST_META_BYTES: Final = 2**16


@dataclass(frozen=True, slots=True)
class Part10Head:
    """What the file meta information says.

    Attributes:
        sop_class_uid, sop_instance_uid: of the object.
        transfer_syntax_uid: of the data set.
        size_bytes: of everything before the data set.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size_bytes: int


def part10_head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """What a file has before its data set: preamble, prefix and file meta information.

    Args:
        sop_class_uid: of the object.
        sop_instance_uid: of the object.
        transfer_syntax_uid: of the data set that follows.

    Source:
        PS3.10 table 7.1-1; explicit VR, little endian.
    """
    elements = b"".join(
        (
            _element(0x0001, b"OB", b"\0\1"),
            _element(0x0002, b"UI", sop_class_uid.encode("ascii")),
            _element(0x0003, b"UI", sop_instance_uid.encode("ascii")),
            _element(0x0010, b"UI", transfer_syntax_uid.encode("ascii")),
            _element(0x0012, b"UI", implementation_class_uid().encode("ascii")),
            _element(0x0013, b"SH", implementation_version_name().encode("ascii")),
        )
    )
    return bytes(128) + b"DICM" + _element(0x0000, b"UL", struct.pack("<L", len(elements))) + elements


def read_part10_head(path: Path) -> Part10Head:
    """Read it.

    Raises:
        UnreadableFileError: the file has none, or it lacks a UID.
    """
    with typed_errors(UnreadableFileError, "the file cannot be read as DICOM"), path.open("rb") as file:
        start = file.read(_PREFIX_AT + len(_PREFIX) + _LENGTH.size)
        if start[_PREFIX_AT:].startswith(_PREFIX) and len(start) == _PREFIX_AT + len(_PREFIX) + _LENGTH.size:
            group, element, _, _, length = _LENGTH.unpack_from(start, _PREFIX_AT + len(_PREFIX))
            if (group, element) == (_GROUP, 0) and length <= _MOST_META_BYTES:
                meta = read_dataset(io.BytesIO(file.read(length)), False, True)
                sop_class, instance, syntax = (raw_uid(meta, _GROUP << 16 | number) for number in (0x02, 0x03, 0x10))
                if all(map(is_uid, (sop_class, instance, syntax))):
                    return Part10Head(sop_class, instance, syntax, len(start) + length)
    raise UnreadableFileError("the file has no file meta information (PS3.10 7.1) to send it by: export it again")


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    if len(value) % 2:
        value += b" " if vr == b"SH" else b"\0"
    if vr == b"OB":
        return struct.pack("<HH2sHL", _GROUP, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", _GROUP, number, vr, len(value)) + value

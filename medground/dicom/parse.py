"""From bytes to a data set without its pixels, within limits."""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medground.dicom.boundary import typed_errors
from medground.dicom.elements import text
from medground.dicom.limits import Limits
from medground.dicom.source import ByteSource
from medground.dicom.structure import PIXEL_KEYWORDS, PixelElement, Walk, looks_implicit
from medground.schema.errors import LimitError, NotAnImageError, UnreadableFileError

_PREFIX_AT, _META_GROUP, _IDENTIFYING_GROUP, _SOP_CLASS = 128, 0x0002, 0x0008, 0x00080016
_MAX_META_BYTES = 2**16
_KEYS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")  # by which objects are told apart and grouped
_HARMLESS_UID = re.compile(r"[0-9A-Za-z.-]{1,64}")
_STRICT_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A DICOM object that has pixels, before any of them is touched.

    Attributes:
        dataset: everything before the pixel data.
        pixels: where the pixel data lie in `source`.
        source: the file, or the inflated content of a deflated one.
        transfer_syntax_uid: as written in the file, or as its bytes show where it is not written.
        warnings: what was repaired on the way.
    """

    dataset: Dataset
    pixels: PixelElement
    source: ByteSource
    transfer_syntax_uid: str
    warnings: tuple[str, ...]


def parse(where: Path | bytes, limits: Limits) -> Parsed:
    """Read a DICOM object up to its pixels.

    Args:
        where: path or content of the file.
        limits: what may be asked of the machine.

    Raises:
        InputNotFoundError: nothing is at the path.
        UnreadableFileError: not DICOM, or cut short.
        NotAnImageError: DICOM without pixel data.
        LimitError: larger or deeper than the limits allow.

    Source:
        PS3.5 9.1: a UID has at most 64 characters, digits and dots, and no component starts with a zero. Tools for
        de-identification write hexadecimal hashes, and old scanners zeros: such files are read, with a warning.
    """
    source = ByteSource(where)
    with typed_errors(UnreadableFileError, "the file cannot be read as DICOM"), source.view(limits) as data:
        start, meta = _file_meta(data)
        warnings: list[str] = []
        syntax = meta.get("TransferSyntaxUID") or _guess(data, start, warnings)
        if syntax == DeflatedExplicitVRLittleEndian:
            source = ByteSource(_inflate(data, start, limits))
            data, start = memoryview(source.where), 0  # type: ignore[arg-type]  # inflated: it holds bytes
        implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
        pixels = Walk(data, start, implicit=implicit, little=little, limits=limits).pixel_element()
        if pixels is None:
            raise NotAnImageError(_what_instead(data, start, meta, implicit=implicit, little=little))
        if pixels.offset - start > limits.max_header_bytes:
            raise LimitError(
                f"the header has {pixels.offset - start} bytes, more than {limits.max_header_bytes} "
                "(limit max_header_bytes)"
            )
        dataset = read_dataset(
            io.BytesIO(data[start : pixels.offset]), implicit, little, stop_when=lambda tag, *_: tag in PIXEL_KEYWORDS
        )
        _check_uids(dataset, warnings)
        meta.TransferSyntaxUID = UID(syntax)
        dataset.file_meta = meta
    return Parsed(dataset, pixels, source, str(syntax), tuple(warnings))


def parse_header(content: bytes, limits: Limits) -> Dataset:
    """Read a data set that has neither file meta information nor pixels: explicit VR, little endian.

    Args:
        content: the encoded data set.
        limits: what may be asked of the machine.

    Raises:
        UnreadableFileError: cut short.
        LimitError: larger or deeper than the limits allow.
    """
    if len(content) > limits.max_header_bytes:
        raise LimitError(
            f"the header has {len(content)} bytes, more than {limits.max_header_bytes} (limit max_header_bytes)"
        )
    with typed_errors(UnreadableFileError, "the header cannot be read as DICOM"):
        Walk(memoryview(content), 0, implicit=False, little=True, limits=limits).pixel_element()
        return read_dataset(io.BytesIO(content), False, True)


def _file_meta(data: memoryview) -> tuple[int, FileMetaDataset]:
    """Where the data set starts, and the file meta information (PS3.10 section 7.1) in front of it.

    Raises:
        UnreadableFileError: no DICM prefix and no data set that starts like one either.
    """
    has_prefix = bytes(data[_PREFIX_AT : _PREFIX_AT + 4]) == b"DICM"
    position = _PREFIX_AT + 4 if has_prefix else 0
    if len(data) < position + 8:
        raise UnreadableFileError(f"the file ends after {len(data)} bytes: copy it again from its source")
    (first_group,) = struct.unpack_from("<H", data, position)
    if not has_prefix and first_group not in (_META_GROUP, _IDENTIFYING_GROUP):
        raise UnreadableFileError("the file is no DICOM: it has no DICM prefix and starts with no known element")
    head = data[position : position + _MAX_META_BYTES]
    stream = io.BytesIO(head)
    implicit = looks_implicit(head, 0, assumed=False)
    meta = read_dataset(stream, implicit, True, stop_when=lambda tag, *_: tag >> 16 != _META_GROUP)
    return position + stream.tell(), FileMetaDataset(meta)


def _guess(data: memoryview, start: int, warnings: list[str]) -> UID:
    """The uncompressed syntax that the first element shows, where the file names none."""
    (group,) = struct.unpack_from("<H", data, start) if len(data) >= start + 2 else (0,)
    if looks_implicit(data, start, assumed=True):
        syntax = ImplicitVRLittleEndian
    else:
        syntax = ExplicitVRBigEndian if group >= 0x0100 and group & 0xFF == 0 else ExplicitVRLittleEndian
    warnings.append(f"the file names no transfer syntax; its first element reads as {syntax.name}")
    return syntax


def _inflate(data: memoryview, start: int, limits: Limits) -> bytes:
    """The content of a deflated data set (PS3.5 A.5: no zlib header), never more than the limit allows."""
    packed = data[start:]
    at_most = min(limits.max_inflated_bytes, limits.free_or_in_proportion(len(packed)))
    content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, at_most + 1)
    limits.check_inflation(len(packed), len(content), "the deflated file")
    return content


def _check_uids(dataset: Dataset, warnings: list[str]) -> None:
    """Refuse a UID that could pass for anything else where it serves as a key; its value stays out of the message."""
    for keyword in _KEYS:
        uid = text(dataset, keyword)
        if uid is not None and not _HARMLESS_UID.fullmatch(uid):
            raise UnreadableFileError(
                f"{keyword} is no UID, which has digits and dots and at most 64 characters (PS3.5 9.1): export it again"
            )
        if uid is not None and not _STRICT_UID.fullmatch(uid):
            warnings.append(f"{keyword} is no UID by the rules: it has letters, or a component that starts with zero")


def _what_instead(data: memoryview, start: int, meta: FileMetaDataset, *, implicit: bool, little: bool) -> str:
    """Why there is no image: the name of the kind of object that this is."""
    stream = io.BytesIO(data[start : start + _MAX_META_BYTES])
    sop_class = read_dataset(stream, implicit, little, stop_when=lambda tag, *_: tag > _SOP_CLASS).get("SOPClassUID")
    uid = str(sop_class or meta.get("MediaStorageSOPClassUID") or "")
    name = UID(uid).name if _STRICT_UID.fullmatch(uid) else "an unnamed class of object"
    return f"there is no image in this DICOM file ({name}): give an object with pixel data"

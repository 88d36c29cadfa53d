"""From bytes to a data set without its pixels, within limits."""

from __future__ import annotations

import io
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
from medground.dicom.limits import Limits
from medground.dicom.source import ByteSource
from medground.dicom.structure import PIXEL_KEYWORDS, PixelElement, Walk, looks_implicit
from medground.schema.errors import LimitError, NotAnImageError, UnreadableFileError

_PREFIX_AT, _META_GROUP, _IDENTIFYING_GROUP, _SOP_CLASS = 128, 0x0002, 0x0008, 0x00080016
_MAX_META_BYTES = 2**16


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
        meta.TransferSyntaxUID = UID(syntax)
        dataset.file_meta = meta
    return Parsed(dataset, pixels, source, str(syntax), tuple(warnings))


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
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    content = machine.decompress(data[start:], limits.max_inflated_bytes)
    if machine.unconsumed_tail and not machine.eof:
        raise LimitError(f"the file inflates to more than {limits.max_inflated_bytes} bytes (limit max_inflated_bytes)")
    return content


def _what_instead(data: memoryview, start: int, meta: FileMetaDataset, *, implicit: bool, little: bool) -> str:
    """Why there is no image: the name of the kind of object that this is."""
    stream = io.BytesIO(data[start : start + _MAX_META_BYTES])
    sop_class = read_dataset(stream, implicit, little, stop_when=lambda tag, *_: tag > _SOP_CLASS).get("SOPClassUID")
    name = UID(str(sop_class or meta.get("MediaStorageSOPClassUID") or "an unnamed class of object")).name
    return f"there is no image in this DICOM file ({name}): give an object with pixel data"

"""One object: read within the limits, cleaned, and written with new file meta information."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from medground import __version__
from medground.dicom.boundary import typed_errors
from medground.dicom.decode import DEFLATED_FRAMES
from medground.dicom.deidentify.cleaning import Cleaner
from medground.dicom.deidentify.pixels import bare_pixels
from medground.dicom.deidentify.profile import Action
from medground.dicom.elements import text
from medground.dicom.identifiers import uid_of
from medground.dicom.limits import Limits
from medground.dicom.parse import Parsed, parse
from medground.dicom.source import ByteSource
from medground.schema.errors import DecodeError, LimitError, NotAnImageError, UnreadableFileError


@dataclass(frozen=True, slots=True)
class Source:
    """An object as it came.

    Attributes:
        dataset: everything but the pixel data and what follows them.
        parsed: of an image, where its pixels lie; None for an object without pixels.
        transfer_syntax_uid: as written in the file.
    """

    dataset: Dataset
    parsed: Parsed | None
    transfer_syntax_uid: str


def read_source(content: Path | bytes, limits: Limits) -> Source:
    """Read an object, with or without pixels.

    Raises:
        InputError: as for `parse`, but not for want of pixels.
    """
    try:
        parsed = parse(content, limits)
        return Source(parsed.dataset, parsed, parsed.transfer_syntax_uid)
    except NotAnImageError:  # by now the whole of it has been walked within the limits
        with (
            typed_errors(UnreadableFileError, "the file cannot be read as DICOM"),
            ByteSource(content).view(limits) as data,
        ):
            if len(data) > limits.max_header_bytes:
                raise LimitError(
                    f"the object has {len(data)} bytes, more than {limits.max_header_bytes} (limit max_header_bytes)"
                ) from None
            dataset = dcmread(io.BytesIO(data), force=True)
            syntax = dataset.file_meta.get("TransferSyntaxUID")
            if syntax is None:
                raise UnreadableFileError("the file names no transfer syntax; export it again") from None
        return Source(dataset, None, str(syntax))


def deidentified(
    source: Source, cleaner: Cleaner, limits: Limits
) -> tuple[Dataset, bytes, Counter[tuple[Action, str]]]:
    """Clean an object and write it.

    Args:
        source: as it came; its data set is changed.
        cleaner: of the run.
        limits: what may be asked of the machine.

    Returns:
        The cleaned data set, the file, and what was changed.

    Raises:
        InputError: the object cannot be cleaned or written.
    """
    with typed_errors(DecodeError, "the object cannot be cleaned"):
        dataset = source.dataset
        pixels = bare_pixels(source.parsed, limits) if source.parsed else None
        counts = cleaner.clean(dataset)
        for keyword in ("SOPClassUID", "SOPInstanceUID"):
            if not text(dataset, keyword):
                raise UnreadableFileError(f"{keyword} is absent, so the object cannot be written again; export it anew")
        dataset.file_meta = _file_meta(dataset, source.transfer_syntax_uid)
        if source.parsed is not None and pixels is not None:
            found = source.parsed.pixels
            dataset.add_new(found.keyword, found.vr or _vr(found.keyword), pixels)
            dataset[found.keyword].is_undefined_length = found.length is None
        dataset.preamble = bytes(128)
        stream = io.BytesIO()
        if source.transfer_syntax_uid == DEFLATED_FRAMES:  # unknown to pydicom; explicit little endian but for frames
            dcmwrite(stream, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
        else:
            dcmwrite(stream, dataset, enforce_file_format=True)
    return dataset, stream.getvalue(), counts


def _vr(keyword: str) -> str:
    return {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}.get(keyword, "OW")


def _file_meta(dataset: Dataset, transfer_syntax_uid: str) -> FileMetaDataset:
    """Made anew: no application entity titles, no private information (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength, meta.FileMetaInformationVersion = 0, b"\0\1"
    meta.MediaStorageSOPClassUID = UID(str(dataset.SOPClassUID))
    meta.MediaStorageSOPInstanceUID = UID(str(dataset.SOPInstanceUID))
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(uid_of("implementation", __version__))
    meta.ImplementationVersionName = f"MEDGROUND_{__version__}"[:16]
    return meta

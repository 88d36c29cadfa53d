"""Segments of a DICOM segmentation, anyone's, as boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import ExplicitVRLittleEndian

from medground.dicom.boundary import typed_errors
from medground.dicom.decode import is_native
from medground.dicom.elements import functional_item, items, number, text, whole
from medground.dicom.header import ImageHeader, Vector, plane_elements, read_header
from medground.dicom.limits import Limits
from medground.dicom.native import unpacked
from medground.schema.errors import UnreadableFileError
from medground.schema.result import BoxPx


@dataclass(frozen=True, slots=True)
class SegmentBox:
    """A segment on one frame, as a box.

    Attributes:
        sop_instance_uid: of the image that the frame was drawn on; empty where the segmentation does not say.
        frame: 1-based frame of that image.
        box_xyxy_px: smallest box around the segment's pixels, in pixels of the segmentation. They are those of the
            image where both have the same size and place.
        concept: (scheme, value) of the segmented property type.
        tracking_identifier: as written; the id of the finding in segmentations of medground.
        segment: number of the segment.
        label: of the segment, as written.
        size_px: (rows, columns) of the segmentation.
        position_mm: centre of the first pixel in the patient (LPS), to find the image by where no UID is given.
    """

    sop_instance_uid: str
    frame: int
    box_xyxy_px: BoxPx
    concept: tuple[str, str]
    tracking_identifier: str | None
    segment: int
    label: str
    size_px: tuple[int, int]
    position_mm: Vector | None


def read_seg_boxes(dataset: Dataset) -> list[SegmentBox]:
    """The segments of a binary, fractional or labelmap segmentation as boxes, one for each frame with a pixel of it.

    A pixel of a fractional segmentation counts from half of the largest fraction. Frames are decoded one by one.

    Args:
        dataset: a segmentation with its pixel data; anything else has no boxes.

    Raises:
        UnreadableFileError: a damaged segmentation.
        LimitError: more frames or pixels than are allowed.
    """
    with typed_errors(UnreadableFileError, "the segmentation cannot be read"):
        described = {whole(item, "SegmentNumber"): item for item in items(dataset, "SegmentSequence")}
        if not described or "PixelData" not in dataset:
            return []
        meta = getattr(dataset, "file_meta", Dataset())
        header = read_header(dataset, text(meta, "TransferSyntaxUID") or ExplicitVRLittleEndian, Limits())
        size = (header.rows, header.columns)
        boxes = []
        for frame, pixels in enumerate(_frames(dataset, header), start=1):
            for segment, chosen in _segments(dataset, frame, pixels):
                box = _box_around(chosen)
                if box is not None and segment in described:
                    boxes.append(_segment_box(dataset, frame, segment, described[segment], box, size))
        return boxes


def _frames(dataset: Dataset, header: ImageHeader) -> Iterator[NDArray[Any]]:
    """The stored pixels of each frame."""
    if header.bits_allocated > 1 or not is_native(header.transfer_syntax_uid):
        yield from iter_pixels(dataset, raw=True)
        return
    for frame in range(header.frames):
        yield unpacked(dataset.PixelData, frame, header.rows, header.columns)


def _segments(dataset: Dataset, frame: int, pixels: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """The segments of a frame with their pixels."""
    if text(dataset, "SegmentationType") == "LABELMAP":
        background = whole(dataset, "PixelPaddingValue") or 0
        for found in np.unique(pixels):
            if found != background:
                yield int(found), pixels == found
        return
    identification = functional_item(dataset, frame, "SegmentIdentificationSequence")
    segment = whole(identification, "ReferencedSegmentNumber") if identification else None
    if segment is not None:
        largest = number(dataset, "MaximumFractionalValue") if text(dataset, "SegmentationType") == "FRACTIONAL" else 1
        yield segment, pixels >= max((largest or 1) / 2, 0.5)


def _box_around(chosen: NDArray[np.bool_]) -> BoxPx | None:
    """The outer edges of the chosen pixels; None if there is none."""
    rows, columns = np.flatnonzero(chosen.any(1)), np.flatnonzero(chosen.any(0))
    if not rows.size:
        return None
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _segment_box(
    dataset: Dataset, frame: int, segment: int, description: Dataset, box: BoxPx, size_px: tuple[int, int]
) -> SegmentBox:
    derivation = functional_item(dataset, frame, "DerivationImageSequence")
    sources = items(derivation, "SourceImageSequence") if derivation else ()
    source = sources[0] if sources else Dataset()
    types = items(description, "SegmentedPropertyTypeCodeSequence")
    kind = types[0] if types else Dataset()
    return SegmentBox(
        sop_instance_uid=text(source, "ReferencedSOPInstanceUID") or "",
        frame=whole(source, "ReferencedFrameNumber") or 1,
        box_xyxy_px=box,
        concept=(text(kind, "CodingSchemeDesignator") or "", text(kind, "CodeValue") or ""),
        tracking_identifier=text(description, "TrackingID"),
        segment=segment,
        label=text(description, "SegmentLabel") or "",
        size_px=size_px,
        position_mm=plane_elements(dataset, frame)[0],
    )

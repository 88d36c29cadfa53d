"""Findings as a segmentation: a segment for each finding, and its frames only where the segment is.

Frames are written and read one by one, and of each only the rows that hold something: all segments of all slices as one
array, which highdicom's writer takes, would not fit into memory for many findings in a large volume.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import SegmentationStorage

from medground.dicom.boundary import typed_errors
from medground.dicom.derived import (
    Kind,
    check_images,
    code_sequence,
    derived_object,
    identify_content,
    long_string,
    name_private_scheme,
)
from medground.dicom.elements import text, value
from medground.dicom.identifiers import result_identity, tracking_uid, uid_of
from medground.dicom.image import DicomImage
from medground.dicom.placement import Placement, placements
from medground.dicom.seg_frames import Matrix, SegmentFrame, add_functional_groups, matrix_of
from medground.dicom.seg_pixels import PixelBlock, box_block, mask_block, packed
from medground.schema.errors import UnreadableFileError, UsageError
from medground.schema.result import ModelInfo, Settings, StudyResult
from medground.schema.vocabulary import Code

_KIND = Kind(SegmentationStorage, "SEG", 9902)
_ABNORMAL = Code(scheme="SCT", value="49755003", meaning="Morphologically Abnormal Structure")  # CID 7150
_ARTIFICIAL_INTELLIGENCE = Code(scheme="DCM", value="123110", meaning="Artificial Intelligence")  # CID 7162
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_MAX_DESCRIPTION = 1024  # characters of ST; as bytes, which readers count


def write_seg(
    study: StudyResult,
    model: ModelInfo,
    settings: Settings,
    images: Mapping[str, DicomImage],
    *,
    masks: Mapping[str, NDArray[Any]] | None = None,
) -> tuple[Dataset, ...]:
    """Write a study's findings as binary segmentations, one for each series and geometry that bears findings.

    A segment is the mask given for its finding, else the pixels whose centres lie in its box; a box between centres
    is the pixel it lies in. On images without a place in the patient the segmentation has none either, and lies pixel
    on pixel. Tracking UIDs are those of the report; all UIDs follow from the images, the questions, the bundle, the
    settings and the masks. The same input gives the same bytes.

    Args:
        study: all answers about one DICOM study.
        model: named as the algorithm.
        settings: what else the result depends on.
        images: SOP Instance UID to image, for every image examined; all of one study.
        masks: finding id to its pixels, not 0 where the finding is: (rows, columns) for a finding on one frame,
            (slices, rows, columns) in the order of its extent for one through a volume.

    Returns:
        Data sets that `save_as` writes; none where there is no finding.

    Raises:
        UsageError: a plain picture, no image, an image without valid UIDs, a finding on no image given, a mask of
            another shape or without a pixel, a code that DICOM cannot hold, or more pixels than it can.
        UnreadableFileError: a header that no segmentation can be written from.
    """
    check_images(study, images, "segmentation")
    identity, drawing = result_identity(study, model, settings, images), _digest(masks or {})
    series = uid_of("segmentation series", identity, drawing)
    with typed_errors(UnreadableFileError, "no segmentation can be written from the header of the images"):
        by_matrix: dict[Matrix, list[tuple[Placement, PixelBlock]]] = {}
        for placed, block in _drawn(study, images, masks or {}):
            by_matrix.setdefault(matrix_of(placed.image, placed.frame), []).append((placed, block))
        written = []
        for number, (matrix, drawn) in enumerate(by_matrix.items(), start=1):
            image = drawn[0][0].image
            uids = (series, uid_of("segmentation", identity, drawing, str(number)))
            segmentation = derived_object(_KIND, uids, number, image, model, settings)
            identify_content(segmentation)
            _describe(segmentation, matrix, image)
            _add_segments(segmentation, matrix, drawn, model, identity)
            written.append(segmentation)
        return tuple(written)


def _add_segments(
    segmentation: Dataset,
    matrix: Matrix,
    drawn: Sequence[tuple[Placement, PixelBlock]],
    model: ModelInfo,
    identity: str,
) -> None:
    """Number the findings as segments, and write their frames."""
    segments: dict[tuple[str, str], Dataset] = {}
    frames = []
    for placed, block in drawn:
        key = (placed.answer.id, placed.finding.id)
        if key not in segments:
            segments[key] = _segment(placed, len(segments) + 1, model, tracking_uid(identity, *key))
        frames.append(SegmentFrame(segments[key].SegmentNumber, placed.image, placed.frame, block))
    segmentation.SegmentSequence = list(segments.values())
    ordered = add_functional_groups(segmentation, matrix, frames)
    segmentation.PixelData = packed([frame.block for frame in ordered], matrix.rows, matrix.columns)
    segmentation["PixelData"].VR = "OB"


def _drawn(
    study: StudyResult, images: Mapping[str, DicomImage], masks: Mapping[str, NDArray[Any]]
) -> list[tuple[Placement, PixelBlock]]:
    """Every finding on every frame, with its pixels there; frames without a pixel of a mask are left out."""
    drawn: list[tuple[Placement, PixelBlock]] = []
    empty = dict.fromkeys(masks)
    for placed in placements(study, images):
        mask = masks.get(placed.finding.id)
        header = placed.image.header
        block = (
            box_block(placed.box_xyxy_px, header.rows, header.columns)
            if mask is None
            else mask_block(_on(placed, mask))
        )
        if block is not None:
            drawn.append((placed, block))
            empty.pop(placed.finding.id, None)
    if empty:
        raise UsageError(f"the mask of finding {next(iter(empty))} has no pixel on any image of the result")
    return drawn


def _on(placed: Placement, mask: NDArray[Any]) -> NDArray[Any]:
    """The part of a finding's mask on one frame."""
    finding, header = placed.finding, placed.image.header
    shape: tuple[int, ...] = (header.rows, header.columns)
    if finding.extent:
        shape = (len(finding.extent.slices), *shape)
    if mask.shape != shape:
        raise UsageError(f"the mask of finding {finding.id} has shape {mask.shape}; it needs {shape}")
    if not finding.extent:
        return mask
    return mask[placed.slice_] if placed.slice_ is not None else np.zeros(shape[1:], np.bool_)


def _digest(masks: Mapping[str, NDArray[Any]]) -> str:
    """A text that follows from the masks; empty without."""
    digest = hashlib.sha256()
    for name, mask in sorted(masks.items()):
        digest.update(f"{name} {mask.shape}".encode())
        digest.update(np.packbits(mask != 0).tobytes())
    return digest.hexdigest() if masks else ""


def _describe(segmentation: Dataset, matrix: Matrix, image: DicomImage) -> None:
    """Everything about the pixels but the frames (PS3.3 C.8.20.2)."""
    segmentation.ContentDate, segmentation.ContentTime = segmentation.SeriesDate, segmentation.SeriesTime
    segmentation.ImageType = ["DERIVED", "PRIMARY"]
    segmentation.SamplesPerPixel, segmentation.PhotometricInterpretation = 1, "MONOCHROME2"
    segmentation.Rows, segmentation.Columns = matrix.rows, matrix.columns
    segmentation.BitsAllocated, segmentation.BitsStored, segmentation.HighBit = 1, 1, 0
    segmentation.PixelRepresentation = 0
    segmentation.SegmentationType, segmentation.SegmentsOverlap = "BINARY", "UNDEFINED"
    is_lossy = text(image.dataset, "LossyImageCompression") == "01"
    segmentation.LossyImageCompression = "01" if is_lossy else "00"
    for keyword in _LOSSY[1:]:
        if is_lossy and value(image.dataset, keyword) is not None:
            setattr(segmentation, keyword, value(image.dataset, keyword))
    name_private_scheme(segmentation)


def _segment(placed: Placement, number: int, model: ModelInfo, tracking: str) -> Dataset:
    """What a segment is and what drew it (PS3.3 C.8.20.4)."""
    finding = placed.finding
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = number, long_string(placed.label)
    words = re.sub(r"[\x00-\x1f\x7f]", " ", finding.description.text).encode()[:_MAX_DESCRIPTION]
    segment.SegmentDescription = words.decode(errors="ignore")
    segment.SegmentAlgorithmType, segment.SegmentAlgorithmName = "AUTOMATIC", long_string(model.name)
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = code_sequence(_ARTIFICIAL_INTELLIGENCE)
    algorithm.AlgorithmName, algorithm.AlgorithmVersion = long_string(model.name), long_string(model.version)
    algorithm.AlgorithmParameters = f"bundle_sha256={model.sha256}"
    segment.SegmentationAlgorithmIdentificationSequence = [algorithm]
    segment.SegmentedPropertyCategoryCodeSequence = code_sequence(_ABNORMAL)
    segment.SegmentedPropertyTypeCodeSequence = code_sequence(finding.concept.code)
    segment.TrackingID, segment.TrackingUID = finding.id, tracking
    return segment

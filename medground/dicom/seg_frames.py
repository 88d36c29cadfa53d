"""Functional groups of a segmentation: what each frame shows, where it lies, and which image it was drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from medground.dicom.derived import code_sequence, decimal_string, image_reference
from medground.dicom.geometry import Plane
from medground.dicom.identifiers import uid_of
from medground.dicom.image import DicomImage
from medground.dicom.seg_pixels import PixelBlock
from medground.schema.vocabulary import Code

_SEGMENTATION = Code(scheme="DCM", value="113076", meaning="Segmentation")  # CID 7203
_SOURCE = Code(scheme="DCM", value="121322", meaning="Source image for image processing operation")  # CID 7202


@dataclass(frozen=True, slots=True)
class Space:
    """What all frames of a segmentation share in the patient.

    Attributes:
        frame_of_reference_uid: of the series.
        orientation: see `Plane`; to six decimals, or noise in the last would part the slices of a series.
        spacing_mm: see `Plane`.
        thickness_mm: of the slices; where the images do not say, the larger spacing, as DICOM demands a number.
    """

    frame_of_reference_uid: str
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, float]
    thickness_mm: float


@dataclass(frozen=True, slots=True)
class Matrix:
    """The pixels that all frames of one segmentation share: those of a series; `space` is None if it has no place."""

    series_instance_uid: str
    rows: int
    columns: int
    space: Space | None


@dataclass(frozen=True, slots=True)
class SegmentFrame:
    """One frame: the segment, counted from 1, the image and 1-based frame it was drawn on, and its pixels."""

    segment: int
    image: DicomImage
    frame: int
    block: PixelBlock


def matrix_of(image: DicomImage, frame: int) -> Matrix:
    """The matrix that segments on a frame are drawn in.

    Args:
        image: drawn on.
        frame: 1-based.
    """
    header, plane = image.header, image.frame_geometry(frame)
    reference = header.frame_of_reference_uid
    space = None
    if plane is not None and reference and UID(reference).is_valid:
        thickness = header.slice_thickness_mm or 0.0
        orientation = tuple(round(cosine, 6) + 0.0 for cosine in plane.orientation)  # + 0.0: no minus zero
        space = Space(reference, orientation, plane.spacing_mm, thickness if thickness > 0 else max(plane.spacing_mm))
    return Matrix(header.series_instance_uid, header.rows, header.columns, space)


def add_functional_groups(segmentation: Dataset, matrix: Matrix, frames: Sequence[SegmentFrame]) -> list[SegmentFrame]:
    """Write dimensions, functional groups and references to the images (PS3.3 A.51.5).

    Args:
        segmentation: to be completed.
        matrix: of all frames.
        frames: in any order.

    Returns:
        The frames in the order written: by segment, then along the normal of the slices, then by instance and frame.
    """
    order = _stack(frames, matrix.space)
    ordered = sorted(frames, key=lambda one: (one.segment, order[_place(one)]))
    segmentation.NumberOfFrames = len(ordered)
    _add_dimensions(segmentation, matrix.space)
    shared = Dataset()
    if matrix.space:
        segmentation.FrameOfReferenceUID = matrix.space.frame_of_reference_uid
        segmentation.PositionReferenceIndicator = None
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = _measures(matrix.space), [Dataset()]
        shared.PlaneOrientationSequence[0].ImageOrientationPatient = [*map(decimal_string, matrix.space.orientation)]
    else:
        segmentation.PatientOrientation = ordered[0].image.header.patient_orientation
    segmentation.SharedFunctionalGroupsSequence = [shared]
    segmentation.PerFrameFunctionalGroupsSequence = [
        _groups(one, order[_place(one)], matrix.space is not None) for one in ordered
    ]
    images = {one.image.header.sop_instance_uid: one.image for one in ordered}
    series = Dataset()
    series.SeriesInstanceUID = matrix.series_instance_uid
    series.ReferencedInstanceSequence = [image_reference(images[uid]) for uid in sorted(images)]
    segmentation.ReferencedSeriesSequence = [series]
    return ordered


def _place(one: SegmentFrame) -> tuple[str, int]:
    return one.image.header.sop_instance_uid, one.frame


def _stack(frames: Sequence[SegmentFrame], space: Space | None) -> dict[tuple[str, int], int]:
    """The place of every frame drawn on in the stack of them, from 1."""
    along: dict[tuple[str, int], float] = {}
    for one in frames:
        plane = one.image.frame_geometry(one.frame) if space else None
        along[_place(one)] = plane.along_normal_mm if plane else 0.0
    return {place: number for number, place in enumerate(sorted(along, key=lambda key: (along[key], key)), start=1)}


def _add_dimensions(segmentation: Dataset, space: Space | None) -> None:
    """Frames are told apart by segment and by position, or by place in the stack where there is no position."""
    organization = Dataset()
    organization.DimensionOrganizationUID = uid_of("dimensions", segmentation.SOPInstanceUID)
    segmentation.DimensionOrganizationSequence = [organization]
    second = (
        ("ImagePositionPatient", "PlanePositionSequence", "Image Position (Patient)")
        if space
        else ("InStackPositionNumber", "FrameContentSequence", "In-Stack Position Number")
    )
    segmentation.DimensionIndexSequence = []
    for pointer, group, label in (
        ("ReferencedSegmentNumber", "SegmentIdentificationSequence", "Segment Number"),
        second,
    ):
        index = Dataset()
        index.DimensionIndexPointer, index.FunctionalGroupPointer = Tag(pointer), Tag(group)
        index.DimensionOrganizationUID, index.DimensionDescriptionLabel = organization.DimensionOrganizationUID, label
        segmentation.DimensionIndexSequence.append(index)


def _measures(space: Space) -> list[Dataset]:
    measures = Dataset()
    measures.PixelSpacing = [*map(decimal_string, space.spacing_mm)]
    measures.SliceThickness = decimal_string(space.thickness_mm)
    return [measures]


def _groups(one: SegmentFrame, number: int, has_space: bool) -> Dataset:
    """The functional groups of one frame."""
    groups, content, identification = Dataset(), Dataset(), Dataset()
    content.DimensionIndexValues = [one.segment, number]
    content.StackID, content.InStackPositionNumber = "1", number
    identification.ReferencedSegmentNumber = one.segment
    groups.FrameContentSequence, groups.SegmentIdentificationSequence = [content], [identification]
    plane: Plane | None = one.image.frame_geometry(one.frame) if has_space else None
    if plane:
        position = Dataset()
        position.ImagePositionPatient = [*map(decimal_string, plane.position_mm)]
        groups.PlanePositionSequence = [position]
    source = image_reference(one.image, [one.frame])
    source.PurposeOfReferenceCodeSequence = code_sequence(_SOURCE)
    source.SpatialLocationsPreserved = "YES"
    derivation = Dataset()
    derivation.DerivationCodeSequence, derivation.SourceImageSequence = code_sequence(_SEGMENTATION), [source]
    groups.DerivationImageSequence = [derivation]
    return groups

"""ImageHeader: what the rest of medground needs to know of an image, checked once at the door."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from medground.dicom.elements import functional_item, items, number, numbers, text, texts, whole
from medground.dicom.limits import Limits
from medground.schema.errors import DecodeError, LimitError
from medground.schema.result import SpacingSource

Vector = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]

_CROSS_SECTIONAL = frozenset({"CT", "MR", "PT", "NM", "US", "OPT", "RTDOSE", "SEG"})
LOSSY_SYNTAXES = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless})  # others may be either
MOST_LOSSY = 1000
_BITS_ALLOCATED = frozenset({1, 8, 16, 32, 64})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """Header of one image object; geometry is that of its first frame.

    Attributes:
        sop_class_uid, sop_instance_uid, series_instance_uid, study_instance_uid: empty where the file has none.
        modality: e.g. `CT`; empty where the file has none.
        body_part, view_position: as written, capitals; None where absent.
        photometric: photometric interpretation as written.
        transfer_syntax_uid: as written, or as recognised where the file names none.
        rows, columns, frames: size of the stored image.
        spacing_mm: (between rows, between columns).
        spacing_source: plane that the spacing belongs to.
        patient_orientation: letters of the direction along a row and along a column, e.g. ("L", "F").
        image_position_mm: centre of the first pixel, LPS.
        image_orientation: direction cosines along a row, then along a column.
        image_laterality: `L`, `R`, `B` or `U`.
        samples_per_pixel, bits_allocated, bits_stored, signed: layout of a stored pixel.
        unused_low_bits: bits below the stored ones, in old files whose High Bit is not one less than Bits Stored.
        image_type: values of Image Type, e.g. ("ORIGINAL", "PRIMARY", "AXIAL").
        lossy: whether the pixels went through a lossy compression, now or once (PS3.3 C.7.6.1.1.5).
        lossy_ratio: of all such compressions together, e.g. 20 for 20:1; None where it is not told.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    modality: str
    body_part: str | None = None
    view_position: str | None = None
    photometric: str
    transfer_syntax_uid: str
    rows: int
    columns: int
    frames: int
    spacing_mm: tuple[float, float] | None = None
    spacing_source: SpacingSource | None = None
    patient_orientation: tuple[str, str] | None = None
    image_position_mm: Vector | None = None
    image_orientation: Orientation | None = None
    frame_of_reference_uid: str | None = None
    slice_thickness_mm: float | None = None
    instance_number: int | None = None
    image_laterality: str | None = None
    samples_per_pixel: int = 1
    bits_allocated: int = 16
    bits_stored: int = 16
    signed: bool = False
    unused_low_bits: int = 0
    image_type: tuple[str, ...] = ()
    lossy: bool = False
    lossy_ratio: float | None = None


def read_header(dataset: Dataset, transfer_syntax_uid: str, limits: Limits) -> ImageHeader:
    """Read and check the header of an image object.

    Args:
        dataset: everything before the pixel data.
        transfer_syntax_uid: see `Parsed`.
        limits: what may be asked of the machine.

    Raises:
        DecodeError: an element without which no pixel can be decoded is absent or no number.
        LimitError: more pixels or frames than the limits allow.
    """
    rows, columns, frames = _size(dataset, limits)
    samples = _required(dataset, "SamplesPerPixel", default=1)
    allocated = _required(dataset, "BitsAllocated")
    if allocated not in _BITS_ALLOCATED or samples not in (1, 3, 4):
        raise DecodeError(f"{samples} samples of {allocated} bits are no pixel layout of DICOM (PS3.5 section 8.1.1)")
    frame_bytes = rows * columns * samples * max(allocated, 8) // 8
    if frame_bytes > limits.max_frame_bytes:
        raise LimitError(
            f"a frame needs {frame_bytes} bytes, more than {limits.max_frame_bytes} (limit max_frame_bytes)"
        )
    position, orientation = plane_elements(dataset, 1)
    spacing, source = _spacing(dataset, 1, orientation)
    letters = texts(dataset, "PatientOrientation")
    body_part, view = _anatomy(dataset)
    thickness = number(functional_item(dataset, 1, "PixelMeasuresSequence") or dataset, "SliceThickness")
    stored = whole(dataset, "BitsStored") or allocated
    low_bits = (whole(dataset, "HighBit") or 0) + 1 - stored
    return ImageHeader(
        sop_class_uid=text(dataset, "SOPClassUID") or "",
        sop_instance_uid=text(dataset, "SOPInstanceUID") or "",
        series_instance_uid=text(dataset, "SeriesInstanceUID") or "",
        study_instance_uid=text(dataset, "StudyInstanceUID") or "",
        modality=(text(dataset, "Modality") or "").upper(),
        body_part=body_part,
        view_position=view,
        photometric=_photometric(dataset),
        transfer_syntax_uid=transfer_syntax_uid,
        rows=rows,
        columns=columns,
        frames=frames,
        spacing_mm=spacing,
        spacing_source=source,
        patient_orientation=(letters[0].upper(), letters[1].upper()) if len(letters) == 2 and all(letters) else None,
        image_position_mm=position,
        image_orientation=orientation,
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID"),
        slice_thickness_mm=thickness,
        instance_number=whole(dataset, "InstanceNumber"),
        image_laterality=_laterality(dataset),
        samples_per_pixel=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        signed=whole(dataset, "PixelRepresentation") == 1,
        unused_low_bits=low_bits if 0 < low_bits <= allocated - stored else 0,
        image_type=texts(dataset, "ImageType"),
        lossy=text(dataset, "LossyImageCompression") == "01" or transfer_syntax_uid in LOSSY_SYNTAXES,
        lossy_ratio=_lossy_ratio(dataset),
    )


def _lossy_ratio(dataset: Dataset) -> float | None:
    """All compressions together; None where one is told as less than 1, or all as more than any picture bears."""
    ratios = numbers(dataset, "LossyImageCompressionRatio")
    total = math.prod(ratios) if ratios and min(ratios) >= 1 else 0.0
    return total if 1 <= total <= MOST_LOSSY else None


def _required(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    found = whole(dataset, keyword)
    if found is None and keyword not in dataset and default is not None:
        return default
    if found is None or found < 1:
        state = "absent" if keyword not in dataset else "no positive whole number"
        raise DecodeError(f"{keyword} is {state}, so the pixel data cannot be decoded; export the object again")
    return found


def _size(dataset: Dataset, limits: Limits) -> tuple[int, int, int]:
    """Rows, columns and frames, within the limits."""
    rows, columns = _required(dataset, "Rows"), _required(dataset, "Columns")
    frames = _frames(dataset)
    if rows * columns > limits.max_pixels_per_frame:
        raise LimitError(
            f"a frame of {rows} x {columns} pixels is larger than {limits.max_pixels_per_frame} "
            "(limit max_pixels_per_frame)"
        )
    if frames > limits.max_frames:
        raise LimitError(f"the object has {frames} frames, more than {limits.max_frames} (limit max_frames)")
    return rows, columns, frames


def _frames(dataset: Dataset) -> int:
    """Number of Frames, one where it is absent or empty; of "1A" the leading digits, as DCMTK and GDCM read it."""
    raw = dataset.get_item("NumberOfFrames").value if "NumberOfFrames" in dataset else None
    if raw in (None, b"", ""):
        return 1
    digits = re.match(rb"\s*(\d{1,9})[A-Za-z]", raw) if isinstance(raw, bytes) else None
    is_number = whole(dataset, "NumberOfFrames") is not None
    return int(digits[1]) if digits and not is_number and int(digits[1]) else _required(dataset, "NumberOfFrames")


def _photometric(dataset: Dataset) -> str:
    found = text(dataset, "PhotometricInterpretation")
    if found is None:
        raise DecodeError("PhotometricInterpretation is absent, so the pixel data cannot be shown; export it again")
    return found.upper()


def plane_elements(dataset: Dataset, frame: int) -> tuple[Vector | None, Orientation | None]:
    """Image Position (Patient) and Image Orientation (Patient) of a frame, from its functional groups or the header.

    Args:
        dataset: everything before the pixel data.
        frame: 1-based.
    """
    at = numbers(functional_item(dataset, frame, "PlanePositionSequence") or dataset, "ImagePositionPatient", 3)
    along = numbers(
        functional_item(dataset, frame, "PlaneOrientationSequence") or dataset, "ImageOrientationPatient", 6
    )
    position = (at[0], at[1], at[2]) if at else None
    if along is None or not all(0.9 < sum(c * c for c in axis) < 1.1 for axis in (along[:3], along[3:])):
        return position, None
    return position, (along[0], along[1], along[2], along[3], along[4], along[5])


def spacing_elements(dataset: Dataset, frame: int, keyword: str = "PixelSpacing") -> tuple[float, float] | None:
    """Distance between rows and between columns, millimetres; None unless both are positive."""
    found = numbers(functional_item(dataset, frame, "PixelMeasuresSequence") or dataset, keyword, 2)
    return (found[0], found[1]) if found and min(found) > 0 else None


def _spacing(
    dataset: Dataset, frame: int, orientation: Orientation | None
) -> tuple[tuple[float, float] | None, SpacingSource | None]:
    """Spacing and the plane it belongs to.

    Source: PS3.3 10.7.1.3. On a projection image Pixel Spacing that equals Imager Pixel Spacing, or stands alone
    without a calibration type, says nothing about the patient; it is counted as the detector's.
    """
    spacing = spacing_elements(dataset, frame)
    imager = numbers(dataset, "ImagerPixelSpacing", 2) or numbers(dataset, "NominalScannedPixelSpacing", 2)
    detector = (imager[0], imager[1]) if imager and min(imager) > 0 else None
    if spacing is None:
        return (detector, SpacingSource.DETECTOR) if detector else (None, None)
    if orientation is not None or text(dataset, "Modality") in _CROSS_SECTIONAL:
        return spacing, SpacingSource.PATIENT_PLANE
    corrected = spacing != detector if detector else text(dataset, "PixelSpacingCalibrationType") is not None
    return spacing, SpacingSource.CALIBRATION if corrected else SpacingSource.DETECTOR


def _anatomy(dataset: Dataset) -> tuple[str | None, str | None]:
    """Body part and view, from the plain elements or else from the coded ones."""
    frame_anatomy = functional_item(dataset, 1, "FrameAnatomySequence") or dataset
    regions = items(frame_anatomy, "AnatomicRegionSequence")
    part = text(dataset, "BodyPartExamined") or (text(regions[0], "CodeMeaning") if regions else None)
    views = items(dataset, "ViewCodeSequence")
    view = text(dataset, "ViewPosition") or (text(views[0], "CodeMeaning") if views else None)
    return part.upper() if part else None, view.upper() if view else None


def _laterality(dataset: Dataset) -> str | None:
    anatomy = functional_item(dataset, 1, "FrameAnatomySequence")
    found = text(dataset, "ImageLaterality") or text(dataset, "Laterality")
    found = found or (text(anatomy, "FrameLaterality") if anatomy else None)
    return found.upper() if found and found.upper() in {"L", "R", "B", "U"} else None

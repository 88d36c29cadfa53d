"""Findings as a presentation state: boxes and labels that a viewer lays over the images.

Graphics are in PIXEL units: the outer corner of the first pixel is (0, 0) and that of the last (Columns, Rows), which
are the coordinates of `Box` (PS3.3 Table C.10-5). Only the Displayed Area counts whole pixels, from (1, 1) (C.10.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from pydicom import Dataset
from pydicom.uid import ColorSoftcopyPresentationStateStorage, GrayscaleSoftcopyPresentationStateStorage

from medground.dicom.boundary import typed_errors
from medground.dicom.derived import Kind, check_images, derived_object, identify_content, image_reference
from medground.dicom.elements import numbers
from medground.dicom.identifiers import result_identity, tracking_uid, uid_of
from medground.dicom.image import DicomImage
from medground.dicom.placement import Placement, placements
from medground.dicom.presentation import Look, add_look, look_of
from medground.schema.errors import UnreadableFileError
from medground.schema.result import BoxPx, ModelInfo, Settings, SpacingSource, StudyResult

LAYER = "MEDGROUND"
_GREY = Kind(GrayscaleSoftcopyPresentationStateStorage, "PR", 9901)
_COLOUR = Kind(ColorSoftcopyPresentationStateStorage, "PR", 9901)
_ORANGE_LAB = (46275, 37131, 52088)  # that of the pictures: L* 70.6, a* 16.5, b* 74.7, scaled by PS3.3 C.10.7.1.1
_MAX_LABEL = 1024
_LINE_SHARE, _LETTER_SHARE = 1 / 32, 0.6  # height of a label to the image's, width of a letter to its height


def write_gsps(
    study: StudyResult, model: ModelInfo, settings: Settings, images: Mapping[str, DicomImage]
) -> tuple[Dataset, ...]:
    """Write a study's findings as presentation states: a closed polyline for each box, with its name and score.

    A finding through a volume is drawn on every slice of its extent. Windows, lookup tables and polarity are those of
    the images; those that differ in what a presentation state can hold only once have one each, and images in colour
    have colour presentation states. UIDs follow from the images, the questions, the bundle and the settings; the same
    input gives the same bytes.

    Args:
        study: all answers about one DICOM study.
        model: named as the equipment.
        settings: what else the result depends on.
        images: SOP Instance UID to image, for every image examined; all of one study.

    Returns:
        Data sets that `save_as` writes; none where there is no finding.

    Raises:
        UsageError: a plain picture, no image, an image without valid UIDs, or a finding on no image given.
        UnreadableFileError: a header that no presentation state can be written from.
    """
    check_images(study, images, "presentation state")
    identity = result_identity(study, model, settings, images)
    with typed_errors(UnreadableFileError, "no presentation state can be written from the header of the images"):
        by_look: dict[Look, list[Placement]] = {}
        look = cache(look_of)  # many findings lie on one frame
        for placed in sorted(placements(study, images), key=lambda one: (one.image.header.sop_instance_uid, one.frame)):
            by_look.setdefault(look(placed.image, placed.frame), []).append(placed)
        series = uid_of("presentation series", identity)
        states = []
        for number, (seen, group) in enumerate(by_look.items(), start=1):
            uids = (series, uid_of("presentation state", identity, str(number)))
            first = group[0].image
            state = derived_object(_COLOUR if seen.is_colour else _GREY, uids, number, first, model, settings)
            identify_content(state)
            state.Laterality = None  # type 2C: images of both sides may be referred to
            state.PresentationCreationDate, state.PresentationCreationTime = state.SeriesDate, state.SeriesTime
            _refer(state, group)
            _show_all(state, group)
            add_look(state, seen, [(placed.image, placed.frame) for placed in group])
            state.GraphicLayerSequence = [_layer()]
            state.GraphicAnnotationSequence = _annotations(group, identity)
            states.append(state)
        return tuple(states)


def _frames(group: Iterable[Placement]) -> dict[str, list[int]]:
    """The frames of each image, in order."""
    frames: dict[str, set[int]] = {}
    for placed in group:
        frames.setdefault(placed.image.header.sop_instance_uid, set()).add(placed.frame)
    return {uid: sorted(chosen) for uid, chosen in frames.items()}


def _references(group: Sequence[Placement]) -> list[Dataset]:
    images = {placed.image.header.sop_instance_uid: placed.image for placed in group}
    return [image_reference(images[uid], frames) for uid, frames in _frames(group).items()]


def _refer(state: Dataset, group: Sequence[Placement]) -> None:
    """The images and frames that are drawn on, by series (PS3.3 C.11.11)."""
    by_series: dict[str, list[Placement]] = {}
    for placed in group:
        by_series.setdefault(placed.image.header.series_instance_uid, []).append(placed)
    state.ReferencedSeriesSequence = []
    for uid, members in sorted(by_series.items()):
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedImageSequence = uid, _references(members)
        state.ReferencedSeriesSequence.append(series)


def _show_all(state: Dataset, group: Sequence[Placement]) -> None:
    """The whole of every image is shown (PS3.3 C.10.4), from pixel (1, 1) to pixel (Columns, Rows)."""
    areas: dict[tuple[int, int, str, tuple[float, float]], list[Placement]] = {}
    for placed in group:
        header = placed.image.header
        areas.setdefault((header.columns, header.rows, *_aspect(placed.image)), []).append(placed)
    state.DisplayedAreaSelectionSequence = []
    for (columns, rows, keyword, ratio), members in areas.items():
        area = Dataset()
        if len(areas) > 1:
            area.ReferencedImageSequence = _references(members)
        area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [1, 1], [columns, rows]
        area.PresentationSizeMode = "SCALE TO FIT"
        setattr(area, keyword, [f"{part:.10g}" for part in ratio])
        state.DisplayedAreaSelectionSequence.append(area)


def _aspect(image: DicomImage) -> tuple[str, tuple[float, float]]:
    """The element that gives the shape of a pixel: spacing in the patient where that is known, else a ratio."""
    header, ratio = image.header, numbers(image.dataset, "PixelAspectRatio", 2)
    spacing = header.spacing_mm
    if spacing and (header.spacing_source != SpacingSource.DETECTOR or spacing[0] != spacing[1]):
        return "PresentationPixelSpacing", spacing
    whole = ratio if ratio and all(part > 0 and part == int(part) for part in ratio) else (1.0, 1.0)
    return "PresentationPixelAspectRatio", (whole[0], whole[1])


def _layer() -> Dataset:
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = LAYER, 1
    layer.GraphicLayerRecommendedDisplayGrayscaleValue = 0xFFFF
    layer.GraphicLayerRecommendedDisplayCIELabValue = list(_ORANGE_LAB)
    layer.GraphicLayerDescription = "Findings for review"
    return layer


def _annotations(group: Sequence[Placement], identity: str) -> list[Dataset]:
    """Graphics and labels, an item for each frame; what two questions found alike is drawn once."""
    by_frame: dict[tuple[str, int], dict[tuple[BoxPx, str], Placement]] = {}
    for placed in group:
        drawn = by_frame.setdefault((placed.image.header.sop_instance_uid, placed.frame), {})
        drawn.setdefault((placed.box_xyxy_px, placed.label), placed)
    annotations = []
    for drawn in by_frame.values():
        first = next(iter(drawn.values()))
        annotation = Dataset()
        annotation.ReferencedImageSequence = [image_reference(first.image, [first.frame])]
        annotation.GraphicLayer = LAYER
        annotation.TextObjectSequence = [_label(label, box, first.image) for box, label in drawn]
        annotation.GraphicObjectSequence = [_outline(placed, identity) for placed in drawn.values()]
        annotations.append(annotation)
    return annotations


def _outline(placed: Placement, identity: str) -> Dataset:
    """The box as a closed polyline."""
    x1, y1, x2, y2 = placed.box_xyxy_px
    graphic = Dataset()
    graphic.GraphicAnnotationUnits, graphic.GraphicDimensions = "PIXEL", 2
    graphic.NumberOfGraphicPoints = 5
    graphic.GraphicData = [x1, y1, x2, y1, x2, y2, x1, y2, x1, y1]
    graphic.GraphicType, graphic.GraphicFilled = "POLYLINE", "N"
    graphic.TrackingID = placed.finding.id
    graphic.TrackingUID = tracking_uid(identity, placed.answer.id, placed.finding.id)
    return graphic


def _label(label: str, box: BoxPx, image: DicomImage) -> Dataset:
    """A label above its box, or below it, or within it where the image leaves no room."""
    x1, y1, _, y2 = box
    rows, columns = image.header.rows, image.header.columns
    height = max(rows * _LINE_SHARE, 1.0)
    width = min(height * _LETTER_SHARE * len(label), float(columns))
    top = next((top for top in (y1 - height, y2) if 0 <= top <= rows - height), min(y1, rows - height))
    left = min(x1, columns - width)
    words = Dataset()
    words.BoundingBoxAnnotationUnits = words.AnchorPointAnnotationUnits = "PIXEL"
    words.UnformattedTextValue = label[:_MAX_LABEL]
    words.BoundingBoxTopLeftHandCorner = [left, top]
    words.BoundingBoxBottomRightHandCorner = [left + width, top + height]
    words.BoundingBoxTextHorizontalJustification = "LEFT"
    words.AnchorPoint, words.AnchorPointVisibility = [x1, y1], "N"
    return words

"""Viewing: what is shown around an image, and in which order images are: from headers alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from pydicom import Dataset

from medground.dicom.elements import functional_item, numbers, text, texts, whole
from medground.dicom.found import Found
from medground.dicom.frame_positions import frame_positions_mm
from medground.dicom.geometry import Plane, plane_of
from medground.dicom.header import ImageHeader
from medground.dicom.image import DicomImage
from medground.dicom.lut import Window
from medground.dicom.series import Instance, Series, place, studies_of
from medground.serving.plain_text import plain_text
from medground.serving.worklist import ListedInstance

MOST_WINDOWS: Final = 32
_LONGEST: Final = 64  # of a text that is shown
_LONGEST_KEPT, _MOST_KEPT = 256, 16  # of a text of the header, and of the values of an element
_OBLIQUE: Final = math.sin(math.radians(22.5))  # an axis that leans less toward another one has one letter
_LETTERS: Final = ("LR", "PA", "HF")  # up and down each axis of LPS
_DIRECTION = re.compile(r"(?!.*[LR].*[LR]|.*[AP].*[AP]|.*[HF].*[HF])[LRAPHF]{1,3}")
_OPPOSITE = str.maketrans("LRAPHF", "RLPAFH")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Edges(_Part):
    """Letters of the patient's sides at the edges of an image as it is stored; empty where the header is silent."""

    left: str = ""
    right: str = ""
    top: str = ""
    bottom: str = ""


class ShownWindow(_Part):
    """A window in the values that frames are given in.

    Attributes:
        name: as the header explains it; empty where it does not.
        low: at and below it everything is black.
        high: above it everything is white; where it equals `low`, the window is a threshold.
    """

    name: str
    low: float
    high: float


class InstanceView(_Part):
    """What is kept of an image for listings.

    Attributes:
        header: of the image, long texts cut.
        series_description: empty where there is none.
        series_number: None where there is none.
        windows: of the first frame.
        frame_positions_mm: along the normal, of the frames of a multi-frame object, see
            `medground.dicom.frame_positions`; None in what was kept before there were any.
    """

    header: ImageHeader
    series_description: str
    series_number: int | None
    windows: tuple[ShownWindow, ...]
    frame_positions_mm: tuple[float | None, ...] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it says everything that is told of such an image."""
        return self.header.frames == 1 or self.frame_positions_mm is not None

    @property
    def is_colour(self) -> bool:
        """Whether its frames have three values at each pixel, which no window is for."""
        return self.header.samples_per_pixel > 1 or self.header.photometric == "PALETTE COLOR"


@dataclass(frozen=True, slots=True)
class ShownInstance:
    """An image in its place; `position_mm` is along the normal, of the first frame."""

    listed: ListedInstance
    view: InstanceView
    position_mm: float | None
    edges: Edges


@dataclass(frozen=True, slots=True)
class ShownSeries:
    """A series, or one stack of a series that holds several, in viewing order.

    Attributes:
        stack: 1, 2, ... within its series.
        is_volume: the images are slices of one volume: see `medground.dicom.series.Series`.
        instances: at least one.
    """

    series_uid: str
    stack: int
    is_volume: bool
    instances: tuple[ShownInstance, ...]


def view_of(image: DicomImage) -> InstanceView:
    """What is to be kept of an image."""
    number = whole(image.dataset, "SeriesNumber")
    return InstanceView(
        header=_cut(image.header),
        series_description=plain_text(text(image.dataset, "SeriesDescription"), _LONGEST),
        series_number=number if number is not None and abs(number) < 2**31 else None,
        windows=windows_of(image.dataset, image.header),
        frame_positions_mm=frame_positions_mm(image.dataset, image.header),
    )


def _cut(header: ImageHeader) -> ImageHeader:
    def cut(value: Any) -> Any:
        if type(value) is str:  # and no word of an enumeration
            return plain_text(value, _LONGEST_KEPT)
        return tuple(cut(one) for one in value[:_MOST_KEPT]) if isinstance(value, tuple) else value

    return replace(header, **{field.name: cut(getattr(header, field.name)) for field in fields(header)})


def windows_of(dataset: Dataset, header: ImageHeader) -> tuple[ShownWindow, ...]:
    """The windows of an image's first frame; none where its frames are given as they are shown.

    Args:
        dataset: everything before the pixel data.
        header: of the same image.

    Source: PS3.3 C.11.2.1.2 and C.11.2.1.3. The ends of a SIGMOID are those of the line that touches its middle.
    """
    if header.samples_per_pixel > 1 or header.photometric == "PALETTE COLOR":
        return ()
    voi = functional_item(dataset, 1, "FrameVOILUTSequence") or dataset
    centres, widths = numbers(voi, "WindowCenter") or (), numbers(voi, "WindowWidth") or ()
    names = texts(voi, "WindowCenterWidthExplanation")
    function = (text(voi, "VOILUTFunction") or "LINEAR").upper()
    shown = []
    for number, (centre, width) in enumerate(zip(centres, widths, strict=False)):
        window = Window(centre, width, function)
        low, high = _ends(window)
        if window.is_valid and math.isfinite(low) and math.isfinite(high):
            name = plain_text(names[number], _LONGEST) if number < len(names) else ""
            shown.append(ShownWindow(name=name, low=low, high=high))
    return tuple(shown[:MOST_WINDOWS])


def _ends(window: Window) -> tuple[float, float]:
    if window.function == "LINEAR":
        centre, half = window.centre - 0.5, (window.width - 1) / 2
    else:
        centre, half = window.centre, window.width / 2
    return centre - half, centre + half


def edges_of(header: ImageHeader) -> Edges:
    """The patient's sides around an image.

    An edge has one letter; where its axis is oblique, by more than 22.5 degrees, more of them, the nearest first.

    Source: PS3.3 C.7.6.1.1.1 (Patient Orientation), C.7.6.2.1.1 (Image Orientation (Patient)).
    """
    if header.image_orientation is not None:
        right, bottom = _letters(header.image_orientation[:3]), _letters(header.image_orientation[3:])
    elif header.patient_orientation is not None:
        right, bottom = (one if _DIRECTION.fullmatch(one) else "" for one in header.patient_orientation)
    else:
        return Edges()
    return Edges(left=right.translate(_OPPOSITE), right=right, top=bottom.translate(_OPPOSITE), bottom=bottom)


def _letters(direction: Sequence[float]) -> str:
    nearest_first = sorted(zip(direction, _LETTERS, strict=True), key=lambda one: -abs(one[0]))
    return "".join(letters[cosine < 0] for cosine, letters in nearest_first if abs(cosine) > _OBLIQUE)


def series_shown(listed: Sequence[ListedInstance], views: Mapping[int, InstanceView]) -> tuple[ShownSeries, ...]:
    """The series of a study by their numbers, each in viewing order.

    Slices of a volume are ordered by position, others by instance number and then as they are listed.

    Args:
        listed: images of one study, by UID.
        views: of each, by its id.
    """
    by_id = {str(one.instance_id): one for one in listed}
    found = [Instance(Found(key, Path()), views[one.instance_id].header) for key, one in by_id.items()]
    shown: list[ShownSeries] = []
    stacks: dict[str, int] = {}
    for series in (one for study in studies_of(found) for one in study.series):
        uid = series.series_instance_uid
        stacks[uid] = stacks.get(uid, 0) + 1
        images = [by_id[one.source] for one in series.instances]
        placed = tuple(
            ShownInstance(one, views[one.instance_id], position, edges_of(views[one.instance_id].header))
            for one, position in zip(images, _positions_mm(series), strict=True)
        )
        shown.append(ShownSeries(uid, stacks[uid], series.is_volume, placed))
    return tuple(sorted(shown, key=_number))


def _number(series: ShownSeries) -> tuple[bool, int]:
    number = series.instances[0].view.series_number
    return number is None, number or 0


def _positions_mm(series: Series) -> list[float | None]:
    """Where each image lies along its normal; slices of a volume have one normal."""
    planes = [_plane(one.header) for one in series.instances]
    if series.is_volume and planes[0] is not None:
        normal = planes[0].normal
        return [None if plane is None else place(plane, normal) for plane in planes]
    return [None if plane is None else plane.along_normal_mm for plane in planes]


def _plane(header: ImageHeader) -> Plane | None:
    """The plane of the first frame, whatever is known of its pixels' spacing."""
    return plane_of(header if header.spacing_mm else replace(header, spacing_mm=(1.0, 1.0)))

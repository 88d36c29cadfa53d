"""Views: what can be looked at in a study, one image or slice each, and which of them belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medground.dicom.geometry import Plane, directions
from medground.dicom.header import ImageHeader
from medground.dicom.series import Instance
from medground.imaging.upright import AS_IT_IS, Turn
from medground.schema.box import Box


@dataclass(frozen=True, slots=True)
class View:
    """One image, frame or slice, decoded only when it is looked at.

    Attributes:
        key: SOP Instance UID, or the digest of a plain picture.
        source: the input it came from, as given.
        frame: 1-based.
        header: None for a plain picture.
        plane: where the frame lies in the patient; None where the header leaves it open.
        display: decodes it: values 0..1, (rows, columns) or (rows, columns, 3).
    """

    key: str
    source: str
    frame: int
    header: ImageHeader | None
    plane: Plane | None
    display: Callable[[], NDArray[np.float32]]

    @property
    def series_instance_uid(self) -> str | None:
        """None for a plain picture, or where the header has none."""
        return (self.header.series_instance_uid or None) if self.header else None

    @property
    def sop_instance_uid(self) -> str | None:
        """None for a plain picture, or where the header has none."""
        return (self.header.sop_instance_uid or None) if self.header else None


def upright(view: View) -> Turn:
    """How to turn a view so that it lies as training images do: the patient's left at the right, feet or back below.

    A lateral view keeps its left and right: it is hung either way. What the header leaves open stays as it is.
    """
    along = directions(view.header, view.plane) if view.header else None
    if along is None:
        return AS_IT_IS
    across, down = along
    swap = across in "HF" or (across in "AP" and down in "LR")
    across, down = (down, across) if swap else (across, down)
    return Turn(swap, mirror_x=across == "R", mirror_y=down in "HA")


class Crops:
    """The pixels of boxes and of a quarter of their longer sides around them, as square as the images allow.

    Args:
        boxes: each with its view; a view is decoded anew, once for all its boxes, when the first of them is asked for.
    """

    def __init__(self, boxes: Sequence[tuple[View, Box]]) -> None:
        self._boxes = boxes
        self._made: dict[int, NDArray[np.float32]] = {}

    def of(self, row: int) -> NDArray[np.float32]:
        """Grey, 0..1, (rows, columns), upright, at least one pixel, of the box at that place."""
        if row not in self._made:
            view = self._boxes[row][0]
            shown = view.display()
            grey = shown if shown.ndim == 2 else shown.mean(2)
            for other, (its, box) in enumerate(self._boxes):
                if (its.key, its.frame) == (view.key, view.frame):
                    self._made[other] = upright(view).apply(_around(grey, box)).copy()
        return self._made[row]


def _around(grey: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
    half = 0.75 * max(box.width_px, box.height_px)
    (x, y), (rows, columns) = box.centre_px, grey.shape
    left, top = int(np.clip(x - half, 0, columns - 1)), int(np.clip(y - half, 0, rows - 1))
    return grey[top : max(int(y + half), top + 1), left : max(int(x + half), left + 1)]


@dataclass(frozen=True, slots=True)
class Group:
    """Views that are judged together: the slices of a volume in the order of position, or a single image."""

    views: tuple[View, ...]
    is_volume: bool = False


@dataclass(frozen=True, slots=True)
class Study:
    """A study, or a plain picture (then `study_instance_uid` is None).

    Attributes:
        study_instance_uid: None for a plain picture.
        sources: the inputs its images came from, as given.
        groups: what can be looked at.
        warnings: what was noticed while the files were read.
        instances: its DICOM objects; empty for a plain picture.
    """

    study_instance_uid: str | None
    sources: tuple[str, ...]
    groups: tuple[Group, ...]
    warnings: tuple[str, ...] = ()
    instances: tuple[Instance, ...] = ()

    @property
    def instance_keys(self) -> tuple[str, ...]:
        """Keys of all its images, each once, sorted."""
        return tuple(sorted({view.key for group in self.groups for view in group.views}))

    @property
    def views(self) -> tuple[View, ...]:
        """All its views in order."""
        return tuple(view for group in self.groups for view in group.views)

"""Frame: the part of reading an image that chance has no say in, small enough to keep on disk.

What a display shows is kept as a model takes it: standardised, in the model frame, 8 bits a pixel. Hounsfield units are
kept as they are, since their window is still to be chosen, and every window is a new picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from monai.transforms import Transform
from numpy.typing import NDArray

from medground.data.pixels import displayed
from medground.data.sample import quantise, restore
from medground.data.transforms.view import View
from medground.dicom.grey import GreyPipeline, preset_window
from medground.dicom.image import open_image
from medground.dicom.lut import Window
from medground.imaging.letterbox import to_tensor
from medground.imaging.picture import is_picture
from medground.imaging.preprocess import prepare
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.errors import InputNotFoundError
from medground.schema.record import ImageRecord

FRAME_VERSION = 1  # part of the cache's names: raise it when a change here changes what is kept
_VOLUMES = frozenset({".mhd", ".mha", ".nii", ".nrrd"})
_LOWEST, _HIGHEST = -4096.0, 4096.0  # of every unit that a scanner writes; exact in float32 over this range


@dataclass(frozen=True, slots=True)
class Frame:
    """An image as it is kept.

    Attributes:
        pixels_HW: uint8 as `quantise` leaves them, without the letterbox's padding; or int16 Hounsfield units in the
            size of the stored image.
        window: that Hounsfield units are shown in; None where the pixels are no such units.
    """

    pixels_HW: NDArray[np.uint8] | NDArray[np.int16]
    window: Window | None = None


class Framed(Transform):
    """Reads the frame of a record.

    Args:
        size_px: long side of what is kept as shown.
    """

    def __init__(self, size_px: int) -> None:
        self.size_px = size_px

    def __call__(self, record: ImageRecord) -> Frame:
        """The frame.

        Raises:
            InputError: the record names no file, or it cannot be read.
        """
        measured = hounsfield(record)
        if measured is not None:
            return measured
        return Frame(quantise(_inner(displayed(record), self.size_px)))


def hounsfield(record: ImageRecord) -> Frame | None:
    """The Hounsfield units of a record with the window that `displayed` shows them in; None where it shows others.

    Raises:
        InputError: the record names no file, or it cannot be read.
    """
    if record.path is None:
        raise InputNotFoundError(f"record {record.record_id!r} names no image file; import it with its images")
    if record.path.suffix.lower() in _VOLUMES or "hu_offset" in record.attributes:
        # Shown in a window that holds every value, and brought back from it.
        wide = {**record.attributes, "DICOM_windows": f"{_LOWEST},{_HIGHEST}"}
        grey = displayed(record.model_copy(update={"attributes": wide}))
        return Frame(np.rint(grey * (_HIGHEST - _LOWEST) + _LOWEST).astype(np.int16), _own_window(record))
    return None if is_picture(record.path) else _of_dicom(record)


def _own_window(record: ImageRecord) -> Window:
    ends = [float(word) for word in record.attributes.get("DICOM_windows", "").split(",") if word.strip()]
    if len(ends) == 2 and ends[0] < ends[1]:
        return Window((ends[0] + ends[1]) / 2, ends[1] - ends[0], "LINEAR_EXACT")
    return preset_window("lung" if record.domain is Domain.CHEST_CT else "mediastinum")


def _of_dicom(record: ImageRecord) -> Frame | None:
    """CT whose file names a plain window; padding becomes the darkest value, as a display shows it."""
    if record.path is None:
        return None
    image = open_image(record.path)
    if image.header.modality != "CT" or image.header.photometric != "MONOCHROME2":
        return None
    grey = GreyPipeline(image.dataset, image.header, record.frame)
    if not isinstance(grey.voi, Window) or grey.is_inverted:
        return None
    stored = image.stored(record.frame)
    values = np.clip(np.rint(grey.modality.apply(stored)), _LOWEST, _HIGHEST).astype(np.int16)
    if grey.padding is not None:
        values[(stored >= grey.padding[0]) & (stored <= grey.padding[1])] = _LOWEST
    return Frame(values, grey.voi)


def view_from(record: ImageRecord, frame: Frame) -> View:
    """A frame as a view, with the record of it in the frame's pixels."""
    if frame.window is not None:
        return View(to_tensor(frame.pixels_HW.astype(np.float32)), _without_file(record), frame.window, is_shown=False)
    rows, columns = frame.pixels_HW.shape
    return View(to_tensor(restore(frame.pixels_HW.astype(np.uint8))), in_pixels_of(record, columns, rows))


def shown(view: View, window: Window, size_px: int) -> View:
    """Hounsfield units in a window, standardised and in the model frame, as `prepare` would bring them there.

    Args:
        view: in Hounsfield units.
        window: to show them in.
        size_px: long side of the result.
    """
    grey = window.apply(view.pixels_HW.numpy()).astype(np.float32)
    pixels = _inner(grey, size_px)
    rows, columns = pixels.shape
    return View(to_tensor(pixels), in_pixels_of(view.record, columns, rows), window)


def in_pixels_of(record: ImageRecord, columns: int, rows: int) -> ImageRecord:
    """A record of the same picture resampled to another size."""
    x, y = columns / record.columns, rows / record.rows
    regions = []
    for region in record.regions:
        box = region.box
        scaled = Box(x1=box.x1 * x, y1=box.y1 * y, x2=min(box.x2 * x, columns), y2=min(box.y2 * y, rows))
        regions.append(region.model_copy(update={"box": scaled}))
    spacing = record.spacing_mm
    return _without_file(record).model_copy(
        update={
            "columns": columns,
            "rows": rows,
            "regions": tuple(regions),
            "spacing_mm": None if spacing is None else (spacing[0] / y, spacing[1] / x),
        }
    )


def _without_file(record: ImageRecord) -> ImageRecord:
    return record.model_copy(update={"path": None, "sha256": None})


def _inner(grey: NDArray[np.float32], size_px: int) -> NDArray[np.float32]:
    """The model frame without its padding."""
    image = prepare(grey, size_px)
    box = image.letterbox
    inner: NDArray[np.float32] = image.pixels_HW[: box.inner_rows, : box.inner_columns].numpy()
    return inner

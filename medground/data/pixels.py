"""The picture behind a record, as a display shows it: files of DICOM, pictures, CT slices in PNG and in volumes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medground.dicom.grey import preset_window
from medground.imaging.display import read_display
from medground.schema.anatomy import Domain
from medground.schema.errors import InputNotFoundError, UnreadableFileError
from medground.schema.record import ImageRecord

_VOLUMES = frozenset({".mhd", ".mha", ".nii", ".nrrd"})


def displayed(record: ImageRecord) -> NDArray[np.float32]:
    """Read the picture of a record.

    CT that comes in Hounsfield units is shown in the window that the source names (`DICOM_windows`), else in the lung
    window; everything else as its file says.

    Args:
        record: with a file.

    Returns:
        (rows, columns), 0..1.

    Raises:
        InputNotFoundError: the record names no file, or it is gone.
        UnreadableFileError: the file is damaged, or not of the record's size.
    """
    if record.path is None:
        raise InputNotFoundError(f"record {record.record_id!r} names no image file; import it with its images")
    if record.path.suffix.lower() in _VOLUMES:
        grey = _windowed(_slice_hu(record), record)
    elif "hu_offset" in record.attributes:
        with Image.open(record.path) as picture:
            values = np.asarray(picture, dtype=np.float64)
        grey = _windowed(values - float(record.attributes["hu_offset"]), record)
    else:
        grey = read_display(record.path, record.frame).grey
    if grey.shape != (record.rows, record.columns):
        raise UnreadableFileError(
            f"the image of {record.record_id!r} is {grey.shape[1]}x{grey.shape[0]}, its record says "
            f"{record.columns}x{record.rows}: import the data set again"
        )
    return grey


def _windowed(hu: NDArray[np.float64], record: ImageRecord) -> NDArray[np.float32]:
    ends = [float(word) for word in record.attributes.get("DICOM_windows", "").split(",") if word.strip()]
    if len(ends) == 2 and ends[0] < ends[1]:
        return np.asarray(np.clip((hu - ends[0]) / (ends[1] - ends[0]), 0, 1), dtype=np.float32)
    preset = "lung" if record.domain is Domain.CHEST_CT else "mediastinum"
    return np.asarray(preset_window(preset).apply(hu), dtype=np.float32)


def _slice_hu(record: ImageRecord) -> NDArray[np.float64]:
    """One slice of a volume file; the others are not read."""
    import SimpleITK  # its C++ libraries take a while to load, and only volumes need them

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(record.path))
    try:
        reader.ReadImageInformation()
        columns, rows, _ = reader.GetSize()
        reader.SetExtractIndex((0, 0, record.frame - 1))
        reader.SetExtractSize((columns, rows, 1))
        return np.asarray(SimpleITK.GetArrayFromImage(reader.Execute())[0], dtype=np.float64)
    except (RuntimeError, ValueError) as error:
        raise UnreadableFileError(f"the volume of {record.record_id!r} cannot be read: it may be cut short") from error

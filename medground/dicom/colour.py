"""From decoded colour or palette pixels to RGB brightness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medground.dicom.decode import Decoded
from medground.dicom.grey import row_blocks
from medground.dicom.header import ImageHeader
from medground.dicom.palette import read_palette


def colour_display(decoded: Decoded, dataset: Dataset, header: ImageHeader) -> NDArray[np.float32]:
    """RGB of a frame.

    Args:
        decoded: (rows, columns, 3 or 4) colour, or (rows, columns) indices into a palette.
        dataset: the image object, with the palette.
        header: of the same object.

    Returns:
        (rows, columns, 3), 0..1.

    Raises:
        DecodeError: a palette that is absent or not valid.
    """
    is_palette = decoded.photometric == "PALETTE COLOR"
    palette = read_palette(dataset, signed=header.signed) if is_palette else None
    highest = np.float32(2**header.bits_stored - 1)
    brightness = np.empty((*decoded.pixels.shape[:2], 3), np.float32)
    for rows in row_blocks(decoded.pixels.shape):
        pixels = decoded.pixels[rows]
        brightness[rows] = palette.apply(pixels) if palette else np.clip(pixels[..., :3] / highest, 0, 1)
    return brightness

"""What a display shows, from any file medground reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medground.dicom.image import open_image
from medground.imaging.picture import is_picture, read_picture

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Display:
    """Grey pixels as displayed, and how coloured the picture was.

    Attributes:
        grey: (rows, columns), 0..1, bright = dense on a radiograph.
        colourfulness: mean difference between the largest and smallest colour channel, 0..1.
    """

    grey: NDArray[np.float32]
    colourfulness: float

    @classmethod
    def of(cls, pixels: NDArray[np.float32]) -> Display:
        """From (rows, columns) or (rows, columns, 3) of 0..1.

        Raises:
            ValueError: on another shape.
        """
        if pixels.ndim == 2:
            return cls(pixels.astype(np.float32, copy=False), 0.0)
        if pixels.ndim == 3 and pixels.shape[2] == 3:
            spread = float((pixels.max(2) - pixels.min(2)).mean())
            return cls((pixels @ LUMA).astype(np.float32), spread)
        raise ValueError(f"a display is (rows, columns) or (rows, columns, 3), got {pixels.shape}")


def read_display(path: Path, frame: int = 1) -> Display:
    """Reads one frame of a DICOM file, or a PNG or JPEG picture.

    Raises:
        InputError: if the file cannot be read.
    """
    if is_picture(path):
        return Display.of(read_picture(path))
    return Display.of(open_image(path).display(frame))

"""Run-length masks of the SIIM-ACR challenge: pairs (gap since the last run, length), down the columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

NONE = "-1"
"""What stands in place of a mask where there is none."""


def mask_of(text: str, columns: int, rows: int) -> NDArray[np.bool_]:
    """Decode a mask.

    Args:
        text: numbers separated by blanks.
        columns: width of the mask, pixels.
        rows: height of the mask, pixels.

    Returns:
        (rows, columns), True inside.

    Raises:
        ValueError: on an odd count of numbers, a negative one, no number, or a run past the end.
    """
    numbers = np.array([int(word) for word in text.split()], dtype=np.int64)
    if len(numbers) % 2 or (numbers < 0).any():
        raise ValueError("runs are pairs of numbers that are not negative")
    gaps, lengths = numbers[0::2], numbers[1::2]
    ends = np.cumsum(gaps + lengths)
    if len(ends) and ends[-1] > columns * rows:
        raise ValueError(f"runs reach {int(ends[-1])} where the image has {columns * rows} pixels")
    steps = np.zeros(columns * rows + 1, dtype=np.int32)
    np.add.at(steps, ends - lengths, 1)
    np.add.at(steps, ends, -1)
    return (np.cumsum(steps[:-1]) > 0).reshape(columns, rows).T


def regions_of(mask: NDArray[np.bool_]) -> list[tuple[tuple[float, float, float, float], int]]:
    """Bounds (pixel edges) and area in pixels of each connected region, diagonal neighbours joined."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    areas = ndimage.sum_labels(mask, labels, range(1, count + 1))
    return [
        ((float(across.start), float(down.start), float(across.stop), float(down.stop)), int(area))
        for (down, across), area in zip(ndimage.find_objects(labels), np.atleast_1d(areas), strict=True)
    ]

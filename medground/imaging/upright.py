"""Turns an image the way it is looked at, and boxes on it back to the stored pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BoxPx = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the eight ways to lay a picture down: rows and columns exchanged, then mirrored.

    Attributes:
        swap: exchange rows and columns.
        mirror_x: then exchange left and right.
        mirror_y: then exchange top and bottom.
    """

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def apply(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """The picture (rows, columns[, 3]) turned; the same memory seen otherwise."""
        turned = pixels.swapaxes(0, 1) if self.swap else pixels
        return turned[:: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1]

    def back(self, box: BoxPx, columns: int, rows: int) -> BoxPx:
        """A box on the turned picture in pixels of the picture as it was, whose size is `columns` x `rows`."""
        x1, y1, x2, y2 = box
        across, down = (rows, columns) if self.swap else (columns, rows)
        if self.mirror_x:
            x1, x2 = across - x2, across - x1
        if self.mirror_y:
            y1, y2 = down - y2, down - y1
        return (y1, x1, y2, x2) if self.swap else (x1, y1, x2, y2)


AS_IT_IS = Turn()

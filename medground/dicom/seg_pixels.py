"""Pixels of segments: which a box or a mask covers, and how a binary segmentation packs them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medground.schema.errors import UsageError
from medground.schema.result import BoxPx

_MAX_BYTES = 2**30


@dataclass(frozen=True, slots=True, eq=False)
class PixelBlock:
    """The rows of a frame that hold something.

    Attributes:
        first_row: from 0.
        pixels: boolean (rows, columns), all columns of the frame.
    """

    first_row: int
    pixels: NDArray[np.bool_]


def box_block(box_xyxy_px: BoxPx, rows: int, columns: int) -> PixelBlock:
    """The pixels whose centres lie in a box, at least the one that the middle of the box lies in.

    Args:
        box_xyxy_px: within the image.
        rows: of the image.
        columns: of the image.
    """
    x1, y1, x2, y2 = box_xyxy_px
    (left, right), (top, bottom) = _centres(x1, x2, columns), _centres(y1, y2, rows)
    row = np.zeros(columns, np.bool_)
    row[left:right] = True
    return PixelBlock(top, np.broadcast_to(row, (bottom - top, columns)))  # one row in memory, however high the box


def _centres(low: float, high: float, size: int) -> tuple[int, int]:
    """First and one past the last pixel whose centre lies from `low` up to, but not at, `high`."""
    first, end = math.ceil(low - 0.5), math.ceil(high - 0.5)
    if first < end:
        return first, end
    middle = min(int((low + high) / 2), size - 1)
    return middle, middle + 1


def mask_block(mask: NDArray[Any]) -> PixelBlock | None:
    """The pixels of a mask (rows, columns) that are not 0; None if there is none."""
    chosen = mask != 0
    rows = np.flatnonzero(chosen.any(1))
    return PixelBlock(int(rows[0]), chosen[rows[0] : rows[-1] + 1]) if rows.size else None


def packed(blocks: Sequence[PixelBlock], rows: int, columns: int) -> bytes:
    """Pixel data of one bit a pixel, the first in the lowest bit, frames without a gap (PS3.5 8.1.1), of even length.

    Args:
        blocks: of each frame.
        rows: of a frame.
        columns: of a frame.

    Raises:
        UsageError: more than one object should hold.
    """
    size = (len(blocks) * rows * columns + 7) // 8
    if size > _MAX_BYTES:
        raise UsageError(f"{len(blocks)} frames need {size} bytes, more than {_MAX_BYTES}; ask for fewer boxes")
    stream = np.zeros(size + size % 2, np.uint8)
    for number, block in enumerate(blocks):
        start, within = divmod((number * rows + block.first_row) * columns, 8)
        bits = block.pixels.ravel()
        part = np.packbits(np.concatenate([np.zeros(within, np.bool_), bits]) if within else bits, bitorder="little")
        stream[start : start + len(part)] |= part
    return stream.tobytes()

"""Pixels of segments: those of a box, and frames packed bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from medground.dicom.native import unpacked
from medground.dicom.seg_pixels import PixelBlock, box_block, packed
from medground.schema.errors import UnreadableFileError, UsageError
from medground.schema.result import BoxPx

SIZE = 64


@pytest.mark.parametrize(
    ("box", "first", "last"),
    [
        ((0, 0, 1, 1), (0, 0), (0, 0)),  # row and column of the first and the last pixel
        ((0, 0, 64, 64), (0, 0), (63, 63)),
        ((1.4, 2.5, 10.6, 20), (2, 1), (19, 10)),
        ((1.5, 2.5, 10.5, 20.5), (2, 1), (19, 9)),
        ((5.1, 5.1, 5.2, 7.0), (5, 5), (6, 5)),  # between two centres: the pixel it lies in
        ((63.6, 63.6, 64, 64), (63, 63), (63, 63)),
    ],
)
def test_pixels_of_a_box(box: BoxPx, first: tuple[int, int], last: tuple[int, int]) -> None:
    block = box_block(box, SIZE, SIZE)
    found = np.argwhere(block.pixels) + np.array([block.first_row, 0])
    assert (tuple(found[0]), tuple(found[-1])) == (first, last)
    assert len(found) == (last[0] - first[0] + 1) * (last[1] - first[1] + 1)


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (5, 7), (3, 13), (1, 1)])
def test_packing_against_all_bits_in_a_row(rows: int, columns: int) -> None:
    random = np.random.default_rng(rows * columns)
    frames = random.integers(0, 2, (5, rows, columns)).astype(np.bool_)
    frames[2, :-1] = False
    blocks = [PixelBlock(0, frame) for frame in frames]
    blocks[2] = PixelBlock(rows - 1, frames[2, -1:])
    bits = "".join(str(int(bit)) for bit in frames.ravel())
    octets = [int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8)]
    stream = packed(blocks, rows, columns)
    assert stream == bytes(octets + [0] * (len(octets) % 2))
    assert (np.array([unpacked(stream, number, rows, columns) for number in range(5)]) == frames).all()
    with pytest.raises(UnreadableFileError, match="before frame 21"):
        unpacked(stream, 20, rows, columns)


def test_more_than_a_segmentation_can_hold() -> None:
    with pytest.raises(UsageError, match="fewer boxes"):
        packed([box_block((0, 0, 1, 1), 2**14, 2**14)] * 100, 2**14, 2**14)

"""Random views of an image and its boxes, in the model frame.

Sides are never part of what a view is asked about in training, so a mirrored view makes no false statement.
Legend: G boxes, H W rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from medground.data.sample import HIGH, LOW
from medground.schema.config import StrictConfig


class AugmentConfig(StrictConfig):
    """How far views stray.

    Attributes:
        size_px: side of the square view.
        scale: smallest and largest magnification of the held image.
        aspect: largest relative change of the aspect.
        flip: probability of a mirror image.
        min_visible: a box with less of its area in view is dropped.
        mosaic: probability that four images of a pool stand in one view.
        focus: probability that a view holds a box of the image, drawn at random: small views of large images would
            mostly miss what is small.
    """

    size_px: int = 416
    scale: tuple[float, float] = (0.65, 1.4)
    aspect: float = 0.1
    flip: float = 0.5
    min_visible: float = 0.4
    mosaic: float = 0.0
    focus: float = 0.0


def turn(image_HW: Tensor, boxes_G4: Tensor, quarter_turns: int, mirror: bool) -> tuple[Tensor, Tensor]:
    """Mirrors left and right if asked, then turns anticlockwise by quarter turns."""
    if mirror:
        image_HW = image_HW.flip(1)
        x1, y1, x2, y2 = boxes_G4.unbind(1)
        boxes_G4 = torch.stack([image_HW.shape[1] - x2, y1, image_HW.shape[1] - x1, y2], 1)
    for _ in range(quarter_turns % 4):
        width = image_HW.shape[1]
        image_HW = torch.rot90(image_HW, 1)
        x1, y1, x2, y2 = boxes_G4.unbind(1)
        boxes_G4 = torch.stack([y1, width - x2, y2, width - x1], 1)
    return image_HW, boxes_G4


def crop_and_scale(
    image_HW: Tensor, boxes_G4: Tensor, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A square view at a random scale and place.

    Returns:
        The view, the boxes clipped to it, and a mask of the boxes that remain.
    """
    low, high = np.log(config.scale)
    scale = float(np.exp(rng.uniform(low, high)))
    stretch = float(np.exp(rng.uniform(-config.aspect, config.aspect)))
    rows, columns = image_HW.shape
    size = (max(8, round(rows * scale * stretch)), max(8, round(columns * scale / stretch)))
    scaled = F.interpolate(image_HW[None, None], size, mode="bilinear", antialias=scale < 1, align_corners=False)[0, 0]
    factor_x, factor_y = size[1] / columns, size[0] / rows
    boxes_G4 = boxes_G4 * torch.tensor([factor_x, factor_y, factor_x, factor_y])
    side = config.size_px
    aim = boxes_G4[int(rng.integers(len(boxes_G4)))].tolist() if len(boxes_G4) and rng.random() < config.focus else None
    top, left = (
        _start(length, side, (aim[axis], aim[axis + 2]) if aim else None, rng)
        for axis, length in ((1, size[0]), (0, size[1]))
    )
    view = torch.full((side, side), LOW + 1.0)
    source = scaled[max(0, top) : top + side, max(0, left) : left + side]
    row, column = max(0, -top), max(0, -left)
    view[row : row + source.shape[0], column : column + source.shape[1]] = source[: side - row, : side - column]
    boxes_G4 = boxes_G4 - torch.tensor([left, top, left, top], dtype=boxes_G4.dtype)
    clipped_G4 = boxes_G4.clamp(0, side)
    area_G, seen_G = _area(boxes_G4), _area(clipped_G4)
    return view, clipped_G4, (seen_G >= config.min_visible * area_G) & (seen_G >= 9)


def _start(length: int, side: int, held: tuple[float, float] | None, rng: np.random.Generator) -> int:
    """Where a view of some side begins along an axis; with `held`, so that it holds these two ends, or their middle."""
    low, high = min(0, length - side), max(0, length - side)
    if held:
        first, last = held if held[1] - held[0] <= side else (sum(held) / 2,) * 2
        low, high = max(low, int(np.ceil(last)) - side), min(high, int(first))
    return int(rng.integers(low, max(low, high) + 1))


def tiled(images: Sequence[Tensor], boxes: Sequence[Tensor], rng: np.random.Generator) -> tuple[Tensor, list[Tensor]]:
    """Four images in the quarters of a square that meet near its middle, each whole and at three quarters of its size.

    Returns:
        The square, half as long again as the longest side of the images, and the boxes of each image on it.

    Source: mosaic, Bochkovskiy et al., YOLOv4, 2020, section 3.3; here each image stays whole.
    """
    side = round(1.5 * max(max(image.shape) for image in images))
    middle_x, middle_y = (round(side * float(rng.uniform(0.42, 0.58))) for _ in range(2))
    square = torch.full((side, side), LOW + 1.0)
    placed = []
    for tile, (image_HW, boxes_G4) in enumerate(zip(images, boxes, strict=True)):
        right, below = tile % 2, tile // 2
        room_x, room_y = (side - middle_x if right else middle_x), (side - middle_y if below else middle_y)
        rows, columns = image_HW.shape
        scale = min(room_x / columns, room_y / rows)
        height, width = max(1, int(rows * scale)), max(1, int(columns * scale))
        small = F.interpolate(image_HW[None, None], (height, width), mode="bilinear", antialias=True)[0, 0]
        left, top = (middle_x if right else middle_x - width), (middle_y if below else middle_y - height)
        square[top : top + height, left : left + width] = small
        factor = torch.tensor([width / columns, height / rows] * 2)
        placed.append(boxes_G4 * factor + torch.tensor([left, top, left, top], dtype=boxes_G4.dtype))
    return square, placed


def _area(boxes_G4: Tensor) -> Tensor:
    return (boxes_G4[:, 2] - boxes_G4[:, 0]).clamp(0) * (boxes_G4[:, 3] - boxes_G4[:, 1]).clamp(0)


def change_intensity(image_HW: Tensor, rng: np.random.Generator) -> Tensor:
    """Gamma, contrast, brightness, noise and blur within what films differ by."""
    unit = (image_HW - LOW) / (HIGH - LOW)
    unit = unit.clamp(0, 1) ** float(np.exp(rng.normal(0, 0.2)))
    image_HW = (unit * (HIGH - LOW) + LOW) * float(np.exp(rng.normal(0, 0.1))) + float(rng.normal(0, 0.15))
    if rng.random() < 0.3:
        image_HW = F.avg_pool2d(image_HW[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    if rng.random() < 0.5:
        image_HW = image_HW + torch.from_numpy(_noise(image_HW.shape, rng)) * float(rng.uniform(0.02, 0.12))
    return image_HW.clamp(LOW, HIGH)


def _noise(shape: torch.Size, rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.standard_normal(tuple(shape), dtype=np.float32)

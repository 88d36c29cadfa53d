"""Random views of an image and its boxes, in the model frame.

Sides are never part of what a view is asked about in training, so a mirrored view makes no false statement.
Legend: G boxes, C channels (one, or three where slices lie beside), H W rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from medground.data.midline import Map, scaled_and_moved
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


def standardised(pixels: Tensor) -> Tensor:
    """Pixels as the model takes them, from the 8 bits they are kept in; others stay as they are."""
    return pixels.float() * ((HIGH - LOW) / 255) + LOW if pixels.dtype == torch.uint8 else pixels


def turn(image_CHW: Tensor, boxes_G4: Tensor, quarter_turns: int, mirror: bool) -> tuple[Tensor, Tensor]:
    """Mirrors left and right if asked, then turns anticlockwise by quarter turns."""
    if mirror:
        image_CHW = image_CHW.flip(2)
        x1, y1, x2, y2 = boxes_G4.unbind(1)
        boxes_G4 = torch.stack([image_CHW.shape[2] - x2, y1, image_CHW.shape[2] - x1, y2], 1)
    for _ in range(quarter_turns % 4):
        width = image_CHW.shape[2]
        image_CHW = torch.rot90(image_CHW, 1, (1, 2))
        x1, y1, x2, y2 = boxes_G4.unbind(1)
        boxes_G4 = torch.stack([y1, width - x2, y2, width - x1], 1)
    return image_CHW, boxes_G4


def turn_map(columns: int, rows: int, quarter_turns: int, mirror: bool) -> Map:
    """Where `turn` takes the points of an image of some size."""
    map_33 = np.array([[-1.0, 0, columns], [0, 1, 0], [0, 0, 1]]) if mirror else np.eye(3)
    for _ in range(quarter_turns % 4):
        map_33 = np.array([[0.0, 1, 0], [-1, 0, columns], [0, 0, 1]]) @ map_33
        columns, rows = rows, columns
    return map_33


def crop_and_scale(
    image_CHW: Tensor, boxes_G4: Tensor, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Map]:
    """A square view at a random scale and place; of a large image only what is in view is resampled.

    Args:
        image_CHW: standardised, or as it is kept.
        boxes_G4: xyxy pixels of the image.
        config: how far views stray.
        rng: what is drawn.

    Returns:
        The view, the boxes clipped to it, a mask of the boxes that remain, and the map of the image's points to it.
    """
    low, high = np.log(config.scale)
    scale = float(np.exp(rng.uniform(low, high)))
    stretch = float(np.exp(rng.uniform(-config.aspect, config.aspect)))
    lengths = image_CHW.shape[1:]
    factors = [max(8, round(n * f)) / n for n, f in zip(lengths, (scale * stretch, scale / stretch), strict=True)]
    side = config.size_px
    scaled_G4 = boxes_G4 * torch.tensor([factors[1], factors[0]] * 2)
    aim = (
        scaled_G4[int(rng.integers(len(boxes_G4)))].tolist() if len(boxes_G4) and rng.random() < config.focus else None
    )
    parts = [
        _part(length, factor, side, (aim[axis], aim[axis + 2]) if aim else None, rng)
        for axis, length, factor in ((1, lengths[0], factors[0]), (0, lengths[1], factors[1]))
    ]
    (top, bottom, rows, above), (left, right, columns, before) = parts
    seen = F.interpolate(
        standardised(image_CHW[None, :, top:bottom, left:right]),
        (rows, columns),
        mode="bilinear",
        antialias=scale < 1,
        align_corners=False,
    )[0]
    view = torch.full((image_CHW.shape[0], side, side), LOW + 1.0)
    source = seen[:, max(0, above) : above + side, max(0, before) : before + side]
    row, column = max(0, -above), max(0, -before)
    view[:, row : row + source.shape[1], column : column + source.shape[2]] = source[:, : side - row, : side - column]
    across, down = columns / (right - left), rows / (bottom - top)
    offset_xy = (before + left * across, above + top * down)
    boxes_G4 = boxes_G4 * torch.tensor([across, down] * 2) - torch.tensor(offset_xy * 2)
    clipped_G4 = boxes_G4.clamp(0, side)
    area_G, seen_G = _area(boxes_G4), _area(clipped_G4)
    kept_G = (seen_G >= config.min_visible * area_G) & (seen_G >= 9)
    return view, clipped_G4, kept_G, scaled_and_moved((across, down), offset_xy)


def _part(
    length: int, factor: float, side: int, held: tuple[float, float] | None, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """What of an axis is resampled for a view: its first and last pixel, its length after, and where the view begins.

    The view begins at the returned offset of the resampled part; a negative one leaves room before it.
    """
    start = _start(round(length * factor), side, held, rng)
    spare = int(np.ceil(2 / factor))
    first = max(0, int(np.floor(start / factor)) - spare)
    last = min(length, int(np.ceil((start + side) / factor)) + spare)
    resampled = max(1, round((last - first) * factor))
    return first, last, resampled, round((start / factor - first) * resampled / (last - first))


def _start(length: int, side: int, held: tuple[float, float] | None, rng: np.random.Generator) -> int:
    """Where a view of some side begins along an axis; with `held`, so that it holds these two ends, or their middle."""
    low, high = min(0, length - side), max(0, length - side)
    if held:
        first, last = held if held[1] - held[0] <= side else (sum(held) / 2,) * 2
        low, high = max(low, int(np.ceil(last)) + 1 - side), min(high, int(first) - 1)  # one pixel of rounding
    return int(rng.integers(low, max(low, high) + 1))


def tiled(images: Sequence[Tensor], boxes: Sequence[Tensor], rng: np.random.Generator) -> tuple[Tensor, list[Tensor]]:
    """Four images in the quarters of a square that meet near its middle, each whole and at three quarters of its size.

    Returns:
        The square, half as long again as the longest side of the images, and the boxes of each image on it.

    Source: mosaic, Bochkovskiy et al., YOLOv4, 2020, section 3.3; here each image stays whole.
    """
    side = round(1.5 * max(max(image_CHW.shape[1:]) for image_CHW in images))
    middle_x, middle_y = (round(side * float(rng.uniform(0.42, 0.58))) for _ in range(2))
    square = torch.full((max(image_CHW.shape[0] for image_CHW in images), side, side), LOW + 1.0)
    placed = []
    for tile, (image_CHW, boxes_G4) in enumerate(zip(images, boxes, strict=True)):
        right, below = tile % 2, tile // 2
        room_x, room_y = (side - middle_x if right else middle_x), (side - middle_y if below else middle_y)
        rows, columns = image_CHW.shape[1:]
        scale = min(room_x / columns, room_y / rows)
        height, width = max(1, int(rows * scale)), max(1, int(columns * scale))
        small = F.interpolate(standardised(image_CHW[None]), (height, width), mode="bilinear", antialias=True)[0]
        left, top = (middle_x if right else middle_x - width), (middle_y if below else middle_y - height)
        square[:, top : top + height, left : left + width] = small
        factor = torch.tensor([width / columns, height / rows] * 2)
        placed.append(boxes_G4 * factor + torch.tensor([left, top, left, top], dtype=boxes_G4.dtype))
    return square, placed


def _area(boxes_G4: Tensor) -> Tensor:
    return (boxes_G4[:, 2] - boxes_G4[:, 0]).clamp(0) * (boxes_G4[:, 3] - boxes_G4[:, 1]).clamp(0)


def change_intensity(image_CHW: Tensor, rng: np.random.Generator) -> Tensor:
    """Gamma, contrast, brightness, noise and blur within what films differ by; the same for slices beside."""
    unit = (image_CHW - LOW) / (HIGH - LOW)
    unit = unit.clamp(0, 1) ** float(np.exp(rng.normal(0, 0.2)))
    image_CHW = (unit * (HIGH - LOW) + LOW) * float(np.exp(rng.normal(0, 0.1))) + float(rng.normal(0, 0.15))
    if rng.random() < 0.3:
        image_CHW = F.avg_pool2d(image_CHW[None], 3, 1, 1, count_include_pad=False)[0]
    if rng.random() < 0.5:
        image_CHW = image_CHW + torch.from_numpy(_noise(image_CHW.shape, rng)) * float(rng.uniform(0.02, 0.12))
    return image_CHW.clamp(LOW, HIGH)


def _noise(shape: torch.Size, rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.standard_normal(tuple(shape), dtype=np.float32)

"""Lesion: a region cut out of its image as what it adds to its surroundings.

Its pixels less a smooth surface through the rim of its box are what remains; added to another image they leave that
image's ribs and vessels in place, as an overlay of absorbing tissue does. Source of the surface: Coons, 1967.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F

from medground.data.transforms.view import View
from medground.schema.box import Box
from medground.schema.config import StrictConfig
from medground.schema.record import ImageRecord, Region

Pixels = NDArray[np.float32]
_LEAST_SIDE_PX = 6
_FEATHER = 0.15  # share of the way from the edge to the middle over which a lesion fades out
_SHAPED_BY_ANATOMY = frozenset(
    {
        "atelectasis",
        "hydropneumothorax",
        "pleural_effusion",
        "pleural_thickening",
        "pneumomediastinum",
        "pneumopericardium",
        "pneumoperitoneum",
        "pneumothorax",
    }
)
"""Findings shaped by the lobe that collapses, or the cavity that they fill or line: none fitted another patient."""


class CutConfig(StrictConfig):
    """Which lesions are cut out.

    Attributes:
        largest: longest side, as a share of the image's longer side; a larger lesion is part of its patient.
        relief: largest difference within the surroundings, grey levels of 256; where there is more, a boundary of the
            body runs through the box and would come along.
        never: concepts that are not.
    """

    largest: float = 0.35
    relief: float = 75
    never: frozenset[str] = _SHAPED_BY_ANATOMY


@dataclass(frozen=True, slots=True)
class Lesion:
    """A lesion cut out of its image.

    Attributes:
        added_HW: what it adds to its surroundings, fading out toward the edge of its box; units of its view.
        ground_HW: its surroundings, drawn smoothly through the box.
        regions: the lesion first, then what lies within it; boxes in pixels of the patch.
        centre: of the box, as shares of the image's columns and rows.
        record: the image that it was cut from.
        in_hounsfield: whether the units are Hounsfield's.
    """

    added_HW: Pixels
    ground_HW: Pixels
    regions: tuple[Region, ...]
    centre: tuple[float, float]
    record: ImageRecord
    in_hounsfield: bool


def cut(view: View, index: int, config: CutConfig) -> Lesion | None:
    """Cut a region out.

    Args:
        view: the image.
        index: of the region.
        config: see there.

    Returns:
        The lesion; None where it is doubtful, too large or too small, touches the edge of the image, is grown together
        with another region, lies across a boundary of the body, or is of a concept that is never pasted.
    """
    region, record = view.record.regions[index], view.record
    x1, y1, x2, y2 = _outer(region.box)
    width, height = x2 - x1, y2 - y1
    margin = rim_px(height, width)
    within = _within(view.record.regions, index)
    if (
        region.uncertain
        or region.concept in config.never
        or within is None
        or min(width, height) < _LEAST_SIDE_PX
        or max(width, height) > config.largest * max(record.columns, record.rows)
        or min(x1, y1, record.columns - x2, record.rows - y2) < margin
    ):
        return None
    ground = surface(view.pixels_HW.numpy(), (x1, y1, x2, y2), margin)
    if float(np.ptp(ground)) > config.relief * view.level:
        return None
    patch: Pixels = view.pixels_HW[y1:y2, x1:x2].numpy()
    return Lesion(
        (patch - ground) * _mask(height, width),
        ground,
        tuple(shifted(record.regions[i], -x1, -y1, width, height) for i in (index, *within)),
        ((x1 + x2) / 2 / record.columns, (y1 + y2) / 2 / record.rows),
        record,
        not view.is_shown,
    )


def resized(lesion: Lesion, target: ImageRecord, scale: float, mirrored: bool) -> Lesion:
    """The lesion as large in its new image as it was in its own, times a scale, and mirrored if asked."""
    height, width = lesion.added_HW.shape
    y = scale * target.rows / lesion.record.rows
    x = scale * target.columns / lesion.record.columns
    if target.spacing_mm is not None and lesion.record.spacing_mm is not None:
        y, x = (scale * own / here for own, here in zip(lesion.record.spacing_mm, target.spacing_mm, strict=True))
    size = (max(_LEAST_SIDE_PX, round(height * y)), max(_LEAST_SIDE_PX, round(width * x)))
    stack = torch.from_numpy(np.stack([lesion.added_HW, lesion.ground_HW]))[None]
    smaller = size[0] < height or size[1] < width
    added, ground = F.interpolate(stack, size, mode="bilinear", antialias=smaller, align_corners=False)[0].numpy()
    regions = tuple(_scaled(region, size[1] / width, size[0] / height) for region in lesion.regions)
    if mirrored:
        added, ground = np.ascontiguousarray(added[:, ::-1]), np.ascontiguousarray(ground[:, ::-1])
        regions = tuple(_mirrored(region, size[1]) for region in regions)
    return Lesion(added, ground, regions, lesion.centre, lesion.record, lesion.in_hounsfield)


def _within(regions: Sequence[Region], index: int) -> tuple[int, ...] | None:
    """Regions that lie in a region's box and go along with it; None where one lies partly in it, or around it."""
    own = regions[index].box
    found = []
    for other, region in enumerate(regions):
        box = region.box
        width = min(own.x2, box.x2) - max(own.x1, box.x1)
        height = min(own.y2, box.y2) - max(own.y1, box.y1)
        shared = max(0.0, width) * max(0.0, height)
        if other == index or shared <= 0.1 * min(own.area_px2, box.area_px2):
            continue
        if shared < 0.9 * box.area_px2 or region.uncertain:
            return None
        found.append(other)
    return tuple(found)


def surface(pixels: Pixels, box: tuple[int, int, int, int], margin: int) -> Pixels:
    """A smooth surface over a box through the means of the rim around it: the Coons patch of its four edges."""
    x1, y1, x2, y2 = box
    height, width = y2 - y1, x2 - x1

    def smooth(edge: Pixels) -> Pixels:
        return np.asarray(ndimage.gaussian_filter1d(edge, len(edge) / 8, mode="nearest"), np.float32)

    top, bottom = (smooth(pixels[y : y + margin, x1:x2].mean(0)) for y in (y1 - margin, y2))
    left, right = (smooth(pixels[y1:y2, x : x + margin].mean(1)) for x in (x1 - margin, x2))
    u = ((np.arange(width) + 0.5) / width)[None, :]
    v = ((np.arange(height) + 0.5) / height)[:, None]
    across = (1 - v) * top[None, :] + v * bottom[None, :]
    down = (1 - u) * left[:, None] + u * right[:, None]
    corners = [
        (top[0] + left[0]) / 2,
        (top[-1] + right[0]) / 2,
        (bottom[0] + left[-1]) / 2,
        (bottom[-1] + right[-1]) / 2,
    ]
    twice = (1 - v) * ((1 - u) * corners[0] + u * corners[1]) + v * ((1 - u) * corners[2] + u * corners[3])
    return np.asarray(across + down - twice, np.float32)


def _mask(height: int, width: int) -> Pixels:
    """1 inside, falling to 0 at the edge of the box along a superellipse."""
    u = np.abs((np.arange(width) + 0.5) / width * 2 - 1)[None, :]
    v = np.abs((np.arange(height) + 0.5) / height * 2 - 1)[:, None]
    depth = np.clip((1 - (u**4 + v**4) ** 0.25) / _FEATHER, 0, 1)
    return np.asarray(depth**2 * (3 - 2 * depth), np.float32)


def rim_px(height: int, width: int) -> int:
    """Pixels around a box that its surroundings are taken from."""
    return max(2, round(0.1 * max(width, height)))


def _outer(box: Box) -> tuple[int, int, int, int]:
    """The whole pixels that a box touches."""
    return int(np.floor(box.x1)), int(np.floor(box.y1)), int(np.ceil(box.x2)), int(np.ceil(box.y2))


def bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """The rectangle x1, y1, x2, y2 around what is set, pixel edges; None where nothing is."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if rows.size else None


def boxed(region: Region, x1: float, y1: float, x2: float, y2: float) -> Region:
    """A region with another box."""
    return region.model_copy(update={"box": Box(x1=x1, y1=y1, x2=x2, y2=y2)})


def shifted(region: Region, x: float, y: float, columns: float, rows: float) -> Region:
    """Moved, and kept within a picture of that size."""
    box = region.box
    return boxed(region, max(0, box.x1 + x), max(0, box.y1 + y), min(columns, box.x2 + x), min(rows, box.y2 + y))


def _scaled(region: Region, x: float, y: float) -> Region:
    return boxed(region, region.box.x1 * x, region.box.y1 * y, region.box.x2 * x, region.box.y2 * y)


def _mirrored(region: Region, width: float) -> Region:
    return boxed(region, max(0, width - region.box.x2), region.box.y1, width - region.box.x1, region.box.y2)

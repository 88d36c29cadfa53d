"""Mirror, quarter turn, zoom and crop: boxes go with the pixels, and words with the patient.

MONAI's box formulas number the axes of a box as x, y; its images are (1, rows, columns), so axis 0 of a box is the
last of the image. Legend: G boxes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import numpy as np
import torch
from monai.apps.detection.transforms.box_ops import flip_boxes, rot90_boxes, zoom_boxes
from torch import Tensor
from torch.nn import functional as F

from medground.data.transforms.view import Items, RandomView, Toward, broader_than, sides_of, view_of, with_sides
from medground.imaging.boxes import clip
from medground.imaging.preprocess import BLACK
from medground.schema.anatomy import Domain
from medground.schema.config import StrictConfig
from medground.schema.vocabulary import Vocabulary

LEAST_AREA_PX2 = 9


class ZoomConfig(StrictConfig):
    """How far views stray.

    Attributes:
        size_px: side of the square view.
        scale: smallest and largest magnification.
        aspect: largest relative change of the aspect.
        min_visible: a box with less of its area in view is dropped. Where 0.85 of each of two boxes is in view, one
            that seems larger by the factor 1.2 that "larger" asks for is indeed larger.
    """

    size_px: int = 416
    scale: tuple[float, float] = (0.65, 1.4)
    aspect: float = 0.1
    min_visible: float = 0.85


class RandFlipd(RandomView):
    """Mirrors left and right with a probability."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def change(self, items: Items, rng: np.random.Generator) -> Items:
        """Flip with the probability."""
        return flipped(items) if rng.random() < self.probability else items


class RandQuarterTurnd(RandomView):
    """Turns by a random number of quarter turns, images of some domains only: nobody hangs a chest on its side."""

    def __init__(self, domains: Collection[Domain]) -> None:
        super().__init__()
        self.domains = frozenset(domains)

    def change(self, items: Items, rng: np.random.Generator) -> Items:
        """Turn where the domain allows it."""
        return turned(items, int(rng.integers(4))) if items["record"].domain in self.domains else items


class RandZoomCropd(RandomView):
    """A square view at a random scale and place."""

    def __init__(self, config: ZoomConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary

    def change(self, items: Items, rng: np.random.Generator) -> Items:
        """Scale, then cut or pad to the square."""
        low, high = np.log(self.config.scale)
        scale = float(np.exp(rng.uniform(low, high)))
        stretch = float(np.exp(rng.uniform(-self.config.aspect, self.config.aspect)))
        rows, columns = items["image"].shape[1:]
        items = resized(items, max(8, round(rows * scale * stretch)), max(8, round(columns * scale / stretch)))
        side = self.config.size_px
        top, left = (
            int(rng.integers(min(0, length - side), max(0, length - side) + 1)) for length in items["image"].shape[1:]
        )
        return cropped(items, top, left, side, self.config.min_visible, self.vocabulary)


def flipped(items: Items) -> Items:
    """The mirror image. What is on the patient's left stays there; only the way to it in the picture turns round."""
    columns = items["image"].shape[2]
    toward = items["columns_toward_left"]
    return Items(
        **{
            **items,
            "image": items["image"].flip(2),
            "boxes_xyxy_px": flip_boxes(items["boxes_xyxy_px"], (columns, items["image"].shape[1]), flip_axes=0),
            "columns_toward_left": None if toward is None else cast(Toward, -toward),
        }
    )


def turned(items: Items, quarter_turns: int) -> Items:
    """Turned anticlockwise; after an odd number, columns and rows run along other axes, and nothing is said of them."""
    turns = quarter_turns % 4
    rows, columns = items["image"].shape[1:]
    left, feet, spacing = items["columns_toward_left"], items["rows_toward_feet"], items["spacing_mm"]
    if turns == 2:
        left, feet = (None if toward is None else cast(Toward, -toward) for toward in (left, feet))
    elif turns:
        left = feet = None
        spacing = None if spacing is None else (spacing[1], spacing[0])
    # Rows run down: what turns anticlockwise in the picture turns from axis 1 (y) toward axis 0 (x).
    boxes = rot90_boxes(items["boxes_xyxy_px"], (columns, rows), k=turns, axes=(1, 0))
    return Items(
        **{
            **items,
            "image": torch.rot90(items["image"], turns, (1, 2)),
            "boxes_xyxy_px": boxes,
            "columns_toward_left": left,
            "rows_toward_feet": feet,
            "spacing_mm": spacing,
        }
    )


def resized(items: Items, rows: int, columns: int) -> Items:
    """Resampled to another size; shrinking is antialiased."""
    image = items["image"]
    factor_y, factor_x = rows / image.shape[1], columns / image.shape[2]
    smaller = factor_x < 1 or factor_y < 1
    spacing = items["spacing_mm"]
    return Items(
        **{
            **items,
            "image": F.interpolate(
                image[None], (rows, columns), mode="bilinear", antialias=smaller, align_corners=False
            )[0],
            "boxes_xyxy_px": zoom_boxes(items["boxes_xyxy_px"], (factor_x, factor_y)),
            "spacing_mm": None if spacing is None else (spacing[0] / factor_y, spacing[1] / factor_x),
        }
    )


def cropped(items: Items, top: int, left: int, side: int, min_visible: float, vocabulary: Vocabulary) -> Items:
    """A square cut out, padded with black where it reaches beyond the image.

    Regions keep the side they had. A box of which too little is in view is dropped, and with it every claim that all of
    its kind are labelled; a box cut short has no size in millimetres any more.

    Args:
        items: to cut.
        top: first row, negative to pad.
        left: first column, negative to pad.
        side: of the square, pixels.
        min_visible: share of its area that a box needs in view.
        vocabulary: has every concept of the items.
    """
    image = items["image"]
    view = torch.full((1, side, side), BLACK)
    source = image[:, max(0, top) : top + side, max(0, left) : left + side]
    row, column = max(0, -top), max(0, -left)
    view[:, row : row + source.shape[1], column : column + source.shape[2]] = source
    boxes_G4 = items["boxes_xyxy_px"] - torch.tensor([left, top, left, top], dtype=torch.float64)
    clipped_G4 = clip(boxes_G4, side, side)
    area_G, seen_G = _area(boxes_G4), _area(clipped_G4)
    kept_G = (seen_G >= min_visible * area_G) & (seen_G >= LEAST_AREA_PX2)
    lost_G = (seen_G > 0) & ~kept_G
    lost = {region.concept for region, gone in zip(items["regions"], lost_G.tolist(), strict=True) if gone}
    settled = with_sides(items["regions"], sides_of(view_of(items).record, vocabulary))
    is_cut = bool((seen_G[kept_G] < area_G[kept_G] * (1 - 1e-9)).any())
    found = Items(
        **{
            **items,
            "image": view,
            "boxes_xyxy_px": clipped_G4[kept_G],
            "regions": tuple(region for region, kept in zip(settled, kept_G.tolist(), strict=True) if kept),
            "exhaustive_for": items["exhaustive_for"] - broader_than(lost, vocabulary),
            "spacing_mm": None if is_cut else items["spacing_mm"],
        }
    )
    return without_false_sides(found, vocabulary)


def without_false_sides(items: Items, vocabulary: Vocabulary) -> Items:
    """Forget where left is if a region without a side would now be given one by a middle that is not the patient's."""
    derived = sides_of(view_of(items).record, vocabulary)
    if all(region.side is side for region, side in zip(items["regions"], derived, strict=True)):
        return items
    return Items(**{**items, "columns_toward_left": None})


def _area(boxes_G4: Tensor) -> Tensor:
    return (boxes_G4[:, 2] - boxes_G4[:, 0]).clamp(0) * (boxes_G4[:, 3] - boxes_G4[:, 1]).clamp(0)

"""Mosaic: four pictures in one, so that a view holds more findings at more sizes.

Source: Bochkovskiy et al., YOLOv4, 2020, section 3.3; here each picture stays whole, since half a lesion is no lesion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from medground.data.transforms.geometry import LEAST_AREA_PX2, resized
from medground.data.transforms.view import View, broader_than, items_of, sides_of, view_of, with_sides
from medground.imaging.preprocess import BLACK
from medground.schema.box import Box
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord, Region
from medground.schema.vocabulary import Vocabulary

TILES = "tiles"
"""Attribute of a mosaic's record: how many pictures it is made of."""
NEAREST_TO_EDGE = 0.4


def mosaic(views: Sequence[View], size_px: int, rng: np.random.Generator, vocabulary: Vocabulary) -> View:
    """Four views in the quarters of a square that meet at a random point near its middle.

    Regions keep the sides and zones of their patients. The picture has no left, no head and no millimetres, and claims
    to be fully labelled only for what each of the four is.

    Args:
        views: four shown views of one domain.
        size_px: side of the square.
        rng: draws where they meet.
        vocabulary: has every concept of the views.

    Raises:
        UsageError: there are not four, they are of different domains, or one is still in Hounsfield units.
    """
    if len(views) != 4 or len({view.record.domain for view in views}) > 1 or not all(view.is_shown for view in views):
        kinds = ", ".join(sorted({view.record.domain.value for view in views}))
        raise UsageError(f"a mosaic takes four shown views of one domain, got {len(views)} of {kinds or 'none'}")
    low, high = round(NEAREST_TO_EDGE * size_px), round((1 - NEAREST_TO_EDGE) * size_px)
    x, y = (int(rng.integers(low, high + 1)) for _ in range(2))
    tiles = [(0, 0, x, y), (x, 0, size_px, y), (0, y, x, size_px), (x, y, size_px, size_px)]
    pixels_HW = torch.full((size_px, size_px), BLACK)
    regions: list[Region] = []
    known = frozenset.intersection(*(view.record.exhaustive_for for view in views))
    for view, (x1, y1, x2, y2) in zip(views, tiles, strict=True):
        rows, columns = view.pixels_HW.shape
        scale = min((x2 - x1) / columns, (y2 - y1) / rows)
        items = items_of(view)
        items["regions"] = with_sides(items["regions"], sides_of(view.record, vocabulary))
        tile = view_of(resized(items, max(1, round(rows * scale)), max(1, round(columns * scale))))
        height, width = tile.pixels_HW.shape
        # Against the meeting point, so that what is left over lies at the outside.
        left, top = (x2 - width if x1 == 0 else x1), (y2 - height if y1 == 0 else y1)
        pixels_HW[top : top + height, left : left + width] = tile.pixels_HW
        kept = [region for region in tile.record.regions if region.box.area_px2 >= LEAST_AREA_PX2]
        lost = {region.concept for region in tile.record.regions if region.box.area_px2 < LEAST_AREA_PX2}
        known -= broader_than(lost, vocabulary)
        regions += [_moved(region, left, top) for region in kept]
    record = _record([view.record for view in views], regions, known, size_px)
    return View(pixels_HW, record, views[0].window)


def _record(
    sources: Sequence[ImageRecord], regions: Sequence[Region], exhaustive_for: frozenset[str], size_px: int
) -> ImageRecord:
    return sources[0].model_copy(
        update={
            "record_id": "+".join(source.record_id for source in sources),
            "patient_id": "+".join(source.patient_id for source in sources),
            "dataset": "+".join(sorted({source.dataset for source in sources})),
            "columns": size_px,
            "rows": size_px,
            "regions": tuple(regions),
            "exhaustive_for": exhaustive_for,
            "synthetic": all(source.synthetic for source in sources),
            "columns_toward_left": None,
            "rows_toward_feet": None,
            "spacing_mm": None,
            "readers": None,
            "attributes": {TILES: str(len(sources))},
        }
    )


def _moved(region: Region, x: int, y: int) -> Region:
    box = region.box
    return region.model_copy(update={"box": Box(x1=box.x1 + x, y1=box.y1 + y, x2=box.x2 + x, y2=box.y2 + y)})

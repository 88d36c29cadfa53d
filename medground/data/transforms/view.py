"""View: a picture with what is true of it; and the dictionary that it is inside MONAI's transforms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import numpy as np
import torch
from monai.transforms import Compose, MapTransform, Randomizable
from torch import Tensor

from medground.data.pairs.facts import Facts
from medground.dicom.lut import Window
from medground.imaging.boxes import clip
from medground.schema.anatomy import Side
from medground.schema.box import Box
from medground.schema.errors import MedgroundError
from medground.schema.record import ImageRecord, Region
from medground.schema.vocabulary import Vocabulary

Toward = Literal[1, -1] | None


@dataclass(frozen=True, slots=True)
class View:
    """A picture and its record, which speaks of this picture: size, boxes, axes and spacing are those of the pixels.

    Attributes:
        pixels_HW: float32; standardised as a model takes it, or Hounsfield units where `is_shown` is False.
        record: what is true of the picture; it names no file.
        window: that Hounsfield units are shown in; None where the source is not in them.
        is_shown: whether the pixels went through the window.
    """

    pixels_HW: Tensor
    record: ImageRecord = field(repr=False)
    window: Window | None = None
    is_shown: bool = True

    @property
    def level(self) -> float:
        """What one of 256 grey levels comes to in units of the pixels."""
        return 6 / 255 if self.is_shown or self.window is None else self.window.width / 255


class Items(TypedDict):
    """A view inside MONAI's transforms.

    Attributes:
        image: (1, rows, columns), see `View.pixels_HW`.
        boxes_xyxy_px: (G, 4) float64, pixels of the image.
        regions: what is known of each box; their own boxes are those of the image as it was.
        columns_toward_left, rows_toward_feet, spacing_mm, exhaustive_for: as in `ImageRecord`.
        window, is_shown: as in `View`.
        record: the record that the rest is taken from.
    """

    image: Tensor
    boxes_xyxy_px: Tensor
    regions: tuple[Region, ...]
    columns_toward_left: Toward
    rows_toward_feet: Toward
    spacing_mm: tuple[float, float] | None
    exhaustive_for: frozenset[str]
    window: Window | None
    is_shown: bool
    record: ImageRecord


def items_of(view: View) -> Items:
    """A view as MONAI's transforms take it."""
    record = view.record
    boxes = [region.box.xyxy_px for region in record.regions]
    return Items(
        image=view.pixels_HW[None],
        boxes_xyxy_px=torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4),
        regions=record.regions,
        columns_toward_left=record.columns_toward_left,
        rows_toward_feet=record.rows_toward_feet,
        spacing_mm=record.spacing_mm,
        exhaustive_for=record.exhaustive_for,
        window=view.window,
        is_shown=view.is_shown,
        record=record,
    )


def view_of(items: Items) -> View:
    """The view that transforms made."""
    rows, columns = items["image"].shape[1:]
    boxes = clip(items["boxes_xyxy_px"], columns, rows)  # against rounding: MONAI scales boxes in float32
    record = items["record"].model_copy(
        update={
            "path": None,
            "sha256": None,
            "rows": rows,
            "columns": columns,
            "regions": tuple(
                region.model_copy(update={"box": Box(x1=x1, y1=y1, x2=x2, y2=y2)})
                for region, (x1, y1, x2, y2) in zip(items["regions"], boxes.tolist(), strict=True)
            ),
            "columns_toward_left": items["columns_toward_left"],
            "rows_toward_feet": items["rows_toward_feet"],
            "spacing_mm": items["spacing_mm"],
            "exhaustive_for": items["exhaustive_for"],
        }
    )
    return View(items["image"][0], record, items["window"], items["is_shown"])


class RandomView(Randomizable, MapTransform):
    """A random change of a view; given a seed by `set_random_state`, it draws the same every time."""

    def __init__(self) -> None:
        MapTransform.__init__(self, ("image", "boxes_xyxy_px"))

    def __call__(self, data: Items) -> Items:
        """The changed items."""
        return self.change(Items(**data), np.random.default_rng(self.R.randint(2**31)))

    def change(self, items: Items, rng: np.random.Generator) -> Items:
        """Change a copy of the items, drawing from `rng` alone."""
        raise NotImplementedError


def transformed(view: View, chain: Compose, rng: np.random.Generator) -> View:
    """Send a view through a chain of transforms, which `rng` seeds.

    Raises:
        MedgroundError: as a transform raised it.
    """
    chain.set_random_state(seed=int(rng.integers(2**32)))
    return view_of(unwrapped(chain, items_of(view)))


def unwrapped(chain: Compose, data: Any) -> Any:
    """The result of a chain, or the error of the transform that failed instead of MONAI's around it."""
    try:
        return chain(data)
    except RuntimeError as error:
        if isinstance(error.__cause__, MedgroundError):
            raise error.__cause__ from None
        raise


def sides_of(record: ImageRecord, vocabulary: Vocabulary) -> tuple[Side | None, ...]:
    """The patient's side of each region, where it has one: as its record says, or as it lies to the central column."""
    facts = Facts(record, vocabulary)
    return tuple(facts.side(index) for index in range(len(record.regions)))


def with_sides(regions: Iterable[Region], sides: Iterable[Side | None]) -> tuple[Region, ...]:
    """Regions that carry their sides, so that they keep them where the picture's middle is no more the patient's."""
    return tuple(
        region if region.side is side else region.model_copy(update={"side": side})
        for region, side in zip(regions, sides, strict=True)
    )


def broader_than(concepts: Iterable[str], vocabulary: Vocabulary) -> frozenset[str]:
    """The concepts and every broader one."""
    found: set[str] = set()
    for concept in concepts:
        key: str | None = concept
        while key is not None and key not in found:
            found.add(key)
            key = vocabulary[key].parent
    return frozenset(found)

"""Copy-paste: rare lesions put into images that are known to be free of them.

Source of the idea: Ghiasi et al., Simple Copy-Paste, CVPR 2021; the blending is that of `lesion_patch`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from medground.data.lesion_patch import CutConfig, Lesion, Pixels, bounds, boxed, resized, rim_px, shifted, surface
from medground.data.transforms.view import View, broader_than, sides_of
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.config import StrictConfig
from medground.schema.record import ImageRecord, Region
from medground.schema.vocabulary import Vocabulary

SOURCE = "copy-paste"
_PLACED_BY_ANATOMY = frozenset({Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT})
_NOT_ADDITIVE = frozenset({Domain.LIMB_RADIOGRAPH})
"""A broken bone adds nothing to the picture of a whole one: it takes its place, and none fits another's limb."""


class PasteConfig(StrictConfig):
    """How lesions are pasted.

    Attributes:
        scale: largest relative change of size.
        jitter: standard deviation of the shift in a chest, as a share of the image's size.
        tries: places that are compared.
        overlap: largest IoU with a box that is there already.
        cut: which lesions are cut out.
        mismatch: largest mean difference along one edge between the surroundings there and here, grey levels of 256.
        visible: grey levels of 256 that a change must exceed to be seen.
    """

    scale: float = 0.2
    jitter: float = 0.05
    tries: int = 48
    overlap: float = 0.1
    cut: CutConfig = CutConfig()
    mismatch: float = 12
    visible: float = 3


def may_receive(record: ImageRecord, lesion: Lesion, vocabulary: Vocabulary) -> bool:
    """Whether an image is known to be free of a lesion's kinds, the broader and the narrower ones too, and is alike.

    Args:
        record: the image.
        lesion: to be pasted.
        vocabulary: has every concept of both.
    """
    kinds = {region.concept for region in lesion.regions}
    related = broader_than(kinds, vocabulary).union(*(vocabulary.descendants(kind) for kind in kinds))
    return (
        record.domain is lesion.record.domain
        and record.domain not in _NOT_ADDITIVE
        and record.patient_id != lesion.record.patient_id
        and kinds <= record.exhaustive_for
        and not any(region.concept in related for region in record.regions)
    )


def paste(
    view: View, lesion: Lesion, config: PasteConfig, rng: np.random.Generator, vocabulary: Vocabulary
) -> View | None:
    """Put a lesion into an image where its surroundings are most like those it had.

    In a chest that is near where it lay in the picture, or near there in the mirror image; elsewhere anywhere. The new
    regions have the source's words of appearance. Their side is that of the image at that place, where it is known; a
    zone is a matter of the image's own lungs, which nobody measured, so they have none.

    Args:
        view: an image that `may_receive` the lesion.
        lesion: to paste.
        config: see there.
        rng: source of chance.
        vocabulary: has every concept of both.

    Returns:
        The image with the lesion; None where no place is like enough, or where it would not be seen.
    """
    if lesion.in_hounsfield == view.is_shown:
        return None
    mirrored = bool(rng.random() < 0.5)
    patch = resized(lesion, view.record, 1 + float(rng.uniform(-config.scale, config.scale)), mirrored)
    place = _place(view, patch, mirrored, config, rng)
    if place is None:
        return None
    x, y = place
    height, width = patch.added_HW.shape
    pixels = view.pixels_HW.clone()
    pixels[y : y + height, x : x + width] += torch.from_numpy(patch.added_HW)
    if view.is_shown:
        pixels.clamp_(-3, 3)  # standardised pixels end there
    change = np.abs((pixels - view.pixels_HW)[y : y + height, x : x + width].numpy())
    seen = bounds(change > config.visible * view.level)
    if seen is None or min((seen[2] - seen[0]) / width, (seen[3] - seen[1]) / height) < 0.6:
        return None
    tight = (boxed(patch.regions[0], *seen), *patch.regions[1:])
    pasted = [shifted(region, x, y, view.record.columns, view.record.rows) for region in tight]
    return View(pixels, _with_regions(view.record, pasted, lesion, vocabulary), view.window, view.is_shown)


def _with_regions(record: ImageRecord, pasted: Sequence[Region], lesion: Lesion, vocabulary: Vocabulary) -> ImageRecord:
    """The record with new regions; what the source was not labelled for may have come along unseen."""
    bare = [
        Region(concept=region.concept, box=region.box, source=SOURCE, appearance=region.appearance) for region in pasted
    ]
    kinds = {region.concept for region in pasted}
    found = record.model_copy(
        update={
            "regions": (*record.regions, *bare),
            "exhaustive_for": record.exhaustive_for & (lesion.record.exhaustive_for | kinds),
        }
    )
    sides = sides_of(found, vocabulary)
    regions = tuple(
        region if index < len(record.regions) else region.model_copy(update={"side": sides[index]})
        for index, region in enumerate(found.regions)
    )
    return found.model_copy(update={"regions": regions})


def _place(
    view: View, lesion: Lesion, mirrored: bool, config: PasteConfig, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Column and row of the patch where the ground fits best, of some that overlap nothing."""
    height, width = lesion.ground_HW.shape
    rows, columns = view.pixels_HW.shape
    margin = rim_px(height, width)
    pixels = view.pixels_HW.numpy()
    best: tuple[float, int, int] | None = None
    for _ in range(config.tries):
        if view.record.domain in _PLACED_BY_ANATOMY:
            across = 1 - lesion.centre[0] if mirrored else lesion.centre[0]
            across += float(rng.normal(0, config.jitter))
            down = lesion.centre[1] + float(rng.normal(0, config.jitter))
        else:
            across, down = float(rng.random()), float(rng.random())
        x, y = round(across * columns - width / 2), round(down * rows - height / 2)
        if not (margin <= x <= columns - width - margin and margin <= y <= rows - height - margin):
            continue
        box = Box(x1=x, y1=y, x2=x + width, y2=y + height)
        if any(box.iou(region.box) > config.overlap for region in view.record.regions):
            continue
        ground = surface(pixels, (x, y, x + width, y + height), margin)
        mismatch = max(_edge_differences(ground, lesion.ground_HW)) / view.level
        if mismatch <= config.mismatch and (best is None or mismatch < best[0]):
            best = (mismatch, x, y)
    return None if best is None else best[1:]


def _edge_differences(one: Pixels, other: Pixels) -> list[float]:
    """Mean difference along each edge: a boundary of the body that crosses a box shows in its edges."""
    edges = ((0, slice(None)), (-1, slice(None)), (slice(None), 0), (slice(None), -1))
    return [float(np.abs(one[edge] - other[edge]).mean()) for edge in edges]

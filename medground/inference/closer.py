"""Looks closer: parts of a large image are read again at full resolution, where the first look saw something small.

A radiograph of 3000 x 3000 pixels is read in a frame of some hundred, where a nodule of 20 pixels is three. The first
look costs little and says where it might be; only there are the stored pixels looked at. What the first look saw of
something small is then replaced by what the closer look sees; what is large stays, since more pixels add nothing to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from medground.imaging.boxes import nms
from medground.imaging.preprocess import ModelImage
from medground.imaging.windows import Window, covered_share, covering, tiles
from medground.inference.reader import Reader
from medground.inference.request import Looking
from medground.inference.verdict import presence_where_asked
from medground.model.reading import Candidate, ImageReading, Phrase, PhraseReading
from medground.schema.errors import UsageError

CROP_PX, MARGIN_PX = 512, 32  # side of a closer look in the model frame, and what of it surrounds a box
ZOOMS = (1.0, 0.5, 0.25)
LARGEST_PX = 72.0  # long side in a closer look up to which a finding is looked at there
LEAST_GAIN = 1.5  # a closer look has to show it so many times larger than the first one
LEFT_OUT = 0.05  # findings, counted by their probability, that may stay without a closer look
MOST_EFFORT = 0.5  # of that of looking at all of an image; where the windows would take more, all of it is looked at
TILE_PX, OVERLAP_PX = 1024, 320  # more than the longest finding that is looked at closely
BORDER_PX = 2.0  # of a closer look: what reaches so near its edge may be cut by it
AT_ONCE = 16  # windows cut out and read together, so that memory is bounded
FIRST_LOOK_SCORE, FIRST_LOOK_BOXES = (
    0.005,
    100,
)  # what of the first look may be looked at again, however little is shown
SAME_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Closer:
    """A reading of an image, and what share of it was looked at closely, 0..1."""

    reading: ImageReading
    share: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to look closely; `everywhere` if that is the whole image."""

    windows: tuple[Window, ...]
    everywhere: bool = False


def plan(reading: ImageReading, image: ModelImage, looking: Looking) -> Plan:
    """Decides where to look closely.

    Candidates are taken in the order of their scores, which say what image and question make of them, until those left
    would be less than `LEFT_OUT` findings together. Where the windows for that hold more than `MOST_EFFORT` of the
    pixels that the whole image takes, the first look was unsure, and the whole image is looked at.

    Args:
        reading: of the first look.
        image: that was read.
        looking: how closely.

    Returns:
        The plan; without windows where the stored image has no more to show than the model frame.
    """
    columns, rows = image.letterbox.columns, image.letterbox.rows
    scale = max(image.letterbox.scale_xy)
    if looking == Looking.ONCE or LEAST_GAIN * scale > ZOOMS[0]:
        return Plan(())
    everywhere = Plan(tuple(tiles(columns, rows, TILE_PX, OVERLAP_PX)), everywhere=True)
    if looking == Looking.ALL:
        return everywhere
    small = [
        (c, zoom) for heard in reading.phrases for c in heard.candidates if (zoom := zoom_for(c, scale)) is not None
    ]
    small.sort(key=lambda one: (-one[0].score, one[0].box_xyxy_px))
    left = sum(candidate.score for candidate, _ in small)
    by_zoom: dict[float, list[tuple[float, float, float, float]]] = {}
    for candidate, zoom in small:
        if left <= LEFT_OUT:
            break
        by_zoom.setdefault(zoom, []).append(candidate.box_xyxy_px)
        left -= candidate.score
    windows = [
        window
        for zoom, boxes in by_zoom.items()
        for window in covering(boxes, round(CROP_PX / zoom), MARGIN_PX / zoom, columns, rows, zoom)
    ]
    return everywhere if _pixels(windows) > MOST_EFFORT * _pixels(everywhere.windows) else Plan(tuple(windows))


def _pixels(windows: Sequence[Window]) -> float:
    """How many pixels of the model frame windows take together: what looking at them costs."""
    return sum((w.x2 - w.x1) * (w.y2 - w.y1) * w.zoom**2 for w in windows)


def zoom_for(candidate: Candidate, scale: float) -> float | None:
    """The magnification that shows a candidate best, pixels of the frame per stored pixel.

    Args:
        candidate: of the first look.
        scale: magnification of the first look.

    Returns:
        The largest one of `ZOOMS` that shows it at most `LARGEST_PX` long; None where it would gain too little.
    """
    x1, y1, x2, y2 = candidate.box_xyxy_px
    long_px = max(x2 - x1, y2 - y1)
    zoom = next((zoom for zoom in ZOOMS if long_px * zoom <= LARGEST_PX), 0.0)
    return zoom if zoom >= LEAST_GAIN * scale else None


def look_closer(
    images: Sequence[ModelImage],
    readings: Sequence[ImageReading],
    phrases: Sequence[Phrase],
    reader: Reader,
    *,
    looking: Looking,
    max_boxes: int,
    floor: float,
) -> list[Closer]:
    """Looks closer at each image where that may show more; the windows of all images are read together.

    Args:
        images: that were read, with their stored size where there may be more to see.
        readings: of the first look, with boxes down to `FIRST_LOOK_SCORE`.
        phrases: what was read.
        reader: the model.
        looking: how closely.
        max_boxes: at most so many boxes per phrase and image.
        floor: boxes below this score are left out of what is returned.

    Raises:
        UsageError: if an image that has more to show came without its stored size.
    """
    able = reader.scope.reads_crops  # if it says of none, whoever asks for closer looks knows what he asks for
    plans = [
        plan(reading, image, looking) if phrases and (not able or reading.domain in able) else Plan(())
        for image, reading in zip(images, readings, strict=True)
    ]
    places = [
        (image, reading.domain, w)
        for image, reading, own in zip(images, readings, plans, strict=True)
        for w in own.windows
    ]
    read: list[ImageReading] = []
    for start in range(0, len(places), AT_ONCE):
        some = places[start : start + AT_ONCE]
        crops = [_crop(image, window) for image, _, window in some]
        seen = reader.read(
            crops,
            phrases,
            max_boxes=max(max_boxes, FIRST_LOOK_BOXES),
            min_score=min(floor, FIRST_LOOK_SCORE),
            known=[domain for _, domain, _ in some],
        )
        read += [_lean(one, floor) for one in seen]
    looks = iter(read)
    return [
        _merged(image, reading, own, [next(looks) for _ in own.windows], max_boxes, floor)
        for image, reading, own in zip(images, readings, plans, strict=True)
    ]


def _crop(image: ModelImage, window: Window) -> ModelImage:
    if image.full_HW is None:
        raise UsageError("an image is to be looked at closely and its stored pixels were not kept")
    return window.image(image.full_HW)


def _lean(reading: ImageReading, floor: float) -> ImageReading:
    """The reading without the features of what is not going to be told."""
    phrases = tuple(
        replace(heard, candidates=tuple(c if c.score >= floor else replace(c, region=None) for c in heard.candidates))
        for heard in reading.phrases
    )
    return replace(reading, phrases=phrases)


def _merged(
    image: ModelImage,
    reading: ImageReading,
    plan: Plan,
    close: Sequence[ImageReading],
    max_boxes: int,
    floor: float,
) -> Closer:
    """Small findings as the closer looks have them, the others as the first look has them."""
    columns, rows = image.letterbox.columns, image.letterbox.rows
    scale = max(image.letterbox.scale_xy)
    phrases = []
    for number, heard in enumerate(reading.phrases):
        doubted = [c for c in heard.candidates if _was_seen_closer(c, plan.windows, scale, columns, rows)]
        kept = [c for c in heard.candidates if c not in doubted]
        for window, look in zip(plan.windows, close, strict=True):
            for candidate in look.phrases[number].candidates:
                box = window.shifted(candidate.box_xyxy_px)
                if not window.cuts(box, columns, rows, BORDER_PX / window.zoom):
                    kept.append(replace(candidate, box_xyxy_px=box))
        best = _without_doubles(kept, max_boxes)
        scores = [candidate.score for candidate in best]
        presence = presence_where_asked(heard.presence, scores, [candidate.score for candidate in doubted], floor)
        shown = tuple(candidate for candidate in best if candidate.score >= floor)
        phrases.append(PhraseReading(heard.phrase, max([presence, *scores]) if plan.windows else presence, shown))
    share = 1.0 if plan.everywhere else covered_share(plan.windows, columns, rows)
    return Closer(replace(reading, phrases=tuple(phrases)), share)


def _was_seen_closer(candidate: Candidate, windows: Sequence[Window], scale: float, columns: int, rows: int) -> bool:
    """Whether a window shows it whole and at least as large as is best; then only what that window saw counts."""
    zoom, box = zoom_for(candidate, scale), candidate.box_xyxy_px
    return zoom is not None and any(
        w.zoom >= zoom and w.holds_middle(box) and not w.cuts(box, columns, rows, 2 * BORDER_PX / w.zoom)
        for w in windows
    )


def _without_doubles(candidates: Sequence[Candidate], limit: int) -> list[Candidate]:
    if not candidates:
        return []
    boxes_N4 = torch.tensor([candidate.box_xyxy_px for candidate in candidates], dtype=torch.float64)
    scores_N = torch.tensor([candidate.score for candidate in candidates], dtype=torch.float64)
    return [candidates[row] for row in nms(boxes_N4, scores_N, SAME_IOU, limit).tolist()]

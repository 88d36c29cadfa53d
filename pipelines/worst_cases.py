"""The worst answers of a system on one sheet: its surest false boxes and the largest lesions it missed.

With pixels of real patients the sheet is as confidential as they are; where it is written is the caller's to say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medground.evaluation.detection import Detection, ImageTruth
from medground.evaluation.overlap import BoxPx, assign, iou_matrix
from medground.imaging.overlay import COLOURS

# Pixels of an image by its id: values 0..1, (rows, columns) or (rows, columns, 3); None where there are none.
Pixels = Callable[[str], NDArray[np.float32] | None]

TILES, ACROSS = 24, 6
TILE_PX, WORDS_PX, HEAD_PX = 320, 40, 28
LEAST_IOU, BOXES = 0.5, 100  # as `medground.evaluation.detection.match`
PREDICTED, TRUTH = COLOURS[0], COLOURS[1]
_GROUND, _GREY, _INK = (24, 24, 27), (96, 96, 96), (238, 238, 238)


@dataclass(frozen=True, slots=True)
class WorstCase:
    """One answer to look at.

    Attributes:
        kind: `false`: a box that takes no truth, on an image labelled exhaustively. `missed`: a truth that no box
            takes. `late`: the truth whose box has the lowest score, where none was missed.
        image_id, concept: of the answer.
        truths: every labelled box of the concept on the image; the one meant comes first, unless the case is `false`.
        predicted: the false box, or the box nearest to the truth; None where none touches it.
        score: of `predicted`.
        iou: of `predicted` with the truth meant; of a false box, with the truth nearest to it.
    """

    kind: Literal["false", "missed", "late"]
    image_id: str
    concept: str
    truths: tuple[BoxPx, ...]
    predicted: BoxPx | None
    score: float | None
    iou: float


def worst_cases(
    images: Sequence[ImageTruth], detections: Mapping[str, Sequence[Detection]], *, tiles: int = TILES
) -> list[WorstCase]:
    """Chooses what to look at first.

    Each concept in its turn gives its worst false box and its worst miss, then each its second, until the sheet is
    full; so a concept with many faults doesn't crowd out the others. False boxes are ranked by score, missed truths
    by the share of the image that they cover, or by area where the size of an image is not known.

    Args:
        images: the labelled images.
        detections: a system's boxes by concept, rarest concept first.
        tiles: how many cases at most.

    Returns:
        The cases by concept in the given order, false boxes before misses, worst first.
    """
    by_concept = {concept: _of_concept(images, boxes, concept) for concept, boxes in detections.items()}
    rounds = itertools.zip_longest(*(row for pair in by_concept.values() for row in pair))
    chosen = list(itertools.islice((case for each in rounds for case in each if case is not None), tiles))
    # Ranks within a row are kept, for the sort is stable.
    order = list(by_concept)
    return sorted(chosen, key=lambda case: (order.index(case.concept), case.kind != "false"))


def _of_concept(
    images: Sequence[ImageTruth], detections: Sequence[Detection], concept: str
) -> tuple[list[WorstCase], list[WorstCase]]:
    """False boxes, and missed truths or else the latest hit, each worst first."""
    by_image: dict[str, list[Detection]] = {image.image_id: [] for image in images}
    for detection in detections:
        by_image[detection.image_id].append(detection)
    cases = [case for image in images for case in _faults(image, by_image[image.image_id], concept)]
    shared = all(image.columns_rows_px for image in images)
    whole_px2 = {i.image_id: float(np.prod(i.columns_rows_px)) if shared and i.columns_rows_px else 1.0 for i in images}

    def extent(case: WorstCase) -> float:
        x1, y1, x2, y2 = case.truths[0]
        return (x2 - x1) * (y2 - y1) / whole_px2[case.image_id]

    false = [case for case in cases if case.kind == "false"]
    missed = [case for case in cases if case.kind == "missed"]
    late = [case for case in cases if case.kind == "late"]
    false.sort(key=lambda case: (-_score(case), case.image_id, case.predicted))
    missed.sort(key=lambda case: (-extent(case), case.image_id, case.truths[0]))
    late.sort(key=lambda case: (_score(case), case.image_id, case.truths[0]))
    return false, missed or late[:1]


def _score(case: WorstCase) -> float:
    return 0.0 if case.score is None else case.score


def _faults(image: ImageTruth, detections: Sequence[Detection], concept: str) -> Iterator[WorstCase]:
    """The boxes of one image that are false, and each of its truths as a miss or as a hit that may be late."""
    truths = [truth.box_xyxy_px for truth in image.truths if truth.concept == concept]
    found = sorted(detections, key=lambda detection: -detection.score)[:BOXES]
    boxes = [detection.box_xyxy_px for detection in found]
    iou_DG = iou_matrix(boxes, truths)
    taken_D = assign(iou_DG, LEAST_IOU, np.ones(len(truths), dtype=np.bool_))
    for d, box in enumerate(boxes):
        if taken_D[d] < 0 and concept in image.exhaustive_for:
            near = float(iou_DG[d].max(initial=0.0))
            yield WorstCase("false", image.image_id, concept, tuple(truths), box, found[d].score, near)
    for g, truth in enumerate(truths):
        meant_first = (truth, *truths[:g], *truths[g + 1 :])
        hits = np.flatnonzero(taken_D == g)
        if not iou_DG[:, g].any():
            yield WorstCase("missed", image.image_id, concept, meant_first, None, None, 0.0)
            continue
        # Of boxes equally near the first, which has the best score.
        d = int(hits[0] if len(hits) else iou_DG[:, g].argmax())
        kind: Literal["late", "missed"] = "late" if len(hits) else "missed"
        yield WorstCase(kind, image.image_id, concept, meant_first, boxes[d], found[d].score, float(iou_DG[d, g]))


def write_worst_cases(
    images: Sequence[ImageTruth],
    detections: Mapping[str, Sequence[Detection]],
    path: Path,
    *,
    pixels: Pixels | None = None,
    tiles: int = TILES,
) -> list[WorstCase]:
    """Draws the worst cases into one PNG.

    Args:
        images: the labelled images.
        detections: a system's boxes by concept, rarest concept first.
        path: the PNG to write. Keep it out of version control where `pixels` gives those of real patients.
        pixels: of an image; without them a tile shows the boxes on grey.
        tiles: how many cases at most.

    Returns:
        The cases, row by row; without any, nothing is written.
    """
    cases = worst_cases(images, detections, tiles=tiles)
    if cases:
        draw_cases(cases, images, pixels).save(path, format="PNG")
    return cases


def draw_cases(cases: Sequence[WorstCase], images: Sequence[ImageTruth], pixels: Pixels | None) -> Image.Image:
    """The cases as tiles, six a row, each `TILE_PX` square above two lines of words; colours are told at the top."""
    known = {image.image_id: image for image in images}
    across, down = min(ACROSS, len(cases)), -(-len(cases) // ACROSS)
    sheet = Image.new("RGB", (across * TILE_PX, HEAD_PX + down * (TILE_PX + WORDS_PX)), _GROUND)
    pen, font = ImageDraw.Draw(sheet), _font(14)
    pen.text((6, HEAD_PX / 2), "truth", fill=TRUTH, font=font, anchor="lm")
    pen.text((56, HEAD_PX / 2), "predicted", fill=PREDICTED, font=font, anchor="lm")
    for number, case in enumerate(cases):
        x, y = number % ACROSS * TILE_PX, HEAD_PX + number // ACROSS * (TILE_PX + WORDS_PX)
        shown = pixels(case.image_id) if pixels else None
        sheet.paste(_tile(case, known[case.image_id].columns_rows_px, shown), (x, y))
        score = "no box" if case.score is None else f"score {case.score:.2f}, IoU {case.iou:.2f}"
        for line, words in enumerate((f"{case.kind}: {case.concept}", f"{score}, {case.image_id}")):
            pen.text((x + 6, y + TILE_PX + 10 + 18 * line), _cut(words, font), fill=_INK, font=font, anchor="lm")
    return sheet


def _tile(case: WorstCase, columns_rows_px: tuple[int, int] | None, shown: NDArray[np.float32] | None) -> Image.Image:
    """The image, or grey in its shape, with the boxes; truth lies on top, its line outside the box."""
    boxes = [(box, TRUTH) for box in case.truths[::-1]]
    if case.predicted is not None:
        boxes.insert(0, (case.predicted, PREDICTED))
    if columns_rows_px is not None:
        columns, rows = map(float, columns_rows_px)
    elif shown is not None:
        rows, columns = map(float, shown.shape[:2])
    else:  # a tenth of room beyond the boxes
        columns, rows = (1.1 * max(1.0, *(box[end] for box, _ in boxes)) for end in (2, 3))
    scale = (TILE_PX - 4) / max(columns, rows)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    if shown is None:
        ground = Image.new("RGB", size, _GREY)
    else:
        levels = np.rint(np.clip(np.nan_to_num(shown), 0, 1) * 255).astype(np.uint8)
        ground = Image.fromarray(levels).resize(size, Image.Resampling.BOX).convert("RGB")
    tile = Image.new("RGB", (TILE_PX, TILE_PX), _GROUND)
    left, top = (TILE_PX - size[0]) // 2, (TILE_PX - size[1]) // 2
    tile.paste(ground, (left, top))
    pen = ImageDraw.Draw(tile)
    for box, colour in boxes:
        x1, y1, x2, y2 = (round(start + side * scale) for start, side in zip((left, top) * 2, box, strict=True))
        pen.rectangle((x1 - 2, y1 - 2, x2 + 1, y2 + 1), outline=colour, width=2)
    return tile


def _font(size: int) -> ImageFont.FreeTypeFont:
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


def _cut(words: str, font: ImageFont.FreeTypeFont) -> str:
    """The words, or as many as fit under a tile and dots."""
    kept = words
    while font.getlength(kept) > TILE_PX - 12:
        kept = kept[:-4] + "..."
    return kept

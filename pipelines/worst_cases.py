"""The worst answers of a system on one sheet: its surest false boxes and the largest lesions it missed.

With pixels of real patients the sheet is as confidential as they are; where it is written is the caller's to say.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medground.evaluation.detection import Detection, ImageTruth
from medground.evaluation.files import replace_file
from medground.evaluation.worst_cases import TILES, WorstCase, worst_cases
from medground.imaging.overlay import COLOURS

# Pixels of an image by its id: values 0..1, (rows, columns) or (rows, columns, 3); None where there are none.
Pixels = Callable[[str], NDArray[np.float32] | None]

ACROSS = 6
TILE_PX, WORDS_PX, HEAD_PX = 320, 40, 28
PREDICTED, TRUTH = COLOURS[0], COLOURS[1]
_GROUND, _GREY, _INK = (24, 24, 27), (96, 96, 96), (238, 238, 238)


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

    Raises:
        UsageError: if it cannot be written; it is not there in part.
    """
    cases = worst_cases(images, detections, tiles=tiles)
    if cases:
        picture = io.BytesIO()
        draw_cases(cases, images, pixels).save(picture, format="PNG")
        replace_file(path, picture.getvalue())
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

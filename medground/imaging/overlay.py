"""Draws an answer on its image: boxes, labels beside them, patient sides above, the verdict below. Pillow only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

LONGEST_PX = 1600
SHORTEST_PX = 720  # smaller images are enlarged, or no label would fit beside a box
MAX_LISTED = 12
MAX_LINES = 6
NOTICE = "Research only. Not a medical device."

# Okabe and Ito, "Color Universal Design" (2008): told apart with every common form of colour blindness. Those that
# stand out on grey come first; black and blue are left out.
COLOURS = ((230, 159, 0), (86, 180, 233), (240, 228, 66), (0, 158, 115), (213, 94, 0), (204, 121, 167))

_TYPED = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "？": "?"})
_INK, _SOFT, _GROUND = (238, 238, 238), (165, 165, 165), (24, 24, 27)
_Rect = tuple[float, float, float, float]
_Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """One box to draw.

    Attributes:
        number: what the legend calls it, 1 for the best score.
        name: English name of the finding.
        score: 0..1.
        box_xyxy_px: pixels of the stored image.
        detail: what the legend adds, for example side and size; may be empty.
        description: sentences that the legend puts under it; may be empty.
    """

    number: int
    name: str
    score: float
    box_xyxy_px: tuple[float, float, float, float]
    detail: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Caption:
    """The words around the image.

    Attributes:
        title: left above the image, for example "Study 1, question 2".
        question: the question as asked; left out where the font has no glyphs for it.
        meaning: what it was taken to mean, in English.
        verdict: what the answer comes to.
        notes: further lines below, most important first.
    """

    title: str
    question: str
    meaning: str
    verdict: str
    notes: tuple[str, ...] = ()


def draw_overlay(
    display: NDArray[np.float32], marks: Sequence[Mark], caption: Caption, *, columns_toward_left: int | None = None
) -> Image.Image:
    """Draw marks and words on an image.

    Args:
        display: values 0..1, (rows, columns) or (rows, columns, 3).
        marks: boxes, best first; those that share a name share a colour.
        caption: the words.
        columns_toward_left: +1 where columns run toward the patient's left, -1 toward the right, None where unknown
            (then no side is written).

    Returns:
        An RGB picture. The image lies below a band that carries the title and sides and above the legend, so that no
        word but the labels lies on it; labels stay inside it and never cover a box.
    """
    image = _as_picture(display)
    scale = image.width / display.shape[1], image.height / display.shape[0]
    text = _font(max(14, min(24, round(max(image.size) / 58))))
    line = round(text.size * 1.45)
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(dict.fromkeys(m.name for m in marks))}
    _draw_marks(image, marks, scale, colours, text)

    width = max(image.width, 32 * round(text.size))
    lines = _legend(marks, caption, colours, text, width - line)
    top = round(line * 1.3)
    canvas = Image.new("RGB", (width, top + image.height + line * len(lines) + line), _GROUND)
    left = (width - image.width) // 2
    canvas.paste(image, (left, top))
    pen = ImageDraw.Draw(canvas)
    _draw_band(pen, caption.title, columns_toward_left, width, text, line)
    for row, (words, colour) in enumerate(lines):
        pen.text((line // 2, top + image.height + line // 2 + row * line), words, fill=colour, font=text)
    return canvas


def can_draw(words: str) -> bool:
    """Whether the bundled font has a glyph for every character: Latin yes, Chinese no."""
    font = _font(16)
    missing = bytes(font.getmask("\uffff"))
    return all(character.isspace() or bytes(font.getmask(character)) != missing for character in words)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


def _as_picture(display: NDArray[np.float32]) -> Image.Image:
    levels = np.rint(np.clip(np.nan_to_num(display), 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(levels)
    longest = max(image.size)
    target = min(max(longest, SHORTEST_PX), LONGEST_PX)
    if target != longest:
        size = (max(1, round(image.width * target / longest)), max(1, round(image.height * target / longest)))
        image = image.resize(size, Image.Resampling.LANCZOS if target < longest else Image.Resampling.BICUBIC)
    return image.convert("RGB")


def _draw_marks(
    image: Image.Image,
    marks: Sequence[Mark],
    scale: tuple[float, float],
    colours: dict[str, _Colour],
    font: ImageFont.FreeTypeFont,
) -> None:
    pen = ImageDraw.Draw(image)
    line = max(2, round(max(image.size) / 500))
    rects: list[_Rect] = []
    for mark in marks:
        x1, y1, x2, y2 = mark.box_xyxy_px
        rects.append((x1 * scale[0], y1 * scale[1], x2 * scale[0], y2 * scale[1]))
    # Worst first, so that the best box lies on top; the line lies outside the box and hides nothing within it.
    for mark, rect in reversed(list(zip(marks, rects, strict=True))):
        outer = (
            max(0.0, rect[0] - line),
            max(0.0, rect[1] - line),
            min(image.width - 1.0, rect[2] + line - 1),
            min(image.height - 1.0, rect[3] + line - 1),
        )
        pen.rectangle((outer[0] - 1, outer[1] - 1, outer[2] + 1, outer[3] + 1), outline=(0, 0, 0), width=1)
        pen.rectangle(outer, outline=colours[mark.name], width=line)
    boxes = [(r[0] - line - 1, r[1] - line - 1, r[2] + line + 1, r[3] + line + 1) for r in rects]
    labels: list[_Rect] = []
    for mark, rect in zip(marks, boxes, strict=True):
        full, short = f"{mark.number} {mark.name} {mark.score:.2f}", str(mark.number)
        # A box that holds this one wholly leaves no free place around it; only then may the label lie within that box.
        smaller = [box for box in boxes if box is rect or not _holds(box, rect)]
        for words, blocking in ((full, boxes), (full, smaller), (short, boxes), (short, smaller)):
            place = _free_place(rect, _size_of(words, font), image.size, [*blocking, *labels])
            if place is not None:
                pen.rectangle(place, fill=(0, 0, 0))
                at = (place[0] + 4, (place[1] + place[3]) / 2)
                pen.text(at, words, fill=colours[mark.name], font=font, anchor="lm")
                labels.append(place)
                break


def _holds(outer: _Rect, inner: _Rect) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def _size_of(words: str, font: ImageFont.FreeTypeFont) -> tuple[int, int]:
    return round(font.getlength(words)) + 8, round(font.size * 1.3)


def _free_place(
    rect: _Rect, size: tuple[int, int], image_size: tuple[int, int], taken: Sequence[_Rect]
) -> _Rect | None:
    """Where a label of that size fits beside the box: above, below, right or left of it, first free place wins."""
    (width, height), (columns, rows) = size, image_size
    gap = 2
    across = [rect[0], rect[2] - width, (rect[0] + rect[2] - width) / 2]
    along = [rect[1], rect[3] - height, (rect[1] + rect[3] - height) / 2]
    corners = [(x, rect[1] - height - gap) for x in across] + [(x, rect[3] + gap) for x in across]
    corners += [(rect[2] + gap, y) for y in along] + [(rect[0] - width - gap, y) for y in along]
    for x, y in corners:
        # Slide along the picture's edge rather than give the place up; a slide into the box is refused just below.
        x, y = min(max(x, 0), columns - width - 1), min(max(y, 0), rows - height - 1)
        place = (x, y, x + width, y + height)
        if x >= 0 and y >= 0 and not any(_overlap(place, other) for other in taken):
            return place
    return None


def _overlap(a: _Rect, b: _Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _draw_band(
    pen: ImageDraw.ImageDraw,
    title: str,
    columns_toward_left: int | None,
    width: int,
    font: ImageFont.FreeTypeFont,
    line: int,
) -> None:
    middle = line * 0.65
    words = title if columns_toward_left is not None else f"{title} (patient side not known)"
    pen.text((width / 2, middle), words, fill=_SOFT, font=font, anchor="mm")
    if columns_toward_left is not None:
        first, last = ("R", "L") if columns_toward_left > 0 else ("L", "R")
        pen.text((line * 0.4, middle), first, fill=_INK, font=font, anchor="lm")
        pen.text((width - line * 0.4, middle), last, fill=_INK, font=font, anchor="rm")


def _legend(
    marks: Sequence[Mark], caption: Caption, colours: dict[str, _Colour], font: ImageFont.FreeTypeFont, width: int
) -> list[tuple[str, _Colour]]:
    meaning = f"Looked for: {caption.meaning}"
    plain = caption.question.translate(_TYPED)
    asked = f'"{plain}"' if can_draw(plain) else "Question in another script: see results.json"
    lines: list[tuple[str, _Colour]] = [(asked, _INK), (meaning, _SOFT), (f"Answer: {caption.verdict}", _INK)]
    for mark in marks[:MAX_LISTED]:
        detail = f", {mark.detail}" if mark.detail else ""
        lines.append((f"{mark.number}  {mark.name} {mark.score:.2f}{detail}", colours[mark.name]))
        if mark.description:
            lines.append((mark.description, _SOFT))
    if len(marks) > MAX_LISTED:
        lines.append((f"and {len(marks) - MAX_LISTED} more, all in results.json", _SOFT))
    lines += [(note, _SOFT) for note in caption.notes]
    lines.append((NOTICE, _SOFT))
    return [(part, colour) for words, colour in lines for part in _wrap(words, font, width)]


def _wrap(words: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """At most six lines, cut at blanks; a longer text ends in dots, its whole is in results.json."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], f"{lines[MAX_LINES - 1]} ..."]
    shortened = []
    for line in lines:
        kept = line
        while font.getlength(kept) > width:
            kept = kept[: -max(5, len(kept) // 10)] + "..."
        shortened.append(kept)
    return shortened

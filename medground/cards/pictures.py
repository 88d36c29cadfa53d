"""Draws wrong answers on phantoms, each film from its seed."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw

from medground.cards.failures import chosen_cases, picture_name
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.evaluation.scene import PHANTOM, Scene
from medground.evaluation.worst_cases import WorstCase
from medground.imaging.overlay import COLOURS

SIDE_PX, LINE_PX = 420, 2
GREYS = 62  # enough to recognise a film, at a third of the size
PREDICTED, TRUTH = GREYS, GREYS + 1
PALETTE = [level for grey in range(GREYS) for level in [round(255 * grey / (GREYS - 1))] * 3] + [
    *COLOURS[0],
    *COLOURS[1],
]


def draw_failures(scenes: Mapping[str, Scene]) -> dict[str, bytes]:
    """File name to PNG of every wrong answer that the card of these scenes shows.

    Args:
        scenes: part to scene.
    """
    cases = [
        (case, image.columns)
        for part in sorted(scenes)
        for case in chosen_cases(scenes[part])
        for image in scenes[part].images
        if image.image_id == case.image_id
    ]
    return {picture_name(n, case): _drawn(case, columns) for n, (case, columns) in enumerate(cases, start=1)}


def _drawn(case: WorstCase, columns: int | None) -> bytes:
    """A film of the size it was measured at, made small; the truth lies on top."""
    size = columns or SIDE_PX
    film = chest_radiograph(int(case.image_id.removeprefix(PHANTOM)), size_px=size)
    levels = np.rint(film.pixels * (GREYS - 1)).astype(np.uint8)
    small = Image.fromarray(levels).resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
    picture = Image.frombytes("P", small.size, small.tobytes())
    picture.putpalette(PALETTE)
    pen = ImageDraw.Draw(picture)
    boxes = [(case.predicted, PREDICTED)] if case.predicted else []
    for box, colour in [*boxes, *((truth, TRUTH) for truth in reversed(case.truths))]:
        x1, y1, x2, y2 = (round(side * SIDE_PX / size) for side in box)
        pen.rectangle((x1 - LINE_PX, y1 - LINE_PX, x2 + 1, y2 + 1), outline=colour, width=LINE_PX)
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return stream.getvalue()

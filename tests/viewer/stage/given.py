"""Data for the stage, through the page's own types, and images whose every block is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medground.viewer.stage_data import Choice, Edges, Preset, Series, Slice, StageBox, StageData
from tests.viewer.stage.server import SliceServer

BLOCKS, SIDE = 8, 16  # 8 x 8 blocks of 16 x 16 pixels
PRESETS = (Preset(name="Wide", low=0, high=4000), Preset(name="Narrow", low=1000, high=1500))
CONCEPTS = tuple(Choice(key=key, name=key.replace("_", " ")) for key in ("nodule", "mass", "pleural_effusion"))
REASONS = (Choice(key="not_there", name="Nothing is there"), Choice(key="other", name="It is something else"))
BLUE, ORANGE, YELLOW = "#56b4e9", "#e69f00", "#f0e442"


def values() -> NDArray[np.int64]:
    """Value of each block."""
    return np.arange(BLOCKS * BLOCKS).reshape(BLOCKS, BLOCKS) * 64


def blocks(first: int = 0) -> NDArray[np.uint16]:
    """Pixels of the blocks; the first block has a value of its own, by which a slice is known."""
    grid = values()
    grid[0, 0] = first
    return np.kron(grid, np.ones((SIDE, SIDE), np.int64)).astype(np.uint16)


def middle_of(row: int, column: int) -> tuple[float, float]:
    """Middle of a block, (x, y) pixels."""
    return (column + 0.5) * SIDE, (row + 0.5) * SIDE


def series(
    slices: SliceServer,
    key: str,
    count: int,
    *,
    step_mm: float | None = 2.5,
    first_mm: float = 0.0,
    spacing_mm: tuple[float, float] | None = (0.5, 0.5),
    linked_by: str = "position",
) -> Series:
    """Slices that are known by their first block: 40 times their index."""
    made = []
    for index in range(count):
        url = slices.put(f"/{key}/{index}", blocks(40 * index))
        position = None if step_mm is None else first_mm + index * step_mm
        made.append(image(url, f"1.2.{key}.{index}", position_mm=position, spacing_mm=spacing_mm))
    return Series.model_validate({"key": key, "label": f"Series {key}", "slices": made, "linked_by": linked_by})


def image(url: str, sop: str, **other: Any) -> Slice:
    """One slice.

    Args:
        url: of its pixels.
        sop: its name.
        other: fields.
    """
    given = {
        "position_mm": None,
        "spacing_mm": (0.5, 0.5),
        "spacing_source": "patient plane",
        "edges": Edges(left="R", right="L", top="A", bottom="P"),
    }
    return Slice.model_validate({"url": url, "sop": sop, "frame": 1, **given, **other})


def box(finding: str, at: Slice, xyxy: tuple[float, float, float, float], **other: Any) -> StageBox:
    """A box on a slice."""
    given = {"colour": BLUE, "label": "nodule 0.82", "status": "unreviewed", "score": 0.82, "is_main": True}
    place = {"id": finding, "sop": at.sop, "frame": at.frame, "box_xyxy_px": xyxy}
    return StageBox.model_validate({**place, **given, **other})


def data(shown: Series, boxes: Sequence[StageBox] = (), **other: Any) -> StageData:
    """What the page tells the stage."""
    given = {
        "study": "study-1",
        "presets": PRESETS,
        "concepts": CONCEPTS,
        "reasons": REASONS,
        "may_review": True,
        "notice": "Research only, not a medical device",
        "height_px": 620,
    }
    return StageData.model_validate({**given, "series": shown, "boxes": tuple(boxes), **other})

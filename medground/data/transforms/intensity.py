"""Brightness: windows of Hounsfield units moved before they are applied, gamma and contrast of what films show."""

from __future__ import annotations

import numpy as np

from medground.data.augment import change_intensity
from medground.data.transforms.frames import shown
from medground.data.transforms.view import Items, RandomView, items_of, view_of
from medground.dicom.lut import Window
from medground.schema.config import StrictConfig


class WindowConfig(StrictConfig):
    """How far a window strays from the one that the source or its preset names.

    Attributes:
        centre: standard deviation of the shift of its centre, in widths.
        width: standard deviation of the logarithm of its width.
    """

    centre: float = 0.06
    width: float = 0.15


class RandWindowd(RandomView):
    """Shows Hounsfield units in a window near their own, in the model frame; leaves what is shown already."""

    def __init__(self, config: WindowConfig, size_px: int) -> None:
        super().__init__()
        self.config = config
        self.size_px = size_px

    def change(self, items: Items, rng: np.random.Generator) -> Items:
        """Move the window, then apply it."""
        window = items["window"]
        if items["is_shown"] or window is None:
            return items
        centre = window.centre + window.width * float(rng.normal(0, self.config.centre))
        width = max(1.0, window.width * float(np.exp(rng.normal(0, self.config.width))))
        moved = Window(centre, width, window.function)
        return items_of(shown(view_of(items), moved, self.size_px))


class RandIntensityd(RandomView):
    """Gamma, contrast, brightness, noise and blur of what a display shows.

    Nothing is done to what came in Hounsfield units: how those are shown is a matter of their window alone.
    """

    def change(self, items: Items, rng: np.random.Generator) -> Items:
        """Change the pixels; boxes stay."""
        if items["window"] is not None:
            return items
        return Items(**{**items, "image": change_intensity(items["image"][0], rng)[None]})

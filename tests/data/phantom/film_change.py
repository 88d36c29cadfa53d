"""What a finding changes on the film of one patient: the film with it less the film without it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medground.data.phantom.chest_radiograph import PhantomImage, chest_radiograph
from medground.schema.box import Box

SIZE = 256


def changed(seed: int, finding: str, size_px: int = SIZE) -> tuple[NDArray[np.float32], PhantomImage]:
    """The difference, smoothed over three pixels, and the film with the finding."""
    normal = chest_radiograph(seed, size_px=size_px, findings=[])
    sick = chest_radiograph(seed, size_px=size_px, findings=[finding])
    return np.asarray(ndimage.uniform_filter(sick.pixels - normal.pixels, 3)), sick


def extent(difference: NDArray[np.float32]) -> Box:
    """Bounding box of where a film changed by more than a quarter of the typical change."""
    size = np.abs(difference)
    mask = size > 0.25 * np.percentile(size[size > 0.05 * size.max()], 95)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(x1=columns[0], y1=rows[0], x2=columns[-1] + 1, y2=rows[-1] + 1)


def share_within(difference: NDArray[np.float32], box: Box, pad: int = 4) -> float:
    """Share of the change, squared, that lies within a box or a few pixels of it."""
    energy = difference.astype(np.float64) ** 2
    rows = slice(max(int(box.y1) - pad, 0), int(box.y2) + pad)
    columns = slice(max(int(box.x1) - pad, 0), int(box.x2) + pad)
    return float(energy[rows, columns].sum() / energy.sum())

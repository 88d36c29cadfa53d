"""The middle of a film in a view of it: what lies opposite of what, however the view was flipped, turned and cut.

Maps are affine, of points (x, y, 1) as columns. Nobody measured the midline of the body; as a rule it is in the middle
of the film.
Legend: K boxes, 33 a map, 23 the same without its last row.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Map = NDArray[np.float64]


def scaled_and_moved(scale_xy: tuple[float, float], offset_xy: tuple[float, float]) -> Map:
    """The map that multiplies by a scale, then takes away an offset."""
    (across, down), (left, top) = scale_xy, offset_xy
    return np.array([[across, 0.0, -left], [0.0, down, -top], [0.0, 0.0, 1.0]])


def opposite(to_view_33: Map, columns: int) -> Tensor:
    """The map (2, 3), float32, of points of a view to those on the other side of the film's middle.

    Args:
        to_view_33: takes pixels of the film to pixels of the view.
        columns: of the film, without padding.
    """
    mirror_33 = np.array([[-1.0, 0.0, columns], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    across_33 = to_view_33 @ mirror_33 @ np.linalg.inv(to_view_33)
    return torch.from_numpy(across_33[:2].astype(np.float32))


def carried(boxes_K4: Tensor, map_23: Tensor) -> Tensor:
    """What bounds boxes after an affine map of their corners.

    Args:
        boxes_K4: xyxy pixels.
        map_23: of their frame to another, or to itself.
    """
    corners_K42 = torch.stack([boxes_K4[:, [0, 2, 2, 0]], boxes_K4[:, [1, 1, 3, 3]]], 2)
    moved_K42 = corners_K42 @ map_23[:, :2].T.to(boxes_K4) + map_23[:, 2].to(boxes_K4)
    return torch.cat([moved_K42.amin(1), moved_K42.amax(1)], 1)

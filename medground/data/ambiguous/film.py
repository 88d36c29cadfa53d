"""What can be told of the lesions of a phantom film from its truth: which lie where, and which come first, clearly.

Places are centres of boxes. What is told of several lesions holds by the edges of their boxes, too, so that it does not
hang on what "highest" or "nearest" is taken of. A perfect reader could not see it otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from medground.data.phantom.anatomy import LEFT, RIGHT, draw_anatomy
from medground.data.phantom.chest_radiograph import PhantomImage
from medground.data.phantom.grid import Grid, column
from medground.data.phantom.soft_tissue import heart_shape
from medground.schema.anatomy import Side, Zone
from medground.schema.box import Box

Measure = Literal[
    "size", "height", "leftward", "off the film's middle", "off the midline", "near the heart", "near the wall"
]

CLEAR: Final = 0.06  # of the film's side, between two places or between a place and a border
CLEAR_RATIO: Final = 1.3  # of two areas
TIED: Final = 0.01
TIED_RATIO: Final = 1.05
_TIED_EDGES: Final = 0.03  # of two boxes whose centres are level
_ON_ONE_SIDE: Final = 0.9  # of the width of a box
_CLUTTERED: Final = 0.1, 0.3  # largest IoU of two lesions of one name, and of any two
_INSIDE: Final = 0.3  # largest share of a lesion in another of the same name
_HEART_GRID: Final = 96


@dataclass(frozen=True, slots=True)
class Order:
    """Which of several lesions, counted along a measure.

    Attributes:
        measures: all of them must agree.
        greatest: whether counting begins at the greatest value or at the least.
        first: how many come before those that are meant.
        count: how many are meant.
    """

    measures: tuple[Measure, ...]
    greatest: bool = True
    first: int = 0
    count: int = 1


class MeasuredFilm:
    """The lesions of a phantom film, measured.

    Args:
        image: the film, whose patient is drawn again from its seed.
    """

    def __init__(self, image: PhantomImage) -> None:
        self.image = image
        self.side_px = int(image.pixels.shape[1])
        self.side_cm = image.spacing_mm[1] * self.side_px / 10
        self.anatomy = draw_anatomy(np.random.default_rng([image.seed, 2]), self.side_cm)

    def members(self, concept: str) -> tuple[int, ...]:
        """Indices of the lesions of that name."""
        return tuple(index for index, region in enumerate(self.image.regions) if region.concept == concept)

    def is_crowded(self) -> bool:
        """Whether lesions overlap so far that one box could be taken for two of them."""
        for one, other in combinations(self.image.regions, 2):
            same = one.concept == other.concept
            overlap = one.box.iou(other.box)
            shared = overlap * (one.box.area_px2 + other.box.area_px2) / (1 + overlap)
            inside = shared / min(one.box.area_px2, other.box.area_px2)
            if overlap > _CLUTTERED[not same] or (same and inside > _INSIDE):
                return True
        return False

    def side(self, index: int) -> Side | None:
        """The patient's side of a lesion; None unless it lies well off the film's middle and off the midline."""
        region = self.image.regions[index]
        box, middle = region.box, self.side_px / 2
        off = min(self._values("off the film's middle", index)[1], self._values("off the midline", index)[1])
        beyond = min(max((box.x2 - middle) / box.width_px, 0.0), 1.0)
        on_it = beyond if region.side is Side.LEFT else 1 - beyond
        return region.side if off > CLEAR and on_it >= _ON_ONE_SIDE else None

    def zone(self, index: int) -> Zone | None:
        """The third of the imaged chest that holds the centre of a lesion; None unless it lies well off its borders."""
        region, lungs = self.image.regions[index], (self.anatomy.left, self.anatomy.right)
        top, bottom = min(lung.apex_y for lung in lungs), max(lung.dome_y for lung in lungs) + 2
        y_cm = region.box.centre_px[1] / self.side_px * self.side_cm
        borders = (top + (bottom - top) * third / 3 for third in (1, 2))
        clear = all(abs(y_cm - border) > CLEAR * self.side_cm for border in borders)
        return region.zone if clear else None

    def chosen(self, members: Sequence[int], order: Order) -> tuple[int, ...] | None:
        """The lesions that an order means.

        Args:
            members: lesions to choose from.
            order: which of them.

        Returns:
            Their indices, ascending; None where one of its measures leaves it open, or there are too few.
        """
        begin, end = self._head(members, order, order.first), self._head(members, order, order.first + order.count)
        return None if begin is None or end is None else tuple(sorted(end - begin))

    def is_tied(self, members: Sequence[int], order: Order) -> bool:
        """Whether the first two lesions of an order are so level by all of its measures that none is the first."""
        firsts = set()
        for measure in order.measures:
            ranked, centres, edges = self._ranked(members, order, measure)
            one, other = ranked[:2]
            centre, edge = (math.log(TIED_RATIO),) * 2 if measure == "size" else (TIED, _TIED_EDGES)
            if abs(centres[one] - centres[other]) > centre or abs(edges[one] - edges[other]) > edge:
                return False
            firsts.add(frozenset((one, other)))
        return len(firsts) == 1

    def _head(self, members: Sequence[int], order: Order, count: int) -> frozenset[int] | None:
        """The first so many lesions of an order, if they are clearly the first."""
        if count in (0, len(members)):
            return frozenset(members[:count])
        if count > len(members):
            return None
        heads = set()
        for measure in order.measures:
            ranked, centres, edges = self._ranked(members, order, measure)
            gap = math.log(CLEAR_RATIO) if measure == "size" else CLEAR
            if centres[ranked[count - 1]] - centres[ranked[count]] <= gap:
                return None
            by_edges = sorted(members, key=edges.__getitem__, reverse=True)
            heads |= {frozenset(ranked[:count]), frozenset(by_edges[:count])}
        return heads.pop() if len(heads) == 1 else None

    def _ranked(
        self, members: Sequence[int], order: Order, measure: Measure
    ) -> tuple[list[int], dict[int, float], dict[int, float]]:
        """The lesions in order, and how far each comes to the front by its centre and by its foremost edge."""
        centres: dict[int, float] = {}
        edges: dict[int, float] = {}
        for index in members:
            low, centre, high = self._values(measure, index)
            centres[index] = centre if order.greatest else -centre
            edges[index] = high if order.greatest else -low
        return sorted(members, key=centres.__getitem__, reverse=True), centres, edges

    def _values(self, measure: Measure, index: int) -> tuple[float, float, float]:
        """The least value of a measure over a box, that of its centre, and the greatest: log of px2, or shares."""
        box = self.image.regions[index].box
        if measure == "size":
            area = math.log(box.area_px2)
            return area, area, area
        value = self._places[measure]
        around = [value(x, y) for x, y in _outline(box)]
        return min(around), value(*box.centre_px), max(around)

    @cached_property
    def _places(self) -> dict[str, Callable[[float, float], float]]:
        side = self.side_px
        return {
            "height": lambda _, y: -y / side,
            "leftward": lambda x, _: x / side,
            "off the film's middle": lambda x, _: abs(x / side - 0.5),
            "off the midline": lambda x, y: abs(self._from_midline_cm(x, y)) / self.side_cm,
            "near the heart": self._near_heart,
            "near the wall": self._near_wall,
        }

    def _from_midline_cm(self, x_px: float, y_px: float) -> float:
        x_cm, y_cm = (x_px / self.side_px - 0.5) * self.side_cm, y_px / self.side_px * self.side_cm
        return x_cm - float(self.anatomy.middle_x(column(y_cm))[0, 0])

    def _near_wall(self, x_px: float, y_px: float) -> float:
        """Minus the distance from the outer edge of the lung, in shares of the film."""
        from_midline = self._from_midline_cm(x_px, y_px)
        y_cm = column(y_px / self.side_px * self.side_cm)
        reach = float(self.anatomy.lateral_x(LEFT if from_midline > 0 else RIGHT, y_cm)[0, 0])
        return (abs(from_midline) - reach) / self.side_cm

    def _near_heart(self, x_px: float, y_px: float) -> float:
        """Minus the distance from what is seen of the heart, in shares of the film."""
        away = np.hypot(self._heart[:, 0] - x_px / self.side_px, self._heart[:, 1] - y_px / self.side_px)
        return -float(away.min())

    @cached_property
    def _heart(self) -> NDArray[np.float64]:
        """Points of the heart above the diaphragm, (points, 2), x and y in shares of the film."""
        grid = Grid(_HEART_GRID, self.side_cm / _HEART_GRID)
        shape = heart_shape(self.anatomy.heart, grid.x - self.anatomy.middle_x(grid.y), grid.y)
        floor = max(self.anatomy.left.dome_y, self.anatomy.right.dome_y) + 1.5
        rows, columns = np.nonzero((shape > 0) & (grid.y < floor))
        points: NDArray[np.float64] = (np.stack([columns, rows], axis=1) + 0.5) / _HEART_GRID
        return points


def _outline(box: Box) -> list[tuple[float, float]]:
    """Corners of a box, and the middles of its sides and of itself."""
    x, y = box.centre_px
    return [(px, py) for px in (box.x1, x, box.x2) for py in (box.y1, y, box.y2)]

from __future__ import annotations

import numpy as np
import pytest

from medground.data.phantom.ct_anatomy import HEIGHT_CM
from medground.data.phantom.ct_volume import VolumeRegion, box_of, level_of, slice_levels, spacing_of, zone_of
from medground.data.phantom.grid import Grid
from medground.schema.anatomy import Side, Zone
from medground.schema.box import Box


def test_extent_holds_every_box_and_no_more() -> None:
    boxes = {4: Box(x1=10, y1=20, x2=14, y2=25), 5: Box(x1=9, y1=21, x2=13, y2=30)}
    region = VolumeRegion("nodule", boxes, Side.LEFT, ())
    assert region.extent == (slice(4, 6), slice(20, 30), slice(9, 14))


def test_box_of_a_mask_has_pixel_edges() -> None:
    mask = np.zeros((8, 9), bool)
    mask[2, 3] = mask[5, 4] = True
    assert box_of(mask).xyxy_px == (3.0, 2.0, 5.0, 6.0)


def test_spacing_is_what_lies_between_two_levels() -> None:
    for slices in (8, 48, 96):
        step_mm, row_mm, column_mm = spacing_of(Grid(256, 0.15), slices)
        levels = slice_levels(slices)
        assert np.diff(levels) * HEIGHT_CM * 10 == pytest.approx(step_mm)
        assert (row_mm, column_mm) == pytest.approx((1.5, 1.5))
        assert level_of(slices - 1, slices) == levels[-1]


def test_zones_are_thirds_of_the_lung() -> None:
    found = [zone_of(level) for level in (-0.05, 0.1, 0.4, 0.6, 0.7, 1.02)]
    assert found == [Zone.LOWER, Zone.LOWER, Zone.MIDDLE, Zone.MIDDLE, Zone.UPPER, Zone.UPPER]

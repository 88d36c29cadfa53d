from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.findings import RARE_FINDINGS
from medground.schema.anatomy import Side, Zone
from tests.data.phantom.film_change import SIZE, changed, extent, share_within


@pytest.mark.parametrize("finding", RARE_FINDINGS)
def test_box_bounds_what_the_finding_changes(finding: str) -> None:
    overlaps = []
    for seed in range(8):
        difference, image = changed(seed, finding)
        region = image.regions[0]
        assert region.concept == finding
        overlaps.append(extent(difference).iou(region.box))
        assert share_within(difference, region.box) > 0.9
    assert np.median(overlaps) > 0.75
    assert min(overlaps) > 0.5


def test_tuberculosis_is_a_dark_hole_in_a_bright_patch_of_an_upper_lung() -> None:
    for seed in range(8):
        difference, image = changed(seed, "cavitary_tuberculosis", 512)
        whole, hole, patch = image.regions
        assert [hole.concept, patch.concept] == ["cavity", "consolidation"]
        assert whole.zone is Zone.UPPER
        assert "cavitated" in whole.appearance
        assert whole.side is hole.side is patch.side
        assert (whole.side is Side.LEFT) == (whole.box.centre_px[0] > 256)
        assert whole.box.x1 <= hole.box.x1 + 1
        assert whole.box.x2 >= hole.box.x2 - 1
        assert whole.box.width_px > 1.1 * hole.box.width_px
        rows, columns = slice(int(hole.box.y1), int(hole.box.y2)), slice(int(hole.box.x1), int(hole.box.x2))
        cut = difference[rows, columns]
        high, wide = cut.shape
        # The upper half, for fluid may stand in the lower one.
        middle = cut[high // 4 : high // 2 + 1, wide // 3 : -wide // 3].min()
        assert middle < 0.5 * np.percentile(cut, 95)


def test_miliary_nodules_are_many_small_and_on_both_sides() -> None:
    difference, image = changed(1, "miliary_pattern", 512)
    (region,) = image.regions
    assert region.side is Side.BILATERAL
    assert region.zone is None
    peaks = (difference == ndimage.maximum_filter(difference, 5)) & (difference > 0.3 * difference.max())
    left = peaks[:, 256:].sum()
    assert peaks.sum() > 300
    assert 0.25 < left / peaks.sum() < 0.75
    # Half of the height is reached within a few millimetres of a peak: these are points, not patches.
    blobs, count = ndimage.label(difference > 0.5 * difference.max())
    areas_mm2 = np.bincount(blobs.ravel())[1:] * image.spacing_mm[0] ** 2
    assert count > 50
    assert np.median(2 * np.sqrt(areas_mm2 / np.pi)) < 4


def test_free_air_is_dark_and_lies_just_below_the_diaphragm() -> None:
    sides = []
    for seed in range(12):
        difference, image = changed(seed, "pneumoperitoneum")
        (region,) = image.regions
        sides.append(region.side)
        assert (region.side is Side.LEFT) == (region.box.centre_px[0] > SIZE / 2)
        assert region.box.width_px > 1.5 * region.box.height_px
        rows, columns = slice(int(region.box.y1), int(region.box.y2)), slice(int(region.box.x1), int(region.box.x2))
        assert difference[rows, columns].min() < -0.1
        lung = next(
            other.box
            for other in chest_radiograph(seed, size_px=SIZE, findings=["diffuse_nodules"] * 2).regions
            if other.side is region.side
        )
        assert region.box.y1 > lung.y1 + 0.6 * lung.height_px
    assert sides.count(Side.RIGHT) > sides.count(Side.LEFT) > 0


def test_free_air_of_both_sides_is_two_regions() -> None:
    image = chest_radiograph(3, size_px=SIZE, findings=["pneumoperitoneum"] * 2)
    assert {region.side for region in image.regions} == {Side.LEFT, Side.RIGHT}


def test_lytic_metastases_darken_the_rib_and_sclerotic_ones_whiten_it() -> None:
    seen = set()
    for seed in range(12):
        difference, image = changed(seed, "rib_metastasis", 512)
        (region,) = image.regions
        x, y = (int(value) for value in region.box.centre_px)
        middle = difference[y - 4 : y + 5, x - 4 : x + 5].mean()
        assert (middle < 0) == ("lucent" in region.appearance)
        seen.add(region.appearance[2])
        assert (region.side is Side.LEFT) == (region.box.centre_px[0] > 256)
    assert seen == {"lucent", "dense"}

from __future__ import annotations

import numpy as np
import pytest

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.schema.anatomy import Side
from tests.data.phantom.film_change import SIZE, changed, extent, share_within


@pytest.mark.parametrize("finding", ["fibrosis", "pleural_thickening"])
def test_box_bounds_what_the_scar_changes(finding: str) -> None:
    overlaps = []
    for seed in range(8):
        difference, image = changed(seed, finding)
        (region,) = image.regions
        overlaps.append(extent(difference).iou(region.box))
        assert share_within(difference, region.box) > 0.85
        right_of_middle = region.box.centre_px[0] > SIZE / 2
        assert region.side is (Side.LEFT if right_of_middle else Side.RIGHT)
        assert difference.max() > 2 * -difference.min()  # scars are white
    assert np.median(overlaps) > 0.75
    assert min(overlaps) > 0.5


def test_sizes_are_those_of_chestx_det() -> None:
    # Sides of its boxes over the image's, 5th and 95th percentile, with the tolerance of the other findings.
    limits = {
        "fibrosis": ((0.058, 0.302), (0.031, 0.686)),
        "pleural_thickening": ((0.033, 0.28), (0.045, 0.477)),
    }
    for finding, sides in limits.items():
        boxes = [chest_radiograph(seed, size_px=SIZE, findings=[finding]).regions[0].box for seed in range(20)]
        for (low, high), lengths in zip(
            sides, ([box.width_px / SIZE for box in boxes], [box.height_px / SIZE for box in boxes]), strict=True
        ):
            assert np.quantile(lengths, 0.1) > low / 1.8
            assert max(lengths) < high * 1.33


def test_strips_lie_along_the_wall_and_caps_over_the_apex() -> None:
    shapes = set()
    for seed in range(24):
        image = chest_radiograph(seed, size_px=SIZE, findings=["pleural_thickening", "emphysema", "emphysema"])
        region, *lungs = image.regions
        (lung,) = (other.box for other in lungs if other.side is region.side)
        shapes.add(region.appearance[0])
        if region.appearance[0] == "crescent-shaped":
            assert region.box.y1 < lung.y1 + 0.1 * lung.height_px
            assert region.box.y2 < lung.y1 + 0.35 * lung.height_px
        else:
            wall = lung.x2 if region.side is Side.LEFT else lung.x1
            near = region.box.x2 if region.side is Side.LEFT else region.box.x1
            assert abs(near - wall) < 0.35 * lung.width_px  # the wall leans inwards towards the apex
            assert region.box.height_px > 1.2 * region.box.width_px
    assert shapes == {"band-like", "crescent-shaped"}


def test_several_strips_of_one_patient_do_not_cover_each_other() -> None:
    for seed in range(6):
        image = chest_radiograph(seed, size_px=SIZE, findings=["pleural_thickening"] * 3)
        boxes = [region.box for region in image.regions]
        assert max(boxes[i].iou(boxes[j]) for i in range(3) for j in range(i)) < 0.3

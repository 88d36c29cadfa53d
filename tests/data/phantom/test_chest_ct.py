from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.data.phantom.chest_ct import CT_FINDINGS, chest_ct, chest_ct_slice
from medground.schema.anatomy import Side
from medground.schema.box import Box
from medground.schema.errors import UsageError

SIZE = 128


def test_same_seed_gives_the_same_volume() -> None:
    first, second = chest_ct(4, size_px=SIZE, slices=8), chest_ct(4, size_px=SIZE, slices=8)
    assert first.hu.dtype == np.int16
    assert first.hu.shape == (8, SIZE, SIZE)
    assert first.hu.tobytes() == second.hu.tobytes()
    assert first.regions3d == second.regions3d


def test_slice_holds_air_lung_soft_tissue_and_bone() -> None:
    hu, regions = chest_ct_slice(2, size_px=SIZE, findings=[])
    assert regions == ()
    shares = np.histogram(hu, bins=[-1100, -950, -700, -200, 150, 4000])[0] / hu.size
    assert shares[0] > 0.1
    assert shares[1] > 0.1
    assert shares[3] > 0.1
    assert shares[4] > 0.005
    assert hu.max() > 300


@pytest.mark.parametrize("finding", CT_FINDINGS)
def test_slice_shows_every_requested_finding_where_its_box_is(finding: str) -> None:
    sides = set()
    for seed in range(50):
        normal, _ = chest_ct_slice(seed, size_px=SIZE, findings=[])
        sick, regions = chest_ct_slice(seed, size_px=SIZE, findings=[finding])
        assert [region.concept for region in regions] == [finding]
        region = regions[0]
        for word, allowed in zip(region.appearance, APPEARANCE_WORDS.values(), strict=True):
            assert word in allowed
        right_of_middle = region.box.centre_px[0] > SIZE / 2
        assert region.side is (Side.LEFT if right_of_middle else Side.RIGHT)
        sides.add(region.side)
        difference = np.abs(sick.astype(np.float32) - normal)
        if seed < 12:
            mask = difference > 0.5 * np.percentile(difference[difference > 60], 50)
            mask = ndimage.binary_opening(mask) if finding != "nodule" else mask
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            seen = Box(x1=columns[0], y1=rows[0], x2=columns[-1] + 1, y2=rows[-1] + 1)
            assert seen.iou(region.box) > (0.4 if finding == "nodule" else 0.5)  # a nodule is five pixels wide
    assert sides == {Side.LEFT, Side.RIGHT}


def test_volume_boxes_follow_the_lesion_through_the_slices() -> None:
    for seed in range(3):
        normal = chest_ct(seed, size_px=SIZE, slices=24, findings=[]).hu.astype(np.float32)
        volume = chest_ct(seed, size_px=SIZE, slices=24, findings=["mass"])
        region = volume.regions3d[0]
        numbers = sorted(region.boxes)
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        changed = np.abs(volume.hu - normal).max(axis=(1, 2))
        assert changed[numbers[0] : numbers[-1] + 1].min() > 100
        height_mm = len(numbers) * volume.spacing_mm[0]
        widest_mm = max(box.width_px for box in region.boxes.values()) * volume.spacing_mm[2]
        assert 0.4 < height_mm / widest_mm < 2


def test_effusion_lies_at_the_back_and_free_air_in_front() -> None:
    for seed in range(6):
        middle = SIZE / 2
        _, fluid = chest_ct_slice(seed, size_px=SIZE, findings=["pleural_effusion"])
        _, air = chest_ct_slice(seed, size_px=SIZE, findings=["pneumothorax"])
        assert fluid[0].box.centre_px[1] > middle
        assert air[0].box.centre_px[1] < middle


def test_denser_words_mean_higher_hounsfield_units() -> None:
    values: dict[str, list[float]] = {"faint": [], "moderate": [], "dense": []}
    for seed in range(40):
        hu, regions = chest_ct_slice(seed, size_px=SIZE, findings=["mass"])
        x, y = regions[0].box.centre_px
        values[regions[0].appearance[2]].append(float(hu[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].mean()))
    faint, moderate, dense = (float(np.median(found)) for found in values.values())
    assert -750 < faint < -430
    assert -400 < moderate < -100
    assert -40 < dense < 110


def test_refuses_what_it_cannot_draw() -> None:
    with pytest.raises(UsageError, match="'fracture'"):
        chest_ct_slice(1, findings=["fracture"])
    with pytest.raises(UsageError, match="slices is 3"):
        chest_ct(1, slices=3)
    with pytest.raises(UsageError, match="3 x pneumothorax"):
        chest_ct(1, findings=["pneumothorax"] * 3)

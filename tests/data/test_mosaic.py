from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medground.data.mosaic import mosaic
from medground.data.transforms.frames import Framed, view_from
from medground.data.transforms.view import View, sides_of
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain, Side
from medground.schema.errors import UsageError
from tests.data.made_records import disc_record

VOCABULARY = load_vocabulary()


@pytest.fixture
def views(tmp_path: Path) -> list[View]:
    discs = [[("nodule", 60.0, 90.0, 14.0)], [("nodule", 140.0, 60.0, 14.0)], [], [("mass", 100.0, 90.0, 1.2)]]
    known = [{"nodule", "mass", "cavity"}, {"nodule", "mass", "fracture"}, {"nodule", "mass"}, {"nodule", "mass"}]
    records = [
        disc_record(tmp_path, f"m{number}", own, exhaustive_for=frozenset(keys))
        for number, (own, keys) in enumerate(zip(discs, known, strict=True))
    ]
    return [view_from(record, Framed(200)(record)) for record in records]


def test_boxes_lie_where_bright_blocks_are_seen(views: list[View]) -> None:
    for view in views:
        view.pixels_HW.fill_(-1)
        for region in view.record.regions:
            x1, y1, x2, y2 = (round(value) for value in region.box.xyxy_px)
            view.pixels_HW[y1:y2, x1:x2] = 2
    for seed in range(8):
        found = mosaic(views, 300, np.random.default_rng(seed), VOCABULARY)
        assert found.pixels_HW.shape == (found.record.rows, found.record.columns) == (300, 300)
        assert len(found.record.regions) == 2
        for region in found.record.regions:
            x, y = (int(value) for value in region.box.centre_px)
            patch = found.pixels_HW[y - 16 : y + 16, x - 16 : x + 16].numpy() > 0.5
            ys, xs = np.nonzero(patch)
            seen = (xs.min() + x - 16, ys.min() + y - 16, xs.max() + x - 15, ys.max() + y - 15)
            assert region.box.xyxy_px == pytest.approx(seen, abs=1)


def test_regions_keep_their_patients_side_and_the_picture_has_none(views: list[View]) -> None:
    found = mosaic(views, 300, np.random.default_rng(0), VOCABULARY).record
    assert [region.side for region in found.regions] == [Side.RIGHT, Side.LEFT]
    assert sides_of(found, VOCABULARY) == (Side.RIGHT, Side.LEFT)
    assert (found.columns_toward_left, found.rows_toward_feet, found.spacing_mm) == (None, None, None)
    assert found.record_id == "m0+m1+m2+m3"


def test_it_claims_only_what_all_four_do_and_nothing_of_what_became_too_small(views: list[View]) -> None:
    found = mosaic(views, 300, np.random.default_rng(0), VOCABULARY).record
    assert found.exhaustive_for == {"nodule"}  # the mass of 2 pixels is gone


def test_four_views_of_one_domain_are_needed(views: list[View]) -> None:
    with pytest.raises(UsageError, match="got 3 of chest radiograph"):
        mosaic(views[:3], 300, np.random.default_rng(0), VOCABULARY)
    limb = View(views[0].pixels_HW, views[0].record.model_copy(update={"domain": Domain.LIMB_RADIOGRAPH}))
    with pytest.raises(UsageError, match="one domain"):
        mosaic([*views[:3], limb], 300, np.random.default_rng(0), VOCABULARY)

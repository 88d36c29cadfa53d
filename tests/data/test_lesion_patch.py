"""What is cut out is what a lesion adds to its surroundings, and only where it can be told from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medground.data.lesion_patch import CutConfig, bounds, cut, surface
from medground.data.transforms.frames import Framed, view_from
from medground.data.transforms.view import View
from medground.schema.record import ImageRecord
from tests.data.made_records import disc_record

CONFIG = CutConfig()
Make = Callable[..., ImageRecord]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda name, *discs, **more: disc_record(tmp_path, name, list(discs), **more)


def _view(record: ImageRecord) -> View:
    return view_from(record, Framed(200)(record))


def test_a_surface_through_the_rim_of_a_slope_is_the_slope() -> None:
    y, x = np.mgrid[:60, :80].astype(np.float32)
    slope = 0.01 * x - 0.02 * y + 1
    found = surface(slope, (20, 15, 50, 45), 4)
    middle = (slice(8, -8), slice(8, -8))  # the edges are smoothed toward their ends
    np.testing.assert_allclose(found[middle], slope[15:45, 20:50][middle], atol=0.06)


def test_what_is_cut_out_is_the_disc_without_its_surroundings(make: Make) -> None:
    view = _view(make("donor", ("nodule", 60, 90, 12)))
    lesion = cut(view, 0, CONFIG)
    assert lesion is not None
    height, width = lesion.added_HW.shape
    assert (height, width) == (24, 24)
    y, x = np.mgrid[:24, :24] + 0.5
    inside = np.hypot(x - 12, y - 12) < 10
    outside = np.hypot(x - 12, y - 12) > 12.5
    grey = 6 / 255
    contrast = float(np.median(lesion.added_HW[inside]))
    direct = view.pixels_HW.numpy()
    expected = float(np.median(direct[84:96, 54:66]) - np.median(direct[84:96, 40:46]))
    assert contrast == pytest.approx(expected, abs=3 * grey)
    assert np.abs(lesion.added_HW[outside]).max() < 4 * grey
    assert lesion.centre == pytest.approx((0.3, 0.45))


def test_lesions_that_belong_to_their_patient_are_not_cut(make: Make) -> None:
    def refused(record: ImageRecord) -> bool:
        return cut(_view(record), 0, CONFIG) is None

    assert refused(make("large", ("mass", 100, 100, 40)))
    assert refused(make("edge", ("nodule", 11, 90, 10)))
    assert refused(make("cavity", ("pleural_effusion", 60, 90, 12)))
    assert refused(make("joined", ("nodule", 60, 90, 12), ("mass", 72, 90, 12)))
    assert refused(make("within", ("nodule", 60, 90, 8), ("mass", 60, 90, 12)))
    doubtful = make("doubtful", ("nodule", 60, 90, 12))
    region = doubtful.regions[0].model_copy(update={"uncertain": True})
    assert refused(doubtful.model_copy(update={"regions": (region,)}))
    assert not refused(make("alone", ("nodule", 60, 90, 12)))


def test_a_boundary_of_the_body_does_not_come_along(make: Make) -> None:
    view = _view(make("donor", ("nodule", 60, 90, 12)))
    assert cut(view, 0, CONFIG) is not None
    view.pixels_HW[92:] += 3  # half of the range of grey from one row to the next
    assert cut(view, 0, CONFIG) is None


def test_bounds_are_pixel_edges() -> None:
    mask = np.zeros((9, 9), bool)
    assert bounds(mask) is None
    mask[2, 3] = mask[5, 7] = True
    assert bounds(mask) == (3, 2, 8, 6)

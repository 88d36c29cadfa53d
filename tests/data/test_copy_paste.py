"""Pasted lesions: seen where their box says, on the side that it says, and only in images known to be free of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medground.data.copy_paste import SOURCE, PasteConfig, may_receive, paste
from medground.data.lesion_patch import Lesion, cut
from medground.data.transforms.frames import Framed, view_from
from medground.data.transforms.view import View
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain, Side
from medground.schema.box import Box
from medground.schema.record import ImageRecord
from tests.data.made_records import disc_record

VOCABULARY = load_vocabulary()
CONFIG = PasteConfig()
Make = Callable[..., ImageRecord]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda name, *discs, **more: disc_record(tmp_path, name, list(discs), **more)


def _view(record: ImageRecord) -> View:
    return view_from(record, Framed(200)(record))


def _lesion(view: View, index: int = 0) -> Lesion:
    lesion = cut(view, index, CONFIG.cut)
    assert lesion is not None
    return lesion


@pytest.mark.parametrize("seed", range(12))
def test_the_image_changes_within_the_new_box_and_fills_it(make: Make, seed: int) -> None:
    donor, target = _view(make("donor", ("nodule", 60, 90, 12))), _view(make(f"target{seed}"))
    pasted = paste(target, _lesion(donor), CONFIG, np.random.default_rng(seed), VOCABULARY)
    assert pasted is not None
    (region,) = pasted.record.regions
    ys, xs = np.nonzero(np.abs((pasted.pixels_HW - target.pixels_HW).numpy()) > 3 * 6 / 255)
    x1, y1, x2, y2 = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    box = region.box
    assert box.x1 <= x1
    assert box.y1 <= y1
    assert x2 <= box.x2
    assert y2 <= box.y2
    assert x2 - x1 >= 0.8 * box.width_px
    assert y2 - y1 >= 0.8 * box.height_px
    assert 0.75 * 24 <= box.width_px <= 1.25 * 24
    assert (region.concept, region.source, region.appearance) == ("nodule", SOURCE, ("round",))


def test_a_loose_box_becomes_tight(make: Make) -> None:
    loose = make("donor", ("nodule", 60, 90, 12))
    box = Box(x1=44, y1=74, x2=76, y2=106)  # 4 pixels of nothing on every side
    donor = _view(loose.model_copy(update={"regions": (loose.regions[0].model_copy(update={"box": box}),)}))
    target = _view(make("target"))
    for seed in range(6):
        pasted = paste(
            target, _lesion(donor), CONFIG.model_copy(update={"scale": 0}), np.random.default_rng(seed), VOCABULARY
        )
        assert pasted is not None
        assert pasted.record.regions[0].box.width_px == pytest.approx(24, abs=2.5)
        assert pasted.record.regions[0].box.height_px == pytest.approx(24, abs=2.5)


def test_a_pasted_side_is_where_it_lies_in_the_new_patient(make: Make) -> None:
    donor = _view(make("donor", ("nodule", 60, 90, 12)))  # the patient's right
    sides = set()
    for toward in (1, -1):
        target = _view(make(f"target{toward}", columns_toward_left=toward))
        for seed in range(10):
            pasted = paste(target, _lesion(donor), CONFIG, np.random.default_rng(seed), VOCABULARY)
            assert pasted is not None
            region = pasted.record.regions[0]
            right_half = region.box.centre_px[0] > 100
            assert region.side is (Side.LEFT if right_half == (toward == 1) else Side.RIGHT)
            assert region.zone is None
            sides.add((toward, region.side))
    assert len(sides) == 4  # mirrored and not


def test_an_unknown_side_stays_unknown(make: Make) -> None:
    donor = make("donor", ("nodule", 60, 90, 12))
    told = donor.regions[0].model_copy(update={"side": Side.RIGHT, "phrase": "right lung", "readers": 3})
    lesion = _lesion(_view(donor.model_copy(update={"regions": (told,)})))
    target = _view(make("target", columns_toward_left=None))
    for seed in range(6):
        pasted = paste(target, lesion, CONFIG, np.random.default_rng(seed), VOCABULARY)
        assert pasted is not None
        region = pasted.record.regions[0]
        assert (region.side, region.phrase, region.readers) == (None, None, None)


def test_only_images_known_to_be_free_may_receive(make: Make) -> None:
    lesion = _lesion(_view(make("donor", ("nodule", 60, 90, 12))))
    assert may_receive(make("free"), lesion, VOCABULARY)
    assert may_receive(make("other", ("calcification", 60, 90, 6)), lesion, VOCABULARY)
    assert not may_receive(make("has", ("nodule", 140, 90, 9)), lesion, VOCABULARY)
    broader = make("broader", ("mass", 60, 90, 9))
    broader = broader.model_copy(
        update={"regions": (broader.regions[0].model_copy(update={"concept": "lung_lesion"}),)}
    )
    assert not may_receive(broader, lesion, VOCABULARY)
    assert not may_receive(make("unknown", exhaustive_for=frozenset({"mass"})), lesion, VOCABULARY)
    assert not may_receive(make("ct", domain=Domain.CHEST_CT), lesion, VOCABULARY)
    assert not may_receive(make("same", patient_id="donor"), lesion, VOCABULARY)


def test_a_broken_limb_is_no_overlay(make: Make) -> None:
    limb = {"domain": Domain.LIMB_RADIOGRAPH}
    lesion = _lesion(_view(make("donor", ("fracture", 60, 90, 12), **limb)))
    assert not may_receive(make("limb", **limb), lesion, VOCABULARY)


def test_what_the_source_was_not_labelled_for_is_no_more_known(make: Make) -> None:
    donor = _view(make("donor", ("nodule", 60, 90, 12), exhaustive_for=frozenset({"mass"})))
    pasted = paste(_view(make("target")), _lesion(donor), CONFIG, np.random.default_rng(0), VOCABULARY)
    assert pasted is not None
    assert pasted.record.exhaustive_for == {"nodule", "mass"}


def test_what_lies_within_a_lesion_comes_along(make: Make) -> None:
    view = _view(make("donor", ("mass", 60, 90, 14), ("calcification", 62, 92, 4)))
    lesion = _lesion(view)
    assert [region.concept for region in lesion.regions] == ["mass", "calcification"]
    target = make("target", exhaustive_for=frozenset({"mass"}))
    assert not may_receive(target, lesion, VOCABULARY)  # calcifications are not known to be absent
    pasted = paste(_view(make("free")), lesion, CONFIG, np.random.default_rng(1), VOCABULARY)
    assert pasted is not None
    mass, calcification = (region.box for region in pasted.record.regions)
    assert mass.x1 < calcification.x1
    assert calcification.x2 < mass.x2
    assert calcification.width_px / mass.width_px == pytest.approx(8 / 28, rel=0.15)


def test_nothing_is_pasted_over_a_box_or_where_the_ground_differs(make: Make) -> None:
    lesion = _lesion(_view(make("donor", ("nodule", 60, 90, 12))))
    for seed in range(6):
        target = _view(make(f"taken{seed}", ("calcification", 60, 90, 12)))
        pasted = paste(target, lesion, CONFIG, np.random.default_rng(seed), VOCABULARY)
        if pasted is not None:
            old, new = (region.box for region in pasted.record.regions)
            assert old.iou(new) <= 0.1
    bright = _view(make("bright"))
    bright = View(bright.pixels_HW + 1, bright.record)
    assert paste(bright, lesion, CONFIG, np.random.default_rng(0), VOCABULARY) is None


def test_the_images_themselves_are_left_alone(make: Make) -> None:
    donor, target = _view(make("donor", ("nodule", 60, 90, 12))), _view(make("target"))
    kept = target.pixels_HW.clone(), donor.pixels_HW.clone()
    paste(target, _lesion(donor), CONFIG, np.random.default_rng(0), VOCABULARY)
    assert (target.pixels_HW == kept[0]).all()
    assert (donor.pixels_HW == kept[1]).all()
    assert target.record.regions == ()

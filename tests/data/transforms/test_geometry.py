"""Boxes against the same change done to a mask of each, and words against where the patient's left is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medground.data.transforms.geometry import RandZoomCropd, ZoomConfig, cropped, flipped, resized, turned
from medground.data.transforms.view import Items, View, items_of, sides_of, view_of
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region

VOCABULARY = load_vocabulary()


def _view(boxes: list[tuple[float, float, float, float]], rows: int = 40, columns: int = 60, **more: object) -> View:
    concepts = ["nodule", "mass", "fracture", "pleural_effusion"]
    regions = tuple(
        Region(concept=concepts[number % 4], box=Box(x1=x1, y1=y1, x2=x2, y2=y2), source="test")
        for number, (x1, y1, x2, y2) in enumerate(boxes)
    )
    fields = {
        "record_id": "r",
        "patient_id": "p",
        "columns": columns,
        "rows": rows,
        "domain": Domain.CHEST_RADIOGRAPH,
        "dataset": "test",
        "regions": regions,
        "exhaustive_for": frozenset({*concepts, "lung_lesion", "cavity"}),
        "columns_toward_left": 1,
        "rows_toward_feet": 1,
        "spacing_mm": (0.5, 0.25),
        **more,
    }
    pixels = torch.arange(rows * columns, dtype=torch.float32).reshape(rows, columns) / (rows * columns)
    return View(pixels, ImageRecord.model_validate(fields))


def _boxes_of_masks(items: Items, change: object) -> list[tuple[int, ...]]:
    """The slow way: draw each box as a picture, change the picture, and look where it is."""
    found = []
    _, rows, columns = items["image"].shape
    for x1, y1, x2, y2 in items["boxes_xyxy_px"].int().tolist():
        mask = torch.zeros((1, rows, columns))
        mask[0, y1:y2, x1:x2] = 1
        changed = change(Items(**{**items, "image": mask}))["image"][0] > 0.5
        ys, xs = changed.any(1).nonzero(), changed.any(0).nonzero()
        found.append((int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1))
    return found


BOXES = [(3.0, 5.0, 17.0, 12.0), (30.0, 20.0, 59.0, 40.0), (0.0, 0.0, 60.0, 40.0)]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, -1])
def test_turned_boxes_are_the_bounds_of_turned_masks(turns: int) -> None:
    items = items_of(_view(BOXES))
    found = turned(items, turns)
    expected = _boxes_of_masks(items, lambda one: turned(one, turns))
    assert found["boxes_xyxy_px"].tolist() == [list(map(float, box)) for box in expected]
    assert torch.equal(found["image"][0], torch.rot90(items["image"][0], turns))


def test_flipped_boxes_are_the_bounds_of_flipped_masks() -> None:
    items = items_of(_view(BOXES))
    expected = _boxes_of_masks(items, flipped)
    assert flipped(items)["boxes_xyxy_px"].tolist() == [list(map(float, box)) for box in expected]
    twice = flipped(flipped(items))
    assert torch.equal(twice["image"], items["image"])
    assert view_of(twice).record == view_of(items).record


def test_sides_follow_the_patient_through_mirror_and_half_turn() -> None:
    view = _view([(2, 5, 12, 12), (45, 5, 55, 12), (20, 0, 40, 40)])
    before = sides_of(view.record, VOCABULARY)
    assert before == (Side.RIGHT, Side.LEFT, None)
    mirror = view_of(flipped(items_of(view))).record
    assert mirror.columns_toward_left == -1
    assert mirror.rows_toward_feet == 1
    assert sides_of(mirror, VOCABULARY) == before
    half = view_of(turned(items_of(view), 2)).record
    assert (half.columns_toward_left, half.rows_toward_feet) == (-1, -1)
    assert sides_of(half, VOCABULARY) == before


def test_a_quarter_turn_forgets_where_left_and_feet_are_and_swaps_the_spacing() -> None:
    record = view_of(turned(items_of(_view(BOXES)), 1)).record
    assert (record.columns_toward_left, record.rows_toward_feet) == (None, None)
    assert record.spacing_mm == (0.25, 0.5)
    assert (record.columns, record.rows) == (40, 60)


def test_a_record_whose_side_is_unknown_stays_so() -> None:
    view = _view(BOXES, columns_toward_left=None, rows_toward_feet=None)
    for turns in range(4):
        record = view_of(flipped(turned(items_of(view), turns))).record
        assert record.columns_toward_left is None
        assert all(region.side is None for region in record.regions)


def test_resized_boxes_and_millimetres_keep_their_truth() -> None:
    items = resized(items_of(_view(BOXES)), 80, 30)
    assert items["boxes_xyxy_px"][0].tolist() == [1.5, 10, 8.5, 24]
    assert items["spacing_mm"] == (0.25, 0.5)  # 14 x 0.25 mm wide before, 7 x 0.5 mm now


def test_a_crop_keeps_what_is_in_view_and_claims_no_more_than_that() -> None:
    # inside; half in view; outside; cut by a tenth
    view = _view([(12, 12, 20, 20), (35, 15, 45, 25), (50, 0, 60, 8), (15, 31, 25, 41)], rows=60)
    cut = view_of(cropped(items_of(view), 10, 10, 30, 0.85, VOCABULARY)).record
    assert [region.concept for region in cut.regions] == ["nodule", "pleural_effusion"]
    assert cut.regions[0].box.xyxy_px == (2, 2, 10, 10)
    assert cut.regions[1].box.xyxy_px == (5, 21, 15, 30)
    # A mass is half in view: nothing can be said of masses, nor of the lung lesions that they are.
    assert cut.exhaustive_for == {"nodule", "fracture", "pleural_effusion", "cavity"}
    assert cut.spacing_mm is None  # 9 of 10 pixels in view would be measured short
    whole = view_of(cropped(items_of(view), 0, 0, 60, 0.85, VOCABULARY)).record
    assert whole.spacing_mm == (0.5, 0.25)
    assert whole.exhaustive_for == view.record.exhaustive_for


def test_a_crop_pads_with_black_and_shows_the_right_pixels() -> None:
    items = items_of(_view(BOXES))
    cut = cropped(items, -3, 50, 20, 0.85, VOCABULARY)["image"][0]
    assert torch.equal(cut[3:, :10], items["image"][0, :17, 50:])
    assert (cut[:3] == -2).all()
    assert (cut[:, 10:] == -2).all()


def test_regions_keep_their_side_where_the_middle_of_the_view_is_not_the_patients() -> None:
    # In the view, the box at x 20 to 28 of 30 is on the right lung's side of the patient, yet beyond the view's middle.
    view = _view([(2, 5, 10, 12), (20, 5, 28, 12)])
    record = view_of(cropped(items_of(view), 0, 0, 30, 0.85, VOCABULARY)).record
    assert [region.side for region in record.regions] == [Side.RIGHT, Side.RIGHT]
    assert sides_of(record, VOCABULARY) == (Side.RIGHT, Side.RIGHT)
    assert record.columns_toward_left == 1
    # One across the midline has no side; off the middle it would be given one, so left and right are forgotten.
    across = _view([(25, 5, 35, 12)])
    record = view_of(cropped(items_of(across), 0, 0, 40, 0.85, VOCABULARY)).record
    assert record.regions[0].side is None
    assert sides_of(record, VOCABULARY) == (None,)
    assert record.columns_toward_left is None


def test_zones_and_other_words_go_along() -> None:
    view = _view([(2, 5, 10, 12)])
    region = view.record.regions[0].model_copy(update={"zone": Zone.UPPER, "appearance": ("round",), "phrase": "left"})
    view = View(view.pixels_HW, view.record.model_copy(update={"regions": (region,)}))
    cut = view_of(cropped(flipped(items_of(view)), 0, 20, 40, 0.85, VOCABULARY)).record.regions[0]
    assert (cut.zone, cut.appearance, cut.phrase, cut.side) == (Zone.UPPER, ("round",), "left", Side.RIGHT)


def test_zoom_places_a_marked_square_where_its_box_says() -> None:
    pixels = torch.full((200, 200), -1.0)
    pixels[80:120, 60:130] = 2.0
    record = _view([(60, 80, 130, 120)], rows=200, columns=200).record
    zoom = RandZoomCropd(ZoomConfig(size_px=160), VOCABULARY)
    seen = 0
    for seed in range(40):
        zoom.set_random_state(seed=seed)
        view = view_of(zoom(items_of(View(pixels, record))))
        assert view.pixels_HW.shape == (160, 160)
        for region in view.record.regions:
            seen += 1
            ys, xs = np.nonzero(view.pixels_HW.numpy() > 0.5)
            assert region.box.xyxy_px == pytest.approx((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), abs=1.01)
    assert seen > 20


def test_images_without_boxes_pass_through() -> None:
    items = items_of(_view([]))
    for change in (flipped, lambda one: turned(one, 1), lambda one: resized(one, 20, 30)):
        assert change(items)["boxes_xyxy_px"].shape == (0, 4)
    assert view_of(cropped(items, 0, 0, 30, 0.85, VOCABULARY)).record.regions == ()

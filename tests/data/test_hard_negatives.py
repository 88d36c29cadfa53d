from __future__ import annotations

import numpy as np
import pytest

from medground.data.hard_negatives import HardNegative, NegativeKind, hard_negatives
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region

VOCABULARY = load_vocabulary()
Corners = tuple[float, float, float, float]


def _record(*regions: tuple[str, Corners], known: set[str] | None = None, uncertain: int = -1) -> ImageRecord:
    return ImageRecord(
        record_id="r",
        patient_id="p",
        columns=200,
        rows=200,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset="made",
        regions=tuple(
            Region(
                concept=concept,
                box=Box(x1=x1, y1=y1, x2=x2, y2=y2),
                source="made",
                uncertain=number == uncertain,
            )
            for number, (concept, (x1, y1, x2, y2)) in enumerate(regions)
        ),
        exhaustive_for=frozenset({"nodule", "mass"} if known is None else known),
    )


def _of(record: ImageRecord, kind: NegativeKind, index: int = 0, seed: int = 0) -> list[HardNegative]:
    found = hard_negatives(record, index, np.random.default_rng(seed), VOCABULARY)
    return [negative for negative in found if negative.kind is kind]


TARGET = (80.0, 80.0, 120.0, 120.0)


@pytest.mark.parametrize(
    ("shift", "expected"), [(0, False), (8, False), (10, True), (20, True), (21.5, True), (22, False), (40, False)]
)
def test_another_class_counts_from_three_to_six_tenths_of_overlap(shift: float, expected: bool) -> None:
    # A box of 40 x 40 shifted by s overlaps by (40 - s) / (40 + s).
    iou = (40 - shift) / (40 + shift)
    record = _record(("nodule", TARGET), ("fracture", (80 + shift, 80, 120 + shift, 120)))
    found = _of(record, NegativeKind.OVERLAPPING)
    assert bool(found) == expected == (0.3 <= iou <= 0.6)
    if found:
        assert found[0].iou == pytest.approx(iou)
        assert (found[0].concept, found[0].box) == ("fracture", record.regions[1].box)


def test_its_own_class_and_broader_and_narrower_ones_are_none() -> None:
    beside = (95.0, 80.0, 135.0, 120.0)
    for concept in ("nodule", "lung_lesion"):
        assert _of(_record(("nodule", TARGET), (concept, beside)), NegativeKind.OVERLAPPING) == []
    known = {"lung_lesion", "nodule", "mass"}
    assert _of(_record(("lung_lesion", TARGET), ("nodule", beside), known=known), NegativeKind.OVERLAPPING) == []


def test_look_alikes_elsewhere_are_told_in_both_directions() -> None:
    far = (10.0, 10.0, 30.0, 30.0)
    record = _record(("nodule", TARGET), ("mass", far), ("fracture", far), ("diffuse_nodules", far))
    assert [n.concept for n in _of(record, NegativeKind.CONFUSABLE)] == ["mass", "diffuse_nodules"]
    # Calcification names nodule as its look-alike; nodule names calcification too. Pneumothorax names none of them.
    record = _record(("nodule", TARGET), ("calcification", far), ("pneumothorax", far))
    assert [n.concept for n in _of(record, NegativeKind.CONFUSABLE)] == ["calcification"]


def test_nothing_is_mined_where_the_class_is_not_labelled_exhaustively() -> None:
    regions = (("nodule", TARGET), ("mass", (95.0, 80.0, 135.0, 120.0)), ("mass", (10.0, 10.0, 30.0, 30.0)))
    rng = np.random.default_rng(0)
    assert len(hard_negatives(_record(*regions), 0, rng, VOCABULARY)) >= 3
    assert hard_negatives(_record(*regions, known={"mass"}), 0, rng, VOCABULARY) == ()
    assert hard_negatives(_record(*regions, known=set()), 0, rng, VOCABULARY) == ()
    assert hard_negatives(_record(*regions, uncertain=0), 0, rng, VOCABULARY) == ()
    doubtful = hard_negatives(_record(*regions, uncertain=1), 0, rng, VOCABULARY)
    assert "overlapping" not in {negative.kind for negative in doubtful}


def test_background_boxes_are_near_alike_in_size_inside_and_free() -> None:
    record = _record(
        ("nodule", TARGET), ("nodule", (130.0, 70.0, 136.0, 76.0)), ("cardiomegaly", (20.0, 125.0, 190.0, 199.0))
    )
    seen = 0
    for seed in range(30):
        for negative in _of(record, NegativeKind.BACKGROUND, seed=seed):
            seen += 1
            box = negative.box
            assert negative.concept is None
            assert box.x1 >= 0
            assert box.x2 <= 200
            assert box.y1 >= 0
            assert box.y2 <= 200
            assert 0.7 * 40 - 1e-9 <= box.width_px <= 1.3 * 40 + 1e-9
            assert abs(box.centre_px[0] - 100) <= 60
            assert abs(box.centre_px[1] - 100) <= 60
            for region in record.regions:
                mask = np.zeros((200, 200), bool)
                x1, y1, x2, y2 = (round(value) for value in region.box.xyxy_px)
                mask[y1:y2, x1:x2] = True
                a1, b1, a2, b2 = (round(value) for value in box.xyxy_px)
                smaller = min(mask.sum(), (a2 - a1) * (b2 - b1))
                assert mask[b1:b2, a1:a2].sum() <= 0.15 * smaller + 1  # a tenth, and the rounding to whole pixels
    assert seen > 60


def test_the_same_seed_gives_the_same() -> None:
    record = _record(("nodule", TARGET), ("mass", (10.0, 10.0, 30.0, 30.0)))
    one, other = (hard_negatives(record, 0, np.random.default_rng(5), VOCABULARY) for _ in range(2))
    assert one == other
    assert hard_negatives(record, 0, np.random.default_rng(5), VOCABULARY, background=0) == one[:1]

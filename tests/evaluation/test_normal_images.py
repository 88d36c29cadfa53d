"""False boxes on normal images, counted by hand and against a slow formula."""

import numpy as np
import pytest

from medground.evaluation.detection import Detection, ImageTruth, Truth, patients_of, value_of
from medground.evaluation.normal_images import false_boxes_statistic

HIT, MISS = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)


def image(name: str, *, broken: bool, exhaustive: bool = True, patient: str = "") -> ImageTruth:
    truths = (Truth(name, "fracture", HIT),) if broken else ()
    return ImageTruth(name, patient or name, truths, frozenset({"fracture"} if exhaustive else ()))


def test_by_hand() -> None:
    images = [image("a", broken=True), image("b", broken=True), image("n", broken=False), image("m", broken=False)]
    images.append(image("unknown", broken=False, exhaustive=False))
    found = [
        Detection("a", "fracture", HIT, 0.8),
        Detection("b", "fracture", HIT, 0.4),
        *(Detection("n", "fracture", MISS, score) for score in (0.9, 0.8, 0.5)),
        Detection("m", "fracture", MISS, 0.6),
        Detection("a", "fracture", MISS, 0.95),
        Detection("unknown", "fracture", MISS, 0.9),
        Detection("n", "mass", MISS, 0.9),
    ]
    half, all_found = (false_boxes_statistic(images, found, "fracture", found=share) for share in (0.5, 1.0))
    assert half is not None
    assert value_of(half, images) == 1.0  # two of at least 0.8 on two images
    assert all_found is not None
    assert value_of(all_found, images) == 2.0
    none_found = false_boxes_statistic(images, found[1:], "fracture", found=0.9)
    assert none_found is not None
    assert value_of(none_found, images) is None
    assert false_boxes_statistic(images[:2], found[:2], "fracture") is None
    assert false_boxes_statistic(images[2:4], found[2:6], "fracture") is None


@pytest.mark.parametrize("seed", range(8))
def test_weights_count_patients_as_often_as_they_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = [image(f"i{n}", broken=bool(n % 2), patient=f"p{n // 3}") for n in range(12)]
    found = [
        Detection(f"i{rng.integers(12)}", "fracture", HIT if rng.random() < 0.5 else MISS, float(rng.random()))
        for _ in range(60)
    ]
    statistic = false_boxes_statistic(images, found, "fracture")
    assert statistic is not None
    weights = rng.integers(0, 4, (5, 4)).astype(float)
    for row in weights:
        times = dict(zip(patients_of(images), row.astype(int), strict=True))
        copies = [(one, f"{one.image_id}x{copy}") for one in images for copy in range(times[one.patient_id])]
        repeated = [
            ImageTruth(
                name,
                one.patient_id,
                tuple(Truth(name, t.concept, t.box_xyxy_px) for t in one.truths),
                one.exhaustive_for,
            )
            for one, name in copies
        ]
        doubled = [
            Detection(name, d.concept, d.box_xyxy_px, d.score)
            for one, name in copies
            for d in found
            if d.image_id == one.image_id
        ]
        plain = false_boxes_statistic(repeated, doubled, "fracture")
        expected = None if plain is None else value_of(plain, repeated)
        got = float(statistic(row[None])[0])
        assert (np.isnan(got) and expected is None) or got == pytest.approx(expected)

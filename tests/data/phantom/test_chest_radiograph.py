from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.data.phantom.chest_radiograph import RADIOGRAPH_FINDINGS, PhantomImage, chest_radiograph, to_record
from medground.schema.anatomy import Domain, Side
from medground.schema.box import Box
from medground.schema.errors import UsageError

SIZE = 256
ADDED = tuple(name for name in RADIOGRAPH_FINDINGS if name not in ("cardiomegaly", "emphysema"))


def changed(seed: int, finding: str, size_px: int = SIZE) -> tuple[NDArray[np.float32], PhantomImage]:
    """What a finding changes on the film of one patient."""
    normal = chest_radiograph(seed, size_px=size_px, findings=[])
    sick = chest_radiograph(seed, size_px=size_px, findings=[finding])
    return np.asarray(ndimage.uniform_filter(sick.pixels - normal.pixels, 3)), sick


def extent(difference: NDArray[np.float32]) -> Box:
    """Bounding box of where a film changed by more than a quarter of the typical change."""
    size = np.abs(difference)
    mask = size > 0.25 * np.percentile(size[size > 0.05 * size.max()], 95)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(x1=columns[0], y1=rows[0], x2=columns[-1] + 1, y2=rows[-1] + 1)


def test_same_seed_gives_the_same_bytes_on_any_thread() -> None:
    wanted = chest_radiograph(11, size_px=SIZE)
    got: list[PhantomImage] = []
    threads = [threading.Thread(target=lambda: got.append(chest_radiograph(11, size_px=SIZE))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 3
    for image in got:
        assert image.pixels.tobytes() == wanted.pixels.tobytes()
        assert image.regions == wanted.regions
    assert chest_radiograph(12, size_px=SIZE).pixels.tobytes() != wanted.pixels.tobytes()


def test_pixels_are_display_intensities_in_float32() -> None:
    for seed in range(6):
        image = chest_radiograph(seed, size_px=SIZE)
        assert image.pixels.dtype == np.float32
        assert image.pixels.shape == (SIZE, SIZE)
        assert image.pixels.min() >= 0
        assert image.pixels.max() <= 1
        assert image.pixels.std() > 0.1
        assert 31.5 * 10 <= SIZE * image.spacing_mm[0] <= 40 * 10


def test_every_requested_finding_is_there_over_fifty_seeds() -> None:
    names = tuple(RADIOGRAPH_FINDINGS)
    for seed in range(50):
        wanted = [names[(seed + step) % len(names)] for step in range(3)] + ["nodule"]
        image = chest_radiograph(seed, size_px=128, findings=wanted)
        assert [region.concept for region in image.regions] == wanted
        for region in image.regions:
            assert region.box.x2 <= 128
            assert region.box.y2 <= 128


def test_drawn_findings_cover_every_class_and_leave_some_films_normal() -> None:
    films = [chest_radiograph(seed, size_px=64) for seed in range(400)]
    counts = Counter(region.concept for film in films for region in film.regions)
    normal = sum(not film.regions for film in films) / len(films)
    assert 0.1 < normal < 0.2
    assert set(counts) == set(RADIOGRAPH_FINDINGS)
    assert min(counts.values()) >= 20


@pytest.mark.parametrize("finding", ADDED)
def test_box_bounds_what_the_finding_changes(finding: str) -> None:
    overlaps = []
    for seed in range(7):
        difference, image = changed(seed, finding)
        overlaps.append(extent(difference).iou(image.regions[0].box))
    # A fracture's box takes in the rib on both sides of the break, as readers draw it.
    assert np.median(overlaps) > (0.5 if finding == "fracture" else 0.75)
    assert min(overlaps) > 0.4


@pytest.mark.parametrize("finding", ADDED)
def test_box_holds_nearly_all_of_the_change(finding: str) -> None:
    for seed in range(20, 24):
        difference, image = changed(seed, finding)
        box = image.regions[0].box
        energy = difference.astype(np.float64) ** 2
        pad = 4
        rows = slice(max(int(box.y1) - pad, 0), int(box.y2) + pad)
        columns = slice(max(int(box.x1) - pad, 0), int(box.x2) + pad)
        assert energy[rows, columns].sum() > 0.8 * energy.sum()


def test_left_of_the_patient_is_right_of_the_picture() -> None:
    seen = set()
    for finding in ("pleural_effusion", "pneumothorax", "nodule", "fracture", "emphysema"):
        for seed in range(8):
            region = chest_radiograph(seed, size_px=SIZE, findings=[finding]).regions[0]
            right_of_middle = region.box.centre_px[0] > SIZE / 2
            assert region.side is (Side.LEFT if right_of_middle else Side.RIGHT)
            seen.add(region.side)
    assert seen == {Side.LEFT, Side.RIGHT}


def test_two_effusions_are_on_two_sides() -> None:
    image = chest_radiograph(5, size_px=SIZE, findings=["pleural_effusion", "pleural_effusion"])
    assert {region.side for region in image.regions} == {Side.LEFT, Side.RIGHT}


def test_appearance_words_come_from_the_closed_list() -> None:
    for finding in RADIOGRAPH_FINDINGS:
        for seed in range(5):
            words = chest_radiograph(seed, size_px=64, findings=[finding]).regions[0].appearance
            assert len(words) == len(APPEARANCE_WORDS)
            for word, allowed in zip(words, APPEARANCE_WORDS.values(), strict=True):
                assert word in allowed


def _contrast(seed: int, finding: str) -> tuple[str, float]:
    difference, image = changed(seed, finding, 128)
    _, _, density, _ = image.regions[0].appearance
    box = image.regions[0].box
    inside = difference[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)]
    return density, float(np.percentile(inside, 90))


@pytest.mark.parametrize("finding", ["mass", "consolidation"])
def test_dense_lesions_stand_out_more_than_faint_ones(finding: str) -> None:
    by_density: dict[str, list[float]] = {"faint": [], "moderate": [], "dense": []}
    for seed in range(50):
        density, contrast = _contrast(seed, finding)
        by_density[density].append(contrast)
    faint, moderate, dense = (float(np.median(values)) for values in by_density.values())
    assert 0 < faint < moderate < dense
    assert dense > 1.7 * faint


def test_lucent_lesions_are_darker_than_the_lung_was() -> None:
    for seed in range(6):
        difference, image = changed(seed, "pneumothorax")
        box = image.regions[0].box
        assert difference[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)].min() < -0.01


def test_sizes_are_those_of_real_films() -> None:
    # Widths as fractions of the image side, 5th and 95th percentile of the real boxes. The phantom may go down to
    # 1 / 1.8 of the lower and up to 1.33 times the upper: a sanity band, not a match of distributions.
    limits = {
        "nodule": (0.025, 0.098),
        "mass": (0.068, 0.351),
        "calcification": (0.02, 0.147),
        "fracture": (0.026, 0.158),
        "cardiomegaly": (0.378, 0.536),
        "emphysema": (0.237, 0.396),
        "consolidation": (0.112, 0.351),
    }
    for finding, (low, high) in limits.items():
        widths = [
            chest_radiograph(seed, size_px=SIZE, findings=[finding]).regions[0].box.width_px / SIZE
            for seed in range(12)
        ]
        assert min(widths) > low / 1.8
        assert max(widths) < high * 1.33


def test_cardiomegaly_widens_the_heart_to_over_half_of_the_chest() -> None:
    for seed in range(6):
        image = chest_radiograph(seed, size_px=SIZE, findings=["cardiomegaly", "emphysema", "emphysema"])
        heart, first, second = (region.box for region in image.regions)
        chest = max(first.x2, second.x2) - min(first.x1, second.x1)
        assert 0.45 < heart.width_px / chest < 0.75
        assert image.regions[0].side is Side.BILATERAL


def test_record_says_what_the_film_is() -> None:
    image = chest_radiograph(3, size_px=SIZE, findings=["nodule"])
    record = to_record(image, record_id="phantom-3")
    assert record.record_id == "phantom-3"
    assert record.domain is Domain.CHEST_RADIOGRAPH
    assert record.dataset == "phantom"
    assert record.synthetic
    assert record.exhaustive_for == frozenset(RADIOGRAPH_FINDINGS)
    assert record.regions == image.regions
    assert (record.columns, record.rows) == (SIZE, SIZE)


def test_refuses_what_it_cannot_draw() -> None:
    with pytest.raises(UsageError, match="'tumour'"):
        chest_radiograph(1, findings=["tumour"])
    with pytest.raises(UsageError, match="3 x emphysema"):
        chest_radiograph(1, findings=["emphysema"] * 3)
    with pytest.raises(UsageError, match="size_px is 32"):
        chest_radiograph(1, size_px=32)

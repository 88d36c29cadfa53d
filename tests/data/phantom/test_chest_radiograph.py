from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest

from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.data.phantom.chest_radiograph import RADIOGRAPH_FINDINGS, PhantomImage, chest_radiograph, to_record
from medground.schema.anatomy import Domain, Side
from medground.schema.errors import UsageError
from tests.data.phantom.film_change import SIZE, changed, extent, share_within

ADDED = tuple(name for name in RADIOGRAPH_FINDINGS if name not in ("cardiomegaly", "emphysema"))
DRAWN = {5_000_000: ["consolidation"], 5_000_001: ["nodule", "atelectasis", "consolidation"]}
CORNER = [[0.39271, 0.4422, 0.4906], [0.34725, 0.39024, 0.47579], [0.38304, 0.45433, 0.52711]]


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
    films = [chest_radiograph(seed, size_px=64) for seed in range(200)]
    counts = Counter(region.concept for film in films for region in film.regions)
    normal = sum(not film.regions for film in films) / len(films)
    assert 0.08 < normal < 0.22
    assert set(counts) == set(RADIOGRAPH_FINDINGS)
    assert min(counts.values()) >= 8


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
        assert share_within(difference, image.regions[0].box) > 0.8


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
    assert (record.columns_toward_left, record.rows_toward_feet) == (1, 1)
    assert record.spacing_mm == image.spacing_mm


def test_films_drawn_by_default_are_those_of_before() -> None:
    # Seeds and figures of published evaluations: a finding added later must not shift any stream.
    drawn = {seed: [r.concept for r in chest_radiograph(seed, size_px=64).regions] for seed in (5_000_000, 5_000_001)}
    assert drawn == DRAWN
    corner = chest_radiograph(5_000_000, size_px=64).pixels[20:23, 20:23]
    assert corner == pytest.approx(np.array(CORNER), abs=1e-4)


def test_attributes_tell_devices_and_letters_of_the_film() -> None:
    films = [chest_radiograph(seed, size_px=64, findings=[]) for seed in range(60)]
    letters = Counter(film.attributes["side_letter"] for film in films)
    assert set(letters) == {"L", "R", "none"}
    assert letters["L"] > letters["R"]
    bare = [film.attributes["devices"] == "none" for film in films]
    assert 15 < sum(bare) < 50  # half of the films have none at all
    assert any("endotracheal tube" in film.attributes["devices"] for film in films)
    assert all(0.12 <= float(film.attributes["lung_level"]) <= 0.5 for film in films)


def test_refuses_what_it_cannot_draw() -> None:
    with pytest.raises(UsageError, match="'tumour'"):
        chest_radiograph(1, findings=["tumour"])
    with pytest.raises(UsageError, match="3 x emphysema"):
        chest_radiograph(1, findings=["emphysema"] * 3)
    with pytest.raises(UsageError, match="size_px is 32"):
        chest_radiograph(1, size_px=32)

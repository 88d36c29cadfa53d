from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from medground.data.fingerprints import (
    SAME_FILM,
    correlation,
    duplicate_groups,
    fingerprint,
    fingerprint_file,
    fingerprint_records,
    near_duplicates,
)
from medground.data.importers import by_name

Grey = NDArray[np.uint8]
DrawLimb = Callable[[int], Grey]


def as_jpeg(image: Grey, quality: int) -> Grey:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def resized(image: Grey, columns: float, rows: float) -> Grey:
    size = (round(image.shape[1] * columns), round(image.shape[0] * rows))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def toned(image: Grey, curve: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Grey:
    return np.clip(curve(image / 255) * 255, 0, 255).astype(np.uint8)


def cut_short(image: Grey) -> Grey:
    broken = image.copy()
    broken[int(image.shape[0] * 0.6) :] = 128
    return broken


def shifted(image: Grey) -> Grey:
    moved = np.full_like(image, 22)
    moved[20:, 12:] = image[:-20, :-12]
    return moved


COPIES: dict[str, Callable[[Grey], Grey]] = {
    "saved again": lambda image: as_jpeg(image, 25),
    "5% smaller": lambda image: resized(image, 0.95, 0.95),
    "5% wider": lambda image: resized(image, 1.05, 1.0),
    "a third": lambda image: resized(image, 1 / 3, 1 / 3),
    "gamma 0.6": lambda image: toned(image, lambda v: v**0.6),
    "gamma 1.6": lambda image: toned(image, lambda v: v**1.6),
    "window": lambda image: toned(image, lambda v: (v - 0.1) / 0.6),
    "brighter": lambda image: toned(image, lambda v: v + 0.15),
    "half contrast": lambda image: toned(image, lambda v: 0.2 + v / 2),
    "cut short": cut_short,
    "shifted": shifted,
    "2% cropped": lambda image: image[6:-6, 5:-5],
    "cropped and windowed": lambda image: toned(image[10:-10, 8:-8], lambda v: (v - 0.1) / 0.5),
    "all at once": lambda image: as_jpeg(resized(toned(image, lambda v: (v**0.8 - 0.05) / 0.8), 0.95, 0.97), 50),
}


@pytest.fixture(scope="module")
def limbs(draw_limb: DrawLimb) -> dict[str, Grey]:
    return {f"limb{seed}": draw_limb(seed) for seed in range(150)}


def test_different_limbs_in_one_position_are_not_copies(limbs: dict[str, Grey]) -> None:
    prints = {name: fingerprint(image) for name, image in limbs.items()}
    assert near_duplicates(prints) == []
    coarse = np.stack([p.coarse.ravel() for p in prints.values()])
    alike = coarse @ coarse.T
    assert np.sort(alike[np.triu_indices(len(alike), 1)])[-1] > 0.5, "the pictures must look alike for this to test"


@pytest.mark.parametrize("change", COPIES)
def test_a_changed_copy_is_found_among_look_alikes(change: str, limbs: dict[str, Grey]) -> None:
    prints = {name: fingerprint(image) for name, image in limbs.items()}
    copied = [f"limb{seed}" for seed in range(0, 150, 10)]
    prints |= {f"{name} copy": fingerprint(COPIES[change](limbs[name])) for name in copied}
    pairs = near_duplicates(prints)
    assert {(first, second) for first, second, _ in pairs} == {(name, f"{name} copy") for name in copied}
    assert all(SAME_FILM <= value <= 1 + 1e-6 for _, _, value in pairs)


def test_correlation_of_whole_images_equals_numpys(limbs: dict[str, Grey]) -> None:
    first, second = fingerprint(limbs["limb3"]), fingerprint(as_jpeg(limbs["limb3"], 60))
    whole = np.corrcoef(first.fine.ravel(), second.fine.ravel())[0, 1]
    top = np.corrcoef(first.fine[:32].ravel(), second.fine[:32].ravel())[0, 1]
    assert correlation(first, second) == pytest.approx(max(whole, top), abs=1e-5)
    assert correlation(second, first) == pytest.approx(correlation(first, second), abs=1e-5)


def test_fingerprints_have_zero_mean_and_unit_norm(limbs: dict[str, Grey]) -> None:
    made = fingerprint(limbs["limb0"])
    for plane, size in ((made.coarse, 32), (made.fine, 64)):
        assert plane.shape == (size, size)
        assert plane.dtype == np.float32
        assert float(plane.mean()) == pytest.approx(0, abs=1e-6)
        assert float(np.linalg.norm(plane)) == pytest.approx(1, abs=1e-5)


def test_empty_pictures_are_no_copies_and_break_nothing() -> None:
    flat = fingerprint(np.full((50, 70), 90, dtype=np.uint8))
    assert not flat.fine.any()
    assert correlation(flat, flat) == 0
    assert near_duplicates({"a": flat, "b": flat}) == []
    assert near_duplicates({}) == []
    assert near_duplicates({"a": flat}) == []


def test_a_large_file_read_at_reduced_scale_matches_its_pixels(tmp_path: Path, draw_limb: DrawLimb) -> None:
    large = resized(draw_limb(5), 6, 6)
    Image.fromarray(large).save(tmp_path / "large.jpg", quality=90)
    assert correlation(fingerprint_file(tmp_path / "large.jpg"), fingerprint(large)) > 0.95


def test_groups_join_pairs_that_share_an_image() -> None:
    pairs = [("b", "c", 1.0), ("e", "d", 0.9), ("a", "b", 0.9), ("c", "f", 0.85), ("a", "f", 0.8)]
    assert duplicate_groups(pairs) == (("a", "b", "c", "f"), ("d", "e"))
    assert duplicate_groups([]) == ()


@pytest.mark.real_data
def test_no_chest_film_is_taken_for_another(shared_data: Path) -> None:
    """Half of the films, some of one patient at different times."""
    records = by_name("nih-chestxdet")(shared_data / "cxr").records[::2]
    prints = fingerprint_records(records)
    assert len(prints) == 224
    assert len({record.patient_id for record in records}) < 224
    assert near_duplicates(prints) == []


@pytest.mark.real_data
def test_the_committed_table_names_copies(shared_data: Path, repository: Path) -> None:
    """Every listed pair is found again; the best pair seen to be of different limbs is not one."""
    with (repository / "data_cards" / "fracatlas_duplicates.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images = shared_data / "fracatlas" / "images"
    for row in rows:
        value = correlation(*(fingerprint_file(images / f"{row[side]}.jpg") for side in ("first", "second")))
        assert value == pytest.approx(float(row["correlation"]), abs=2e-3)
        assert value >= SAME_FILM
    assert sum(row["first_part"] != row["second_part"] for row in rows) == 24
    different = (("IMG0001622", "IMG0004265"), ("IMG0000352", "IMG0003165"), ("IMG0001933", "IMG0003279"))
    for names in different:
        assert correlation(*(fingerprint_file(images / f"{name}.jpg") for name in names)) < SAME_FILM

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from PIL import Image

from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.data.phantom.chest_ct import chest_ct, nodule_ct
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.pools import (
    SHARD,
    SHOWN_OF_A_VOLUME,
    SLICES_OF_A_VOLUME,
    VOLUME_SLICES,
    generated,
    hold_records,
    large_film,
    phantom_radiograph,
    phantom_slice,
    stranger_image,
    volume_slice,
    write_shard,
)
from medground.data.sample import Held, quantise, restore
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.box import Box
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord, Region
from pipelines.recipes.compact import compact_model
from tests.full_disk import no_file_longer_than


def test_quantising_loses_at_most_half_a_step():
    values = np.linspace(-3, 3, 1001, dtype=np.float32)
    assert np.abs(restore(quantise(values)) - values).max() <= 3 / 255 + 1e-6


def test_a_record_is_held_with_boxes_in_the_frame(tmp_path):
    Image.fromarray(np.arange(200 * 100, dtype=np.uint32).reshape(100, 200).astype(np.uint8)).save(tmp_path / "a.png")
    region = Region(concept="nodule", box=Box(x1=20, y1=10, x2=60, y2=50), source="test")
    record = ImageRecord(
        record_id="a", patient_id="p", path=tmp_path / "a.png", columns=200, rows=100,
        domain=Domain.CHEST_RADIOGRAPH, dataset="test", regions=(region,), exhaustive_for=frozenset({"nodule"}),
    )  # fmt: skip
    (held,) = hold_records([record], 64)
    assert held.pixels_HW.shape == (32, 64)
    assert held.boxes_G4.tolist() == [pytest.approx([6.4, 3.2, 19.2, 16.0])]
    assert (held.concepts, held.real, held.exhaustive_for) == (("nodule",), True, frozenset({"nodule"}))
    with pytest.raises(ValueError, match="names no image file"):
        list(hold_records([record.model_copy(update={"path": None})], 64))


def test_a_phantom_is_known_free_of_what_it_never_shows():
    for seed in range(12):
        held = phantom_radiograph(seed, 128)
        truth = chest_radiograph(seed, size_px=128)
        assert held.concepts == tuple(r.concept for r in truth.regions)
        opaque = bool({"consolidation", "atelectasis", "mass"} & set(held.concepts))
        assert ("pneumonia" in held.exhaustive_for) == (not opaque)
        assert "fibrosis" in held.exhaustive_for


def test_kinds_of_image():
    assert DOMAINS[phantom_slice(1, 128).domain] is Domain.CHEST_CT
    other = stranger_image(1, 128)
    assert DOMAINS[other.domain] is Domain.OTHER
    assert other.boxes_G4.shape == (0, 4)


def test_generated_images_come_back_from_the_cache_as_they_were(tmp_path):
    notes: list[str] = []
    first = generated(phantom_radiograph, range(3), 64, tmp_path, workers=1, note=notes.append)
    again = generated(phantom_radiograph, range(3), 64, tmp_path, workers=1, note=notes.append)
    assert len(notes) == 1  # the second call made nothing
    for one, two, seed in zip(first, again, range(3), strict=True):
        fresh = phantom_radiograph(seed, 64)
        for held in (one, two):
            assert np.array_equal(held.pixels_HW, fresh.pixels_HW)
            assert np.array_equal(held.boxes_G4, fresh.boxes_G4)
            assert (held.concepts, held.appearance, held.exhaustive_for) == (
                fresh.concepts, fresh.appearance, fresh.exhaustive_for,
            )  # fmt: skip


def test_trainings_beside_each_other_write_one_cache(tmp_path):
    path, writers = tmp_path / "shard.npz", 6
    ready = Barrier(writers)

    def made(seed: int, size_px: int) -> Held:
        held = phantom_radiograph(seed, size_px)
        ready.wait(60)
        return held

    with ThreadPoolExecutor(writers) as pool:
        for job in [pool.submit(write_shard, made, range(5, 6), 64, path) for _ in range(writers)]:
            job.result()
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence_and_leaves_no_half_shard(tmp_path):
    path = tmp_path / "shard.npz"
    for limit in (0, 1, 2_000):
        said = r"shard\.npz cannot be written \(File too large\); make room"
        with no_file_longer_than(limit), pytest.raises(UsageError, match=said):
            write_shard(phantom_radiograph, range(2), 64, path)
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"shard\.npz cannot be written \(No such file or directory\)"):
        write_shard(phantom_radiograph, range(2), 64, tmp_path / "absent" / "shard.npz")


def _noise(seed: int, size_px: int) -> Held:
    """An image that does not compress; a shard of them leaves a mark when it is begun, and takes its time."""
    if seed % SHARD == 0:
        Path(os.environ["BEGUN"], str(seed)).touch()
        time.sleep(0.2)
    pixels = np.random.default_rng(seed).integers(0, 256, (size_px, size_px), dtype=np.uint8)
    return Held(pixels, np.zeros((0, 4), dtype=np.float32), (), frozenset(), 0, (), False)


def test_a_full_disk_ends_the_making_and_keeps_what_was_made(tmp_path, monkeypatch):
    begun, cache, notes, shards = tmp_path / "begun", tmp_path / "cache", list[str](), 40
    begun.mkdir()
    monkeypatch.setenv("BEGUN", str(begun))
    (made,) = generated(phantom_radiograph, range(1), 64, cache, workers=1, note=notes.append)
    before = {path.name: path.read_bytes() for path in cache.iterdir()}
    with no_file_longer_than(20_000), pytest.raises(UsageError, match=r"npz cannot be written \(File too large\)"):
        generated(_noise, range(SHARD * shards), 64, cache, workers=1, note=notes.append)
    assert 1 <= len(list(begun.iterdir())) < shards  # once one is refused, the rest is not waited for
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == before
    (again,) = generated(phantom_radiograph, range(1), 64, cache, workers=1, note=notes.append)
    assert np.array_equal(again.pixels_HW, made.pixels_HW)
    assert len(notes) == 1
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be written"):
        generated(phantom_radiograph, range(1), 64, tmp_path / "file" / "cache", workers=1, note=notes.append)


def test_the_describer_knows_every_word_that_phantoms_are_drawn_by():
    words = set(compact_model(("nodule",)).backbone.describer.words)
    assert words >= {word for group in APPEARANCE_WORDS.values() for word in group}
    volume = nodule_ct(9_000_000, size_px=192, slices=24, count=3)
    said = {word for region in volume.regions3d for word in region.appearance}
    assert said
    assert said <= words


def test_slices_of_a_volume_are_different_ones_and_carry_their_neighbours():
    volume = chest_ct(2, slices=VOLUME_SLICES)
    held = [volume_slice(2 * SLICES_OF_A_VOLUME + number, 256) for number in range(SLICES_OF_A_VOLUME)]
    shown = {n for region in volume.regions3d for n in region.boxes}
    assert sum(bool(one.concepts) for one in held) == min(SHOWN_OF_A_VOLUME, len(shown))
    assert len({one.pixels_HW.tobytes() for one in held}) == SLICES_OF_A_VOLUME
    for one in held:
        assert one.beside_2HW is not None
        assert one.beside_2HW.shape == (2, 256, 256)
        boxes = {
            (region.concept, region.boxes[n].xyxy_px) for region in volume.regions3d for n in shown & set(region.boxes)
        }
        assert {(c, tuple(b)) for c, b in zip(one.concepts, one.boxes_G4.tolist(), strict=True)} <= boxes
        apart = [np.abs(one.pixels_HW.astype(int) - side.astype(int)).mean() for side in one.beside_2HW]
        assert all(0 < difference < 25 for difference in apart)  # neighbours: alike, and not the same


def test_a_large_film_is_kept_large_with_its_truth():
    film = large_film(1, 704)
    assert film.pixels_HW.shape == (704, 704)
    assert set(film.concepts) <= {"nodule", "calcification"}
    assert {"nodule", "calcification", "mass"} <= film.exhaustive_for
    assert large_film(2, 704).concepts == phantom_radiograph(2, 128).concepts


def test_neighbours_come_back_from_the_cache(tmp_path):
    notes: list[str] = []
    made = generated(volume_slice, range(2), 64, tmp_path, workers=1, note=notes.append)
    for one, seed in zip(made, range(2), strict=True):
        fresh = volume_slice(seed, 64)
        assert one.beside_2HW is not None
        assert fresh.beside_2HW is not None
        assert np.array_equal(one.beside_2HW, fresh.beside_2HW)
    (alone,) = generated(phantom_slice, range(1), 64, tmp_path, workers=1, note=notes.append)
    assert alone.beside_2HW is None

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.pools import generated, hold_records, phantom_radiograph, phantom_slice, stranger_image
from medground.data.sample import quantise, restore
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region


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

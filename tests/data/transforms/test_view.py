from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.transforms import Compose

from medground.data.transforms.frames import Framed, view_from
from medground.data.transforms.geometry import RandFlipd, RandQuarterTurnd
from medground.data.transforms.intensity import RandIntensityd
from medground.data.transforms.view import broader_than, items_of, sides_of, transformed, unwrapped, view_of, with_sides
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain, Side
from medground.schema.errors import InputNotFoundError
from tests.data.made_records import disc_record

VOCABULARY = load_vocabulary()


def test_a_view_survives_the_way_into_the_dictionary_and_back(tmp_path: Path) -> None:
    record = disc_record(tmp_path, "r", [("nodule", 60, 90, 12), ("mass", 140, 60, 9)])
    view = view_from(record, Framed(200)(record))
    back = view_of(items_of(view))
    assert back.record == view.record
    assert torch.equal(back.pixels_HW, view.pixels_HW)
    assert back.record.path is None


def test_boxes_stay_in_the_picture_against_rounding(tmp_path: Path) -> None:
    record = disc_record(tmp_path, "r", [("nodule", 60, 90, 12)])
    items = items_of(view_from(record, Framed(200)(record)))
    items["boxes_xyxy_px"] = torch.tensor([[-1e-5, 3, 200 + 1e-5, 20]], dtype=torch.float64)
    assert view_of(items).record.regions[0].box.xyxy_px == (0, 3, 200, 20)


def test_a_chain_draws_from_the_generator_alone(tmp_path: Path) -> None:
    record = disc_record(tmp_path, "r", [("nodule", 60, 90, 12)])
    view = view_from(record, Framed(200)(record))
    chain = Compose([RandQuarterTurnd({Domain.CHEST_RADIOGRAPH}), RandFlipd(0.5), RandIntensityd()])
    first = [transformed(view, chain, np.random.default_rng(seed)) for seed in range(12)]
    second = [transformed(view, chain, np.random.default_rng(seed)) for seed in reversed(range(12))]
    for one, other in zip(first, reversed(second), strict=True):
        assert torch.equal(one.pixels_HW, other.pixels_HW)
        assert one.record == other.record
    assert len({one.record.regions[0].box.xyxy_px for one in first}) >= 5  # of eight ways to hang a film


def test_quarter_turns_are_for_their_domains(tmp_path: Path) -> None:
    record = disc_record(tmp_path, "r", [("nodule", 60, 90, 12)])
    view = view_from(record, Framed(200)(record))
    chain = Compose([RandQuarterTurnd({Domain.LIMB_RADIOGRAPH})])
    for seed in range(6):
        assert torch.equal(transformed(view, chain, np.random.default_rng(seed)).pixels_HW, view.pixels_HW)


def test_the_error_of_a_transform_comes_out_as_it_is(tmp_path: Path) -> None:
    record = disc_record(tmp_path, "r", [])
    with pytest.raises(InputNotFoundError):
        unwrapped(Compose([Framed(64)]), record.model_copy(update={"path": tmp_path / "gone.png"}))


def test_sides_are_read_off_the_record_or_its_middle(tmp_path: Path) -> None:
    record = disc_record(tmp_path, "r", [("nodule", 60, 90, 12), ("mass", 140, 60, 9), ("nodule", 100, 60, 9)])
    sides = sides_of(record, VOCABULARY)
    assert sides == (Side.RIGHT, Side.LEFT, None)
    assert [region.side for region in with_sides(record.regions, sides)] == list(sides)


def test_broader_concepts_are_those_up_the_tree() -> None:
    assert broader_than(["rib_metastasis"], VOCABULARY) == {"rib_metastasis", "bone_metastasis", "bone_tumour"}
    assert broader_than(["nodule", "pneumonia"], VOCABULARY) == {"nodule", "pneumonia", "lung_opacity", "lung_lesion"}
    assert broader_than([], VOCABULARY) == frozenset()

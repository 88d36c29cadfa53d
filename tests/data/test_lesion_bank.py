from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from medground.data.copy_paste import SOURCE, PasteConfig
from medground.data.frame_cache import FrameCache
from medground.data.lesion_bank import LesionBank
from medground.data.repeat_factor import concepts_by_image
from medground.data.transforms.frames import view_from
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain
from medground.schema.record import ImageRecord
from tests.data.made_records import disc_record

VOCABULARY = load_vocabulary()


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    discs = [[("nodule", 60, 90, 12)], [("nodule", 140, 80, 10)], [("calcification", 60, 80, 6)], [], []]
    found = [disc_record(tmp_path, f"r{number}", own) for number, own in enumerate(discs)]
    found[4] = disc_record(tmp_path, "r4", [], domain=Domain.CHEST_CT)
    return found


def _bank(records: list[ImageRecord], folder: Path, rare: set[str]) -> LesionBank:
    frames = FrameCache(records, 200, folder)
    return LesionBank(frames, concepts_by_image(records), rare, PasteConfig(), VOCABULARY)


def test_each_rare_concept_is_drawn_as_often_as_another(records: list[ImageRecord], tmp_path: Path) -> None:
    bank = _bank(records, tmp_path / "cache", {"nodule", "calcification"})
    rng = np.random.default_rng(0)
    drawn = Counter()
    for _ in range(200):
        lesion = bank.draw(records[3], rng)
        assert lesion is not None
        drawn[lesion.regions[0].concept, lesion.record.record_id] += 1
    assert drawn["calcification", "r2"] == pytest.approx(100, abs=25)
    assert drawn["nodule", "r0"] == pytest.approx(50, abs=20)
    assert drawn["nodule", "r1"] == pytest.approx(50, abs=20)


def test_only_rare_concepts_that_the_target_is_free_of_are_drawn(records: list[ImageRecord], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bank = _bank(records, tmp_path / "cache", {"calcification"})
    assert bank.draw(records[2], rng) is None
    assert bank.draw(records[4], rng) is None  # of another domain
    unknown = records[3].model_copy(update={"exhaustive_for": frozenset({"nodule"})})
    assert bank.draw(unknown, rng) is None
    lesion = bank.draw(records[0], rng)
    assert lesion is not None
    assert lesion.regions[0].concept == "calcification"


def test_whole_organs_and_linings_are_never_drawn(records: list[ImageRecord], tmp_path: Path) -> None:
    assert _bank(records, tmp_path / "cache", {"cardiomegaly", "pneumothorax", "nodule"}).rows == {"nodule": [0, 1]}


def test_a_view_is_enriched_or_left_as_it_is(records: list[ImageRecord], tmp_path: Path) -> None:
    bank = _bank(records, tmp_path / "cache", {"nodule"})
    free = view_from(records[3], bank.frames.frame(3))
    enriched = bank.enrich(free, np.random.default_rng(1))
    assert [region.source for region in enriched.record.regions] == [SOURCE]
    full = view_from(records[0], bank.frames.frame(0))
    same = bank.enrich(full, np.random.default_rng(1))
    assert same.record == full.record
    assert torch.equal(same.pixels_HW, full.pixels_HW)

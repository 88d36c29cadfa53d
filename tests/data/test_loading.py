"""Training pairs: the same whatever worker draws them, and true of the patient whatever was done to the view."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from medground.data.copy_paste import SOURCE
from medground.data.loading import LoadConfig, TrainingPair, TrainingPairs, collate
from medground.data.phantom.chest_ct import nodule_ct
from medground.data.phantom.ct_truth import write_ct_truth
from medground.data.phantom.population import phantom_record
from medground.data.verify.check import verify
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain, Side
from medground.schema.errors import DataSetError
from medground.schema.pair import PairKind
from medground.schema.record import ImageRecord
from tests.data.made_records import disc_record

VOCABULARY = load_vocabulary()
CONFIG = LoadConfig(frame_px=160, zoom={"size_px": 128}, mosaic=0.2, copy_paste=0.6, rare=0.3)
LENGTH = 90


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRecord]:
    """Films and slices of phantoms, some on film hung the wrong way round, and a limb."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("films")
    found = []
    for number in range(12):
        image, record = phantom_record("train", number, size_px=256)
        path = folder / f"{record.record_id}.png"
        Image.fromarray(np.round(image.pixels * 255).astype(np.uint8)).save(path)
        found.append(record.model_copy(update={"path": path}))
    slices = write_ct_truth(nodule_ct(1, slices=16), folder / "ct")
    found += [record for record in slices if record.regions][:3]
    found.append(
        disc_record(
            folder,
            "limb",
            [("fracture", 60, 90, 14)],
            domain=Domain.LIMB_RADIOGRAPH,
            columns_toward_left=None,
            rows_toward_feet=None,
            exhaustive_for=frozenset({"fracture"}),
        )
    )
    return found


@pytest.fixture(scope="module")
def pairs(records: list[ImageRecord], tmp_path_factory: pytest.TempPathFactory) -> TrainingPairs:
    cache = tmp_path_factory.mktemp("cache")
    return TrainingPairs(records, VOCABULARY, CONFIG, cache=cache, seed=7, length=LENGTH)


@pytest.fixture(scope="module")
def drawn(pairs: TrainingPairs) -> list[TrainingPair]:
    return [pairs[number] for number in range(LENGTH)]


def _same(one: TrainingPair, other: TrainingPair) -> bool:
    return (
        torch.equal(one.view.pixels_HW, other.view.pixels_HW)
        and one.view.record == other.view.record
        and one.pair == other.pair
        and one.negatives == other.negatives
    )


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_number_of_workers_gives_the_same(pairs: TrainingPairs, drawn: list[TrainingPair], workers: int) -> None:
    start = [number for number in range(LENGTH) if number % 4 == 0]
    loader = DataLoader(torch.utils.data.Subset(pairs, start), batch_size=3, num_workers=workers, collate_fn=collate)
    found = [pair for batch in loader for pair in batch.pairs]
    assert len(found) == len(start)
    assert all(_same(pair, drawn[number]) for pair, number in zip(found, start, strict=True))


def test_a_pair_does_not_depend_on_what_was_drawn_before(pairs: TrainingPairs, drawn: list[TrainingPair]) -> None:
    assert all(_same(pairs[number], drawn[number]) for number in (17, 3, 17, 40))


def test_another_seed_gives_others(records: list[ImageRecord], pairs: TrainingPairs, drawn: list[TrainingPair]) -> None:
    other = TrainingPairs(records, VOCABULARY, CONFIG, cache=pairs.frames.folder, seed=8, length=LENGTH)
    assert not any(_same(other[number], drawn[number]) for number in range(8))


def test_the_draw_covers_what_there_is_to_cover(drawn: list[TrainingPair]) -> None:
    views = [pair.view for pair in drawn]
    assert {view.record.domain for view in views} == {
        Domain.CHEST_RADIOGRAPH,
        Domain.CHEST_CT,
        Domain.LIMB_RADIOGRAPH,
    }
    assert {view.record.columns_toward_left for view in views} == {1, -1, None}
    assert any("+" in view.record.record_id for view in views)
    assert any(region.source == SOURCE for view in views for region in view.record.regions)
    assert {PairKind.PRESENT, PairKind.ABSENT, PairKind.WRONG_SIDE} <= {pair.pair.kind for pair in drawn}
    assert {"background", "confusable"} & {negative.kind for pair in drawn for negative in pair.negatives}


def test_every_question_and_statement_holds_for_its_view(drawn: list[TrainingPair]) -> None:
    """The verifier shares no code with the writer of questions, nor with the transforms."""
    for pair in drawn:
        assert verify(pair.pair, pair.view.record, VOCABULARY) == ()


def test_side_words_follow_the_patient_of_the_first_image(
    records: list[ImageRecord], drawn: list[TrainingPair]
) -> None:
    """What is said of sides, against the records as they were before anything was done."""
    sides: dict[str, dict[str, Counter[Side | None]]] = {}
    for record in records:
        for region in record.regions:
            sides.setdefault(record.record_id, {}).setdefault(region.concept, Counter())[region.side] += 1
    said = 0
    for pair in drawn:
        record = pair.view.record
        if "+" in record.record_id:
            continue
        for index, region in enumerate(record.regions):
            if region.source == SOURCE:
                continue
            known = sides[record.record_id][region.concept]
            assert region.side is None or known[region.side] > 0 or None in known
            for statement in (one for one in pair.pair.statements if one.region == index):
                for word, side in (("left", Side.LEFT), ("right", Side.RIGHT), ("左", Side.LEFT), ("右", Side.RIGHT)):
                    if word in statement.text and set(known) <= {Side.LEFT, Side.RIGHT}:
                        said += 1
                        assert known[side] > 0, (pair.pair.question, statement.text)
    assert said > 10


def test_boxes_lie_in_the_view_and_negatives_are_no_answers(drawn: list[TrainingPair]) -> None:
    for pair in drawn:
        record = pair.view.record
        assert pair.view.pixels_HW.shape == (128, 128) == (record.rows, record.columns)
        assert pair.view.pixels_HW.abs().max() <= 3
        for region in record.regions:
            assert region.box.x2 <= 128
            assert region.box.y2 <= 128
        answers = [record.regions[index].box for index in pair.pair.targets]
        for negative in pair.negatives:
            assert max(negative.box.iou(box) for box in answers) <= 0.6


def test_a_batch_holds_targets_and_negatives_of_each(drawn: list[TrainingPair]) -> None:
    batch = collate(drawn[:5])
    assert batch.images_B1HW.shape == (5, 1, 128, 128)
    for number, pair in enumerate(drawn[:5]):
        assert batch.targets_BG4[number].shape == (len(pair.pair.targets), 4)
        assert batch.negatives_BN4[number].shape == (len(pair.negatives), 4)
        for row, index in enumerate(pair.pair.targets):
            box = pair.view.record.regions[index].box
            assert batch.targets_BG4[number][row].tolist() == pytest.approx(box.xyxy_px)
        assert bool(batch.complete_B[number]) == pair.pair.complete


def test_rare_images_are_drawn_as_often_as_their_factor_says(tmp_path: Path) -> None:
    records = [disc_record(tmp_path, f"r{number}", [], size=64) for number in range(24)]
    records.append(disc_record(tmp_path, "rare", [("nodule", 30, 30, 8)], size=64))
    config = CONFIG.model_copy(update={"repeat": 1.0})
    pairs = TrainingPairs(records, VOCABULARY, config, cache=tmp_path / "cache", seed=0, length=1)
    rng = np.random.default_rng(0)
    drawn = Counter(pairs._draw(rng) for _ in range(6000))
    # sqrt(1 / (1 / 25)) = 5 against 1 for each of the others: 5 in 29
    assert drawn[24] / 6000 == pytest.approx(5 / 29, abs=0.02)
    assert set(drawn) == set(range(25))


def test_images_that_nothing_is_known_of_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="no images to train on"):
        TrainingPairs([], VOCABULARY, CONFIG, cache=tmp_path / "cache", seed=0, length=1)
    record = disc_record(tmp_path, "empty", [], size=64, exhaustive_for=frozenset())
    pairs = TrainingPairs([record], VOCABULARY, CONFIG, cache=tmp_path / "cache", seed=0, length=1)
    with pytest.raises(DataSetError, match="nothing to ask about"):
        pairs[0]

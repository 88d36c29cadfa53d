"""Which measured parts count: by the name of a part, by the seeds of phantoms, and by the model that was measured."""

from __future__ import annotations

import pytest

from medground.cards.untouched import HELD_OUT_SEEDS, untouched_of, why_touched
from pipelines.measure import label
from pipelines.sources import CHEST, LIMB
from pipelines.sources import HELD_OUT_SEEDS as OF_TRAINING
from tests.cards.made_cards import evidence_for, films, phantoms


@pytest.mark.parametrize(
    ("data", "counts"),
    [
        ("real chest radiographs, valid part", True),
        (label(CHEST, 4, "valid"), True),
        (f"{label(LIMB, None, 'test')}, images with a box", True),
        (label(CHEST, 4, "dev"), False),
        (label(CHEST, None, "train"), False),
        ("the valid films", False),
        ("films, valid party", False),
    ],
)
def test_a_part_of_real_images(data: str, counts: bool) -> None:
    assert why_touched(films(data=data)) == ("" if counts else "is neither a valid nor a test part")


def test_phantoms_count_by_their_seeds_whatever_they_are_called() -> None:
    assert HELD_OUT_SEEDS == OF_TRAINING
    scene = films(data="phantoms, dev part")
    assert why_touched(phantoms(scene, HELD_OUT_SEEDS)) == ""
    some = why_touched(phantoms(films(), HELD_OUT_SEEDS - 3))
    assert some == "has 3 phantoms of seeds below 5,000,000, which training uses"


def test_without_images_nothing_was_measured() -> None:
    assert why_touched(films().model_copy(update={"images": ()})) == "has no image"


def test_of_a_card_those_of_its_own_model() -> None:
    scenes = {"films": films(), "tuned": films(data="films, dev part")}
    assert list(untouched_of(evidence_for(scenes))) == ["films"]
    assert untouched_of(evidence_for(scenes, system="model (abcdefabcdef)")) == {}

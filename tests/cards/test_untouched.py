"""Which measured parts count: by the name of a part, by the seeds of phantoms, and by the model that was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medground.cards.untouched import (
    HELD_OUT_SEEDS,
    untouched_of,
    why_leaks_unknown,
    why_not_counted,
    why_touched,
)
from pipelines.measure import label
from pipelines.sources import CHEST, LIMB, TUNING_SEEDS
from pipelines.sources import HELD_OUT_SEEDS as OF_TRAINING
from tests.cards.made_cards import evidence_for, films, phantoms

WHOLE = {"held_out": {"fold": None, "large_fold": None}}


@pytest.mark.parametrize(
    ("data", "counts"),
    [
        ("real chest radiographs, valid part", True),
        (label(CHEST, None, "valid"), True),
        (f"{label(LIMB, None, 'test')}, images with a box", True),
        (label(CHEST, 4, "dev"), False),
        (label(CHEST, None, "train"), False),
        ("the valid films", False),
        ("films, valid party", False),
    ],
)
def test_a_part_of_real_images(data: str, counts: bool) -> None:
    assert why_touched(films(data=data), WHOLE) == ("" if counts else "is neither a valid nor a test part")


@pytest.mark.parametrize(("fold", "words"), [({"fold": 0}, "fold 0 held"), ({"large_fold": 3}, "large fold 3 held")])
def test_no_real_part_counts_for_a_model_that_was_trained_with_a_fold_held_out(
    fold: dict[str, int], words: str
) -> None:
    summary = {"held_out": {"fold": None, "large_fold": None, **fold}}
    assert words in why_touched(films(), summary)
    assert why_touched(phantoms(films(), HELD_OUT_SEEDS.start), summary) == ""
    assert why_touched(films(), {}) == ""  # a training from before folds
    evidence = replace(evidence_for({"films": films()}), summary=summary)
    assert untouched_of(evidence) == {}


def test_a_fold_is_no_part() -> None:
    assert (
        why_touched(films(data=label(CHEST, 4, "valid")), WHOLE)
        == "is a fold of films that other models are trained on"
    )


def test_leaks_are_unknown_where_a_real_data_set_was_not_checked() -> None:
    evidence = evidence_for({"films": films()})
    assert why_leaks_unknown(evidence) == ""
    bare = tuple(card.model_copy(update={"leak_check": None}) for card in evidence.data_cards)
    assert (
        why_leaks_unknown(replace(evidence, data_cards=bare)) == "no leak check of bccd, cxr, fracatlas is on the card"
    )
    made = evidence_for({"films": phantoms(films(), HELD_OUT_SEEDS.start)})
    assert why_leaks_unknown(replace(made, data_cards=bare)) == ""


def test_phantoms_count_by_their_seeds_whatever_they_are_called() -> None:
    assert HELD_OUT_SEEDS.start == OF_TRAINING
    scene = films(data="phantoms, dev part")
    assert why_touched(phantoms(scene, HELD_OUT_SEEDS.start), WHOLE) == ""
    some = why_touched(phantoms(films(), HELD_OUT_SEEDS.start - 3), WHOLE)
    words = "of other seeds than from 5,000,000 to 5,999,999, which alone are held out"
    assert some == f"has 3 phantoms {words}"
    assert words in why_touched(phantoms(films(), TUNING_SEEDS), WHOLE)


def test_without_images_nothing_was_measured() -> None:
    assert why_touched(films().model_copy(update={"images": ()}), WHOLE) == "has no image"


def test_of_a_card_those_of_its_own_model() -> None:
    scenes = {"films": films(), "tuned": films(data="films, dev part")}
    assert list(untouched_of(evidence_for(scenes))) == ["films"]
    assert untouched_of(replace(evidence_for(scenes), manifest_sha256="abcdefabcdef" + "0" * 52)) == {}


def test_what_was_looked_at_otherwise_than_by_itself_decides_nothing() -> None:
    looked = films().model_copy(update={"look": "all"})
    evidence = evidence_for({"films": films(), "close": looked})
    assert list(untouched_of(evidence)) == ["films"]
    said = why_not_counted(evidence.scenes["close"], evidence)
    assert said == "was measured with --look all, not as the model looks by itself"
    other = films().model_copy(update={"system": "another model (0000)"})
    assert why_not_counted(other, evidence).startswith("was measured with another model (0000), not with ")

"""The gate: a worse model is refused by each rule separately, a better one passes, and the words have the figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from medground.cards.contents import LeakCheck
from medground.cards.findings import Finding, Kind
from medground.cards.measured import Resampling
from medground.cards.registry import Carded, Decision, Rule, decide
from medground.cards.untouched import HELD_OUT_SEEDS
from medground.evaluation.scene import Scene
from medground.schema.result import Verdict
from tests.cards.made_cards import COMMON, RARE, USUAL, evidence_for, films, held, phantoms

QUICK = Resampling(resamples=200)
Answer = tuple[str, bool, Verdict, float | None]
BETTER = {**dict.fromkeys(COMMON, 19), RARE: 18}


def gate(candidate: Carded, current: Carded | None) -> Decision:
    return decide(candidate, current, QUICK)


def model(*scenes: Scene, version: str, **said: Any) -> Carded:
    return held(evidence_for({f"part{row}": scene for row, scene in enumerate(scenes)}, version=version, **said))


@pytest.fixture(scope="module")
def current() -> Carded:
    return model(films(), version="1")


def words(decision: Decision, rule: Rule) -> str:
    return " | ".join(ruling.words for ruling in decision.rules if ruling.rule is rule)


def test_a_better_model_passes_and_the_words_have_the_figures(current: Carded) -> None:
    decision = gate(model(films(BETTER), version="2"), current)
    assert decision.promoted
    assert decision.broken == ()
    assert {ruling.rule for ruling in decision.rules} == set(Rule)
    # (3 x 95 + 91) / 4 and (3 x 61 + 81) / 4 of the 101 levels; 19 of 20 lie a rounding below the level 0.95
    mean = words(decision, Rule.MEAN)
    assert mean.startswith("part0, mean AP50: 0.931, the current one 0.653 [0.5")
    assert mean.endswith("n = 80 boxes on 80 images")
    assert words(decision, Rule.RARE).startswith("part0, AP50 of cavity: 0.901, the current one 0.802 [")
    assert "n = 20 boxes on 80 images" in words(decision, Rule.RARE)
    assert (
        words(decision, Rule.UNTOUCHED)
        == "part0: films, valid part, 80 images of 80 patients as far as the source tells them apart"
    )


def test_the_same_model_passes(current: Carded) -> None:
    assert gate(model(films(), version="2"), current).promoted


def test_a_first_model_passes_on_the_rules_that_need_no_other() -> None:
    decision = gate(model(films({**USUAL, RARE: 0}), version="1"), None)
    assert decision.promoted
    assert [ruling.rule for ruling in decision.rules] == [Rule.CARD, Rule.BUNDLE, Rule.UNTOUCHED, Rule.PREDECESSOR]


def without_mass(scope: dict[str, Any]) -> dict[str, Any]:
    return scope | {"trained": [one for one in scope["trained"] if one["concept"] != "mass"]}


def cut(scene: Scene) -> Scene:
    return scene.model_copy(update={"images": scene.images[:-1]})


def other_patient(scene: Scene) -> Scene:
    last = scene.images[-1].model_copy(update={"patient_id": scene.images[0].patient_id})
    return scene.model_copy(update={"images": (*scene.images[:-1], last)})


def other_truth(scene: Scene) -> Scene:
    last = scene.images[-1].model_copy(update={"truths": ()})
    return scene.model_copy(update={"images": (*scene.images[:-1], last)})


def answering(scene: Scene, change: Callable[[Answer], Answer]) -> Scene:
    images = tuple(i.model_copy(update={"answers": tuple(map(change, i.answers))}) for i in scene.images)
    return scene.model_copy(update={"images": images})


def unrated_but(scene: Scene, rows: int) -> Scene:
    """Probabilities on the first images alone."""
    bare = answering(scene, lambda answer: (*answer[:3], None))
    return scene.model_copy(update={"images": (*scene.images[:rows], *bare.images[rows:])})


WORSE: Mapping[str, tuple[Callable[[], Carded], Rule, str]] = {
    "a card that was edited": (
        lambda: held(
            evidence_for({"part0": films(BETTER)}, version="2"), Finding("facts.json", Kind.CHANGED, "is new")
        ),
        Rule.CARD,
        "the card is not to be trusted: facts.json: is new",
    ),
    "the card of another bundle": (
        lambda: held(evidence_for({"part0": films(BETTER)}, version="2"), sha256="e" * 64),
        Rule.BUNDLE,
        "and this one is eeeeeeeeeeee",
    ),
    "fewer of the common ones": (
        lambda: model(films({**dict.fromkeys(COMMON, 5), RARE: 17}), version="2"),
        Rule.MEAN,
        "part0, mean AP50: 0.406",  # (3 x 26 + 86) / 4 of 101
    ),
    "none of the rare one": (
        lambda: model(films({**dict.fromkeys(COMMON, 20), RARE: 1}), version="2"),
        Rule.RARE,
        "part0, AP50 of cavity: 0.059, the current one 0.802",  # 6 of 101
    ),
    "a finding less": (
        lambda: model(films(BETTER), version="2", scope=without_mass),
        Rule.CLASSES,
        "no longer answered: mass on chest",
    ),
    "probabilities that mean nothing": (
        lambda: model(films(BETTER, presence=0.95), version="2"),
        Rule.CALIBRATION,
        "part0, calibration error: 0.450, the current one 0.000",
    ),
    "no probabilities": (
        lambda: model(unrated_but(films(BETTER), 0), version="2"),
        Rule.CALIBRATION,
        "no probability for 160 of 160 questions that the current one stated one for",
    ),
    "probabilities on one image": (
        lambda: model(unrated_but(films(BETTER), 1), version="2"),
        Rule.CALIBRATION,
        "no probability for 158 of 160 questions that the current one stated one for",
    ),
    "found, whatever is asked": (
        lambda: model(answering(films(BETTER), lambda a: (a[0], a[1], Verdict.FOUND, a[3])), version="2"),
        Rule.ANSWERS,
        'part0, share answered "found" of what is not there: 1.000, the current one 0.000',
    ),
    "unsupported, whatever is asked": (
        lambda: model(answering(films(BETTER), lambda a: (a[0], a[1], Verdict.UNSUPPORTED, a[3])), version="2"),
        Rule.ANSWERS,
        'part0, share answered "found" of what is there: 0.000, the current one 1.000',
    ),
    "an image less": (
        lambda: model(cut(films(BETTER)), version="2"),
        Rule.IMAGES,
        "part0 cannot be compared: one has 79 images, the other 80",
    ),
    "another truth": (
        lambda: model(other_truth(films(BETTER)), version="2"),
        Rule.IMAGES,
        "image 80 has another size or another truth",
    ),
    "another patient": (
        lambda: model(other_patient(films(BETTER)), version="2"),
        Rule.IMAGES,
        "image 80 belongs to another patient",
    ),
}


@pytest.mark.parametrize("what", WORSE)
def test_a_worse_model_is_refused_by_one_rule_alone(current: Carded, what: str) -> None:
    made, rule, said = WORSE[what]
    decision = gate(made(), current)
    assert not decision.promoted
    assert decision.broken == (rule,)
    assert said in words(decision, rule)
    assert len(decision.reasons) == 1


def test_questions_that_are_not_answered_at_all(current: Carded) -> None:
    scene = films(BETTER)
    images = tuple(image.model_copy(update={"answers": ()}) for image in scene.images)
    decision = gate(model(scene.model_copy(update={"images": images}), version="2"), current)
    assert decision.broken == (Rule.ANSWERS, Rule.CALIBRATION)


def test_a_current_model_that_was_asked_nothing() -> None:
    scene = films()
    images = tuple(image.model_copy(update={"answers": ()}) for image in scene.images)
    before = model(scene.model_copy(update={"images": images}), version="1")
    decision = gate(model(films(BETTER), version="2"), before)
    assert decision.promoted
    assert "the current one was asked nothing" in words(decision, Rule.ANSWERS)
    assert words(decision, Rule.CALIBRATION).endswith(
        "no probability for 0 of 0 questions that the current one stated one for"
    )


def test_without_its_own_card_nothing_else_is_looked_at(current: Carded) -> None:
    decision = gate(Carded("e" * 64, None, None), current)
    assert [(ruling.rule, ruling.passed) for ruling in decision.rules] == [(Rule.CARD, False)]
    assert decision.reasons == ("there is no card",)


def test_a_part_that_was_tuned_on_counts_for_nothing() -> None:
    decision = gate(model(films(BETTER, data="films, dev part"), version="2"), None)
    assert decision.broken == (Rule.UNTOUCHED,)
    assert "part0 is neither a valid nor a test part" in words(decision, Rule.UNTOUCHED)


def test_phantoms_of_other_seeds_are_other_images() -> None:
    before = model(phantoms(films(), HELD_OUT_SEEDS.start), version="1")
    decision = gate(model(phantoms(films(BETTER), HELD_OUT_SEEDS.start + 1), version="2"), before)
    assert decision.broken == (Rule.IMAGES,)
    assert "image 1 is phantom-5000001 and was phantom-5000000" in words(decision, Rule.IMAGES)


def test_real_images_have_other_pseudonyms_on_each_card(current: Carded) -> None:
    renamed = [
        i.model_copy(update={"image_id": f"x{i.image_id}", "patient_id": f"y{i.patient_id}"})
        for i in films(BETTER).images
    ]
    scene = films(BETTER).model_copy(update={"images": tuple(renamed)})
    decision = gate(model(scene, version="2"), current)
    assert decision == gate(model(films(BETTER), version="2"), current)


def test_every_part_of_the_current_model_has_to_be_measured(current: Carded) -> None:
    before = model(films(), films(data="others, test part"), version="1")
    decision = gate(model(films(BETTER), version="2"), before)
    assert decision.broken == (Rule.IMAGES,)
    assert decision.reasons == (
        "part1 cannot be compared: it is not on the card of the candidate; measure both on the same images",
    )
    assert gate(model(films(BETTER), films(data="others, test part"), version="2"), current).promoted


@pytest.mark.parametrize("before", [Carded("d" * 64, None, None), held(evidence_for({}, version="1"), sha256="d" * 64)])
def test_a_current_model_without_its_card_cannot_be_compared_with(before: Carded) -> None:
    decision = gate(model(films(BETTER), version="2"), before)
    assert decision.broken == (Rule.PREDECESSOR,)


def test_a_current_model_that_was_measured_on_nothing_untouched_cannot_be_compared_with() -> None:
    before = model(films(data="films, dev part"), version="1")
    decision = gate(model(films(BETTER), version="2"), before)
    assert decision.broken == (Rule.IMAGES,)


def test_a_finding_is_rare_if_either_model_calls_it_so(current: Carded) -> None:
    many = dict.fromkeys((*COMMON, RARE), 300)
    scene = films({**dict.fromkeys(COMMON, 20), RARE: 1}).model_copy(
        update={"training_boxes": many, "real_boxes": many}
    )
    assert gate(model(scene, version="2"), current).broken == (Rule.RARE,)


def test_the_difference_alone_refuses() -> None:
    """Ten of twenty have a wide interval, and six lie within it; but the four are lost in nearly every resample."""
    old, new = films({**USUAL, RARE: 10}), films({**dict.fromkeys(COMMON, 14), RARE: 6})
    assert gate(model(new, version="2"), model(old, version="1")).broken == (Rule.RARE,)


def test_real_images_need_a_leak_check() -> None:
    evidence = evidence_for({"films": films()})
    bare = tuple(card.model_copy(update={"leak_check": None}) for card in evidence.data_cards)
    decision = gate(held(replace(evidence, data_cards=bare)), None)
    assert decision.broken == (Rule.UNTOUCHED,)
    assert words(decision, Rule.UNTOUCHED).startswith("no leak check of bccd, cxr, fracatlas is on the card; films")


def test_a_model_that_was_trained_with_a_fold_held_out() -> None:
    evidence = replace(evidence_for({"films": films()}), summary={"held_out": {"fold": 2, "large_fold": None}})
    decision = gate(held(evidence), None)
    assert decision.broken == (Rule.UNTOUCHED,)
    assert "trained with fold 2 held out" in words(decision, Rule.UNTOUCHED)


def test_a_leak_that_a_data_card_tells_of() -> None:
    check = LeakCheck(images=9, leaks=2, words="by picture")
    evidence = evidence_for({"films": films()})
    (first, *others) = evidence.data_cards
    leaking = replace(evidence, data_cards=(first.model_copy(update={"leak_check": check}), *others))
    decision = gate(held(leaking), None)
    assert decision.broken == (Rule.UNTOUCHED,)
    assert f"the data card of {first.key} has 2 images in two parts" in words(decision, Rule.UNTOUCHED)

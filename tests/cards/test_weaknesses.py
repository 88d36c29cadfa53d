from __future__ import annotations

import pytest

from medground.cards.facts import facts_of
from medground.data.image_groups import AGE_BANDS
from medground.schema.anatomy import Domain
from medground.schema.subgroup import Axis
from tests.cards.made_cards import phantoms
from tests.cards.made_evidence import four_films, made_evidence, ten_nodules


def said(scenes) -> dict[str, list]:
    found = facts_of(made_evidence(scenes)).weaknesses
    return {rule: [w for w in found if w.rule == rule] for rule in {w.rule for w in found}}


@pytest.mark.parametrize(("found", "rule"), [(10, None), (5, None), (4, "missed"), (3, "missed"), (2, "hardly found")])
def test_what_is_missed_is_said_by_how_often(found, rule):
    rules = said({"films": ten_nodules(found)})
    assert {"missed", "hardly found"} & set(rules) == ({rule} if rule else set())


def test_the_sentence_holds_the_counts():
    (missed,) = said({"films": ten_nodules(3)})["missed"]
    assert missed.words == (
        "It misses nodule more often than not: of 10 marked on ten films it boxes 3 (30 of 100), if 1 false box an "
        "image is accepted."
    )
    assert missed.numbers == {"boxes": 10, "hits": 3, "sensitivity": 0.3, "false_boxes": 1}
    assert (missed.evaluation, missed.concept) == ("films", "nodule")


def test_false_alarms_probabilities_and_few_examples():
    rules = said({"films": four_films()})
    assert rules["false alarms"][0].words == (
        'False alarms: of 5 questions about what is not there on four films, it answered "found" to 20 of 100.'
    )
    assert "off by 21 points of 100" in rules["probabilities off"][0].words
    assert "cavity (1) and nodule (2)" in rules["few examples"][0].words
    assert "missed" not in rules  # two nodules say nothing of how often one is missed


def test_training_on_phantoms_alone_and_on_few_is_said_for_each_kind_of_image():
    rules = said({"films": four_films()})
    words = [weakness.words for weakness in rules["synthetic only"]]
    assert any("On chest radiographs it learnt cavity from synthetic images only" in one for one in words)
    assert any("On chest CTs it learnt consolidation, mass, nodule" in one for one in words)
    (few,) = rules["few real examples"]
    assert few.numbers["pneumothorax"] == 17
    assert "pneumothorax (17)" in few.words


def test_what_is_not_known_of_patients_is_what_was_not_measured_on_them():
    scope = made_evidence().scope
    boxes = {t.concept: t.boxes for t in scope.trained if t.domain == Domain.CHEST_RADIOGRAPH}
    chest = four_films().model_copy(update={"training_boxes": boxes, "real_boxes": boxes})  # with one cavity
    words = [w.words for w in said({"films": chest})["synthetic only"]]
    (films,) = [one for one in words if one.startswith("On chest radiographs")]
    assert films == "On chest radiographs it learnt cavity from synthetic images only."
    (slices,) = [one for one in words if one.startswith("On chest CTs")]
    assert slices.endswith("How it does on patients nobody knows.")


def test_images_are_called_unseen_only_where_that_is_shown():
    scope = made_evidence().scope
    boxes = {t.concept: t.boxes for t in scope.trained if t.domain == Domain.CHEST_RADIOGRAPH}
    scene = four_films().model_copy(update={"training_boxes": boxes, "real_boxes": boxes})
    assert "not there on real chest radiographs, it" in said({"films": scene})["false alarms"][0].words
    part = scene.model_copy(update={"data": "films, valid part"})
    assert "not there on unseen real chest radiographs, it" in said({"films": part})["false alarms"][0].words


def test_a_group_that_no_source_tells_of_is_named():
    rules = said({"films": four_films()})
    (weakness,) = rules["people unknown"]
    assert "age band and device" in weakness.words
    assert "cannot be compared, for they were not read from any source" in weakness.words
    assert rules["children unmeasured"][0].words.endswith("whether children are among them is not known.")
    assert "sex" not in weakness.words


def test_children_count_as_measured_once_there_are_some():
    scene = four_films()
    images = tuple(i.model_copy(update={"attributes": {Axis.AGE_BAND: AGE_BANDS[0][1]}}) for i in scene.images)
    rules = said({"films": scene.model_copy(update={"images": images})})
    assert "children unmeasured" not in rules
    assert "age band" not in rules["people unknown"][0].words


def test_nothing_is_judged_on_phantoms_where_real_images_of_the_kind_were_measured():
    real = ten_nodules(10)
    synthetic = ten_nodules(1)
    synthetic = phantoms(synthetic, 0)
    assert "hardly found" not in said({"films": real, "phantom": synthetic})
    assert "hardly found" in said({"phantom": synthetic})


def test_what_was_never_measured_is_said_for_synthetic_images_too():
    words = [weakness.words for weakness in said({"films": four_films()})["unmeasured"]]
    (ct,) = [one for one in words if "chest CT" in one]
    assert ct.startswith("Never measured on chest CTs, neither real nor synthetic, here: ")
    assert ct.endswith(" and pneumothorax.")

"""Figures of four films, computed on paper (see `four_films`)."""

from __future__ import annotations

import pytest

from medground.cards.contents import CardFacts
from medground.cards.facts import facts_of
from medground.schema.anatomy import Domain
from medground.schema.subgroup import Axis
from tests.cards.made_evidence import COLLECTED_AT, four_films, made_evidence


@pytest.fixture(scope="module")
def facts() -> CardFacts:
    return facts_of(made_evidence())


def test_average_precision_rarest_first(facts):
    (one,) = facts.evaluations
    assert [row.concept for row in one.concepts] == ["cavity", "nodule"]
    cavity, nodule = one.concepts
    assert (cavity.ap50.value, cavity.rare, cavity.synthetic_only, cavity.n_boxes) == (1.0, True, True, 1)
    assert nodule.ap50.value == pytest.approx(51 / 101)
    assert (nodule.rare, nodule.synthetic_only, nodule.n_boxes, nodule.n_images, nodule.n_exhaustive) == (
        *(False, False),
        *(2, 4, 4),
    )
    assert one.mean_ap50.value == pytest.approx((1 + 51 / 101) / 2)
    assert one.mean_ap50_rare.value == 1.0
    assert 0 <= nodule.ap50.low <= nodule.ap50.value <= nodule.ap50.high <= 1


def test_froc_and_false_boxes(facts):
    _, nodule = facts.evaluations[0].concepts
    assert [point.sensitivity for point in nodule.froc.points] == [0.5] * 7
    assert nodule.froc_mean.value == 0.5
    assert nodule.false_on_normal.value == 0.0  # at 0.9, where half of them are found, nothing else is boxed


def test_answers(facts):
    (one,) = facts.evaluations
    assert (one.absent_error.value, one.absent_error.n) == (0.2, 5)  # one of five
    # Bins of a tenth: 4 answers of 0.1 with 1 there; one each at 0.2 and 0.6 not there, at 0.8 and 0.9 there.
    assert one.ece.value == pytest.approx((4 * 0.15 + 0.2 + 0.6 + 0.2 + 0.1) / 8)
    assert one.calibration.ece == pytest.approx(one.ece.value)
    assert [(b.n, b.observed) for b in one.calibration.bins if b.n] == [(4, 0.25), (1, 0), (1, 0), (1, 1), (1, 1)]
    assert (one.answers.present.found, one.answers.present.not_found, one.answers.absent.found) == (2, 1, 1)


def test_groups_and_what_is_not_known(facts):
    (one,) = facts.evaluations
    women, men = one.subgroups
    assert (women.axis, women.value, women.n_images, women.n_patients, women.n_boxes) == (Axis.SEX, "female", 2, 2, 2)
    assert (women.mean_ap50.value, men.mean_ap50.value) == (pytest.approx(51 / 101), 1.0)
    assert (women.found.value, women.found.n) == (0.5, 2)
    assert (men.absent_error.value, men.absent_error.n) == (pytest.approx(1 / 3), 3)
    assert Axis.SEX not in one.unknown_axes
    assert Axis.AGE_BAND in one.unknown_axes


def test_training_is_told_as_the_bundle_has_it(facts):
    cavity = next(row for row in facts.classes if (row.concept, row.domain) == ("cavity", Domain.CHEST_RADIOGRAPH))
    assert (cavity.real_boxes, cavity.synthetic_boxes, cavity.synthetic_only) == (0, 247, True)
    assert facts.stages[0].name == "restore"
    assert facts.stages[0].settings["restoration.patch_px"] == 32
    cxr = next(data for data in facts.training_data if data.key == "cxr")
    assert (cxr.parts["train"].images, cxr.leak_check) == (301, None)
    assert facts.model.trained_on == tuple(data.title for data in facts.training_data)
    assert facts.model.trained_on[-1] == "BCCD, blood smears"
    phantom = next(pool for pool in facts.pools if pool.name == "phantom")
    assert (phantom.images, phantom.by_finding["cavity"]) == (2560, 247)


def test_facts_follow_from_the_evidence_alone(facts):
    assert facts_of(made_evidence()) == facts
    assert facts.versions.collected_on == COLLECTED_AT[:10]


def test_a_scene_as_the_bundle_was_trained_is_known_by_its_kind_of_image():
    scope = made_evidence().scope
    boxes = {t.concept: t.boxes for t in scope.trained if t.domain == Domain.LIMB_RADIOGRAPH}
    scene = four_films().model_copy(update={"training_boxes": boxes, "real_boxes": boxes})
    (one,) = facts_of(made_evidence({"limb": scene})).evaluations
    assert (one.domain, one.synthetic) == (Domain.LIMB_RADIOGRAPH, False)
    assert one.mean_ap50 is None

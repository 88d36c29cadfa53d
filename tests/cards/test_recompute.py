from __future__ import annotations

import json
from pathlib import Path

import pytest

from medground.cards.export import FORMS, export_card
from medground.cards.findings import Finding, Kind
from medground.cards.recompute import recompute
from medground.evaluation.scene import ENDING
from medground.schema.errors import CardError
from tests.cards.made_evidence import FAR, four_films, made_evidence, packed


@pytest.fixture
def card(tmp_path: Path) -> Path:
    export_card(made_evidence(), tmp_path / "card")
    return tmp_path / "card"


def test_an_untouched_card_comes_out_the_same(card):
    assert recompute(card) == []


def test_one_changed_prediction_names_the_numbers_that_rest_on_it(card):
    scene = four_films()
    first = scene.images[0].model_copy(update={"detections": (("nodule", FAR, 0.9),)})
    changed = scene.model_copy(update={"images": (first, *scene.images[1:])})
    (card / "evidence" / "scenes" / f"films{ENDING}").write_bytes(packed(changed))
    found = {difference.path: difference for difference in recompute(card)}
    ap50 = found["$.evaluations[0].concepts[1].ap50.value"]
    assert (float(ap50.stated), float(ap50.computed)) == (pytest.approx(51 / 101), 0.0)
    assert ap50.about == "films, nodule"
    assert "$.evaluations[0].mean_ap50.value" in found
    assert not any(path.startswith("$.evaluations[0].concepts[0]") for path in found)  # the cavity is as it was
    assert found["MODEL_CARD.md"].finding().kind == Kind.FORM


def test_a_number_edited_in_the_facts_is_named_with_both_values(card):
    path = card / "facts.json"
    facts = json.loads(path.read_bytes())
    facts["evaluations"][0]["concepts"][0]["n_boxes"] = 7
    path.write_text(json.dumps(facts))
    (found,) = recompute(card)
    assert found.finding() == Finding(
        "facts.json",
        Kind.NUMBER,
        "$.evaluations[0].concepts[0].n_boxes (films, cavity) is 7, and from the evidence it is 1",
    )


@pytest.mark.parametrize("name", [*(name for name, _ in FORMS), "model_card.html"])
def test_one_byte_more_in_a_form_is_found(card, name):
    path = card / name
    path.write_bytes(path.read_bytes() + b" ")
    (found,) = recompute(card)
    assert found.finding() == Finding(name, Kind.FORM, "it is not what its evidence gives, byte for byte")


@pytest.mark.parametrize("name", ["README.md", "chai.xml", "bom.cdx.json"])
def test_one_changed_digit_of_a_figure_in_a_form_is_found(card, name):
    path = card / name
    content = path.read_bytes()
    assert b"0.504950495049505" in content  # AP of the nodule, unrounded
    path.write_bytes(content.replace(b"0.504950495049505", b"0.604950495049505", 1))
    (found,) = recompute(card)
    assert found.finding() == Finding(name, Kind.FORM, "it is not what its evidence gives, byte for byte")


def test_a_form_that_is_gone_and_a_member_too_many_are_found(card):
    (card / "model_card.html").unlink()
    path = card / "facts.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "approved_by": "somebody"}))
    extra, gone = recompute(card)
    assert (extra.path, extra.stated, extra.computed) == ("$.approved_by", '"somebody"', "nothing")
    assert (gone.path, gone.stated) == ("model_card.html", "nothing")


def test_facts_that_are_none_are_refused(card):
    (card / "facts.json").write_text("[" * 100_000)
    with pytest.raises(CardError, match=r"facts\.json of the card cannot be read"):
        recompute(card)

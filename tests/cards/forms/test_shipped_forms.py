"""The forms of the shipped card, each read by its judge."""

from __future__ import annotations

import mlcroissant
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard

from medground.cards.contents import CardFacts
from medground.cards.layout import card_beside
from medground.model.bundle_facts import shipped_bundle_path
from tests.cards.forms.numbers import figures

CARD = card_beside(shipped_bundle_path())


def test_chai(schema):
    schema.validate((CARD / "chai.xml").read_text(encoding="utf-8"))


def test_cyclonedx():
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str((CARD / "bom.cdx.json").read_text("utf-8")) is None


def test_croissant():
    issues = mlcroissant.Dataset(jsonld=CARD / "croissant.json").metadata.issues
    assert (issues.errors, issues.warnings) == (set(), set())


def test_hugging_face():
    facts = CardFacts.model_validate_json((CARD / "facts.json").read_bytes())
    card = ModelCard((CARD / "README.md").read_text("utf-8"))
    assert card.data.model_name == facts.model.name
    assert sorted(result.metric_value for result in card.data.eval_results) == [row[0] for row in figures(facts)]

import re
from collections import Counter

import numpy as np
import pytest

from medground.data.questions import (
    CHINESE_TEMPLATES,
    ENGLISH_TEMPLATES,
    LUNG_FINDINGS,
    PREFERRED_SHARE,
    SIDED_FINDINGS,
    Language,
    ask,
    is_plural,
    phrases,
    sample_phrase,
    with_article,
)
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Side, Zone

VOCABULARY = load_vocabulary()


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("nodule", "a nodule"),
        ("nodules", "nodules"),
        ("mass", "a mass"),
        ("masses", "masses"),
        ("enlarged heart", "an enlarged heart"),
        ("effusion", "an effusion"),
        ("pleural effusion", "a pleural effusion"),
        ("pneumothorax", "a pneumothorax"),
        ("pneumonia", "pneumonia"),
        ("atelectasis", "atelectasis"),
        ("fluid around the lung", "fluid around the lung"),
        ("spot on the lung", "a spot on the lung"),
        ("spots on the lung", "spots on the lung"),
        ("emphysema", "emphysema"),
        ("infiltrate", "an infiltrate"),
        ("pleural thickening", "pleural thickening"),
        ("loss of lung volume", "loss of lung volume"),
        ("broken bones", "broken bones"),
    ],
)
def test_articles(phrase: str, expected: str) -> None:
    assert with_article(phrase) == expected


@pytest.mark.parametrize(
    ("phrase", "plural"),
    [
        ("nodules", True),
        ("mass", False),
        ("atelectasis", False),
        ("atelectases", True),
        ("pneumothorax", False),
        ("pneumothoraces", True),
        ("spots on the lung", True),
        ("hole in the lungs", False),
        ("calculus", False),
    ],
)
def test_plurals(phrase: str, plural: bool) -> None:
    assert is_plural(phrase) == plural


def test_phrases_are_all_names_preferred_first() -> None:
    nodule = VOCABULARY["nodule"]
    assert phrases(nodule) == (*nodule.names["en"], *nodule.names["zh"])
    assert phrases(nodule)[0] == "nodule"


def test_sampling_prefers_the_preferred_name() -> None:
    rng = np.random.default_rng(1)
    nodule = VOCABULARY["nodule"]
    draws = Counter(sample_phrase(nodule, rng) for _ in range(4000))
    assert set(draws) == set(phrases(nodule))
    english = sum(draws[phrase] for phrase in nodule.names["en"])
    assert english / 4000 == pytest.approx(0.5, abs=0.04)
    assert draws["nodule"] / english == pytest.approx(PREFERRED_SHARE, abs=0.05)
    assert max(draws[phrase] for phrase in nodule.names["en"][1:]) < draws["nodule"] / 2


def test_sampling_is_repeatable_and_heeds_the_language() -> None:
    mass = VOCABULARY["mass"]
    first = [sample_phrase(mass, np.random.default_rng(5), "zh") for _ in range(3)]
    assert len(set(first)) == 1
    assert first[0] in mass.names["zh"]


def test_there_are_at_least_twelve_templates_a_language() -> None:
    assert len(set(ENGLISH_TEMPLATES)) >= 12
    assert len(set(CHINESE_TEMPLATES)) >= 12


@pytest.mark.parametrize("language", ["en", "zh"])
def test_questions_are_well_formed(language: Language) -> None:
    rng = np.random.default_rng(2)
    for concept in VOCABULARY.concepts:
        for _ in range(10):
            side = rng.choice([None, *Side])
            zone = rng.choice([None, *Zone])
            question = ask(concept, language, rng, side=side, zone=zone)
            assert question == question.strip()
            assert "  " not in question
            assert "{" not in question
            assert "None" not in question
            assert not re.search(r"\ba [aeio]", question), question
            assert not re.search(r"\ban [^aeiou]", question), question
            assert not re.search(r"\b(there|is) are\b|的的", question), question
            assert any(phrase in question for phrase in concept.names[language])


def test_side_and_zone_are_said_where_they_make_sense() -> None:
    rng = np.random.default_rng(3)
    for key in LUNG_FINDINGS:
        assert "left" in ask(VOCABULARY[key], "en", rng, side=Side.LEFT)
        assert "左" in ask(VOCABULARY[key], "zh", rng, side=Side.LEFT)
        assert "lower" in ask(VOCABULARY[key], "en", rng, zone=Zone.LOWER)
        assert "下" in ask(VOCABULARY[key], "zh", rng, zone=Zone.LOWER)
    for _ in range(50):
        fracture = ask(VOCABULARY["fracture"], "en", rng, side=Side.RIGHT, zone=Zone.UPPER)
        assert "right" in fracture
        assert "upper" not in fracture
        assert "lung" not in fracture
        heart = ask(VOCABULARY["cardiomegaly"], "en", rng, side=Side.LEFT, zone=Zone.UPPER)
        assert "left" not in heart
        assert "upper" not in heart


def test_the_named_findings_are_in_the_vocabulary() -> None:
    assert {VOCABULARY[key].key for key in SIDED_FINDINGS} == SIDED_FINDINGS

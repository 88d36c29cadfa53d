from __future__ import annotations

import pytest

from medground.inference.targets import phrases_of, targets, untrained
from medground.inference.understand import understand
from medground.schema.anatomy import Domain
from tests.inference.blob_reader import BlobReader

READER = BlobReader()
CHEST, LIMB, CT = Domain.CHEST_RADIOGRAPH, Domain.LIMB_RADIOGRAPH, Domain.CHEST_CT
TRAINED_ON_CHEST = {"nodule", "pleural_effusion", "pneumothorax", "consolidation", "atelectasis"}


@pytest.mark.parametrize(
    ("query", "domain", "concepts"),
    [
        ("find the lung nodule", CHEST, {"nodule"}),
        ("find the lung nodule", CT, {"nodule"}),
        ("find the lung nodule", LIMB, set()),
        ("左肺有结节吗", CHEST, {"nodule"}),
        ("nodule or pneumothorax?", CHEST, {"nodule", "pneumothorax"}),
        ("is there a lung opacity?", CHEST, {"consolidation", "atelectasis"}),  # itself untrained: what is below it
        ("fracture", LIMB, {"fracture"}),
        ("wrist fracture", CHEST, set()),
        ("is there an aneurysm of the aorta?", CHEST, set()),
        ("xyzzy", CHEST, set()),
        ("any abnormality?", CHEST, TRAINED_ON_CHEST),
        ("any abnormality?", LIMB, {"fracture"}),
        ("anything other than a nodule?", CHEST, TRAINED_ON_CHEST - {"nodule"}),
    ],
)
def test_targets(query: str, domain: Domain, concepts: set[str]) -> None:
    found = targets(understand(query, READER.vocabulary), domain, READER)
    assert {phrase.concept for phrase in found} == concepts
    assert len(found) == len(concepts)


def test_a_question_keeps_its_own_words() -> None:
    (phrase,) = targets(understand("左肺有结节吗", READER.vocabulary), CHEST, READER)
    assert "结节" in phrase.text


def test_untrained_names_what_was_not_looked_for() -> None:
    both = understand("pulmonary embolism or nodule?", READER.vocabulary)
    assert untrained(both, CHEST, READER) == ("pulmonary embolism",)
    assert untrained(understand("is there a lung opacity?", READER.vocabulary), CHEST, READER) == ()
    assert untrained(understand("any abnormality?", READER.vocabulary), CHEST, READER) == ()


def test_an_image_is_read_once_for_all_questions() -> None:
    questions = [understand(q, READER.vocabulary) for q in ("nodule", "nodule?", "nodule or effusion", "fracture")]
    phrases = phrases_of(questions, {CHEST}, READER)
    assert [phrase.concept for phrase in phrases].count("nodule") == 1
    assert {phrase.concept for phrase in phrases} == {"nodule", "pleural_effusion"}
    assert phrases_of([], {CHEST}, READER) == ()

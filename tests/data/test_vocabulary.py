from collections import Counter

import pytest
from pydicom.sr._concepts_dict import concepts as dicom_concepts

from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain
from medground.schema.vocabulary import Concept

TRAINED = (
    "atelectasis",
    "calcification",
    "cardiomegaly",
    "consolidation",
    "diffuse_nodules",
    "pleural_effusion",
    "emphysema",
    "fibrosis",
    "fracture",
    "infiltration",
    "mass",
    "nodule",
    "pleural_thickening",
    "pneumonia",
    "pneumothorax",
    "cavity",
)


def test_holds_the_trained_findings_and_many_that_are_not() -> None:
    keys = {concept.key for concept in load_vocabulary().concepts}
    assert set(TRAINED) <= keys
    assert len(keys - set(TRAINED)) >= 60
    asked_for = {
        "pulmonary_embolism",
        "intracranial_haemorrhage",
        "joint_effusion",
        "breast_mass",
        "tumour_cell",
        "hernia",
    }
    assert asked_for <= keys


def test_is_read_once() -> None:
    assert load_vocabulary() is load_vocabulary()


@pytest.mark.parametrize("concept", load_vocabulary().concepts, ids=lambda concept: concept.key)
def test_every_concept_is_complete(concept: Concept) -> None:
    assert concept.names["en"]
    assert concept.names["zh"]
    assert concept.domains, "a finding must be visible on something"
    for phrases in concept.names.values():
        assert len(set(phrases)) == len(phrases)
        for phrase in phrases:
            assert phrase == phrase.strip().lower()
    assert all(phrase.isascii() for phrase in concept.names["en"])
    assert all(any("\u4e00" <= character <= "\u9fff" for character in phrase) for phrase in concept.names["zh"])


def test_trained_findings_have_several_words_in_both_languages() -> None:
    for key in TRAINED:
        concept = load_vocabulary()[key]
        assert len(concept.names["en"]) >= 8, key
        assert len(concept.names["zh"]) >= 5, key


def test_countable_trained_findings_list_their_plural() -> None:
    plurals = {"nodule": "nodules", "mass": "masses", "fracture": "fractures", "cavity": "cavities"}
    for key, plural in plurals.items():
        assert plural in load_vocabulary()[key].names["en"]


def test_only_fracture_is_read_on_limbs_among_the_trained() -> None:
    on_limbs = {key for key in TRAINED if Domain.LIMB_RADIOGRAPH in load_vocabulary()[key].domains}
    assert on_limbs == {"fracture"}


def test_look_alikes_of_trained_findings_are_mutual() -> None:
    vocabulary = load_vocabulary()
    for key in ("nodule", "mass", "consolidation", "pneumonia", "atelectasis", "infiltration", "pleural_thickening"):
        for other in vocabulary[key].confusable_with:
            if other in TRAINED:
                assert vocabulary[other].confusable_with, f"{other} looks like {key}, and like nothing itself"


def test_codes_are_public_or_marked_as_private() -> None:
    counted = Counter()
    for concept in load_vocabulary().concepts:
        code = concept.code
        counted[code.scheme, code.value] += 1
        assert code.scheme in ("SCT", "DCM", "99MEDGROUND")
        assert len(code.meaning) <= 64, "DICOM code meaning is LO"
        if code.scheme == "99MEDGROUND":
            assert code.value == concept.key
        else:
            assert code.value.isdecimal()
    assert counted.most_common(1)[0][1] == 1


def test_snomed_codes_have_a_valid_check_digit() -> None:
    for concept in load_vocabulary().concepts:
        if concept.code.scheme == "SCT":
            assert verhoeff(concept.code.value) == 0, concept.code


def test_codes_that_dicom_lists_have_its_meaning() -> None:
    listed = {
        (scheme, code): entry[0]
        for scheme in ("SCT", "DCM")
        for entries in dicom_concepts[scheme].values()
        for code, entry in entries.items()
    }
    expected = {
        "pneumothorax": "Pneumothorax",
        "pleural_effusion": "Pleural effusion",
        "pulmonary_embolism": "Pulmonary embolism",
    }
    for key, meaning in expected.items():
        code = load_vocabulary()[key].code
        assert listed[code.scheme, code.value].lower() == meaning.lower() == code.meaning.lower()


def verhoeff(number: str) -> int:
    """Check sum of a SNOMED CT identifier, 0 where it is valid: the dihedral group D5, written out."""

    def times(a: int, b: int) -> int:
        if a < 5:
            return (a + b) % 5 if b < 5 else (a + b - 5) % 5 + 5
        return (a - 5 - b) % 5 + 5 if b < 5 else (a - b) % 5

    swap = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    total = 0
    for position, digit in enumerate(reversed(number)):
        value = int(digit)
        for _ in range(position % 8):
            value = swap[value]
        total = times(total, value)
    return total

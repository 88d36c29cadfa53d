from __future__ import annotations

import pytest

from medground.data.verify.truth import Truth, chosen
from medground.data.verify.words import ASPECTS
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain, Side
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region


def truth(*boxes: tuple[float, float, float, float], **known: object) -> Truth:
    regions = tuple(Region(concept="nodule", box=Box(x1=a, y1=b, x2=c, y2=d), source="hand") for a, b, c, d in boxes)
    base = {"record_id": "r", "patient_id": "r", "columns": 100, "rows": 200, "dataset": "hand", "regions": regions}
    record = ImageRecord(**{**base, "domain": Domain.CHEST_RADIOGRAPH, **known})
    vocabulary = load_vocabulary()
    return Truth(record, vocabulary, vocabulary.descendants)


@pytest.mark.parametrize(
    ("x1", "x2", "toward_left", "side"),
    [
        (60, 90, 1, Side.LEFT),
        (60, 90, -1, Side.RIGHT),
        (10, 40, 1, Side.RIGHT),
        (45, 65, 1, Side.LEFT),  # exactly three quarters
        (44, 65, 1, None),
        (35, 55, -1, Side.LEFT),
        (60, 90, None, None),
    ],
)
def test_a_side_needs_three_quarters_of_the_width(x1, x2, toward_left, side):
    assert truth((x1, 10, x2, 20), columns_toward_left=toward_left).side(0) is side


def test_limbs_have_no_side_unless_the_record_gives_one():
    assert truth((60, 10, 90, 20), columns_toward_left=1, domain=Domain.LIMB_RADIOGRAPH).side(0) is None


@pytest.mark.parametrize(("longer", "word"), [(9.9, "small"), (10, "middling"), (50, "middling"), (50.1, "large")])
def test_size_words_compare_the_longer_sides(longer, word):
    assert truth((0, 0, 5, longer)).size(0) == word


def test_millimetres_are_width_by_height_and_rounded():
    measured = truth((0, 0, 5, 10), spacing_mm=(0.25, 0.5))
    assert measured.measures(0, (2, 2))  # 2.5 rounds either way
    assert measured.measures(0, (3, 3))
    assert not measured.measures(0, (4, 2))
    assert not truth((0, 0, 5, 10)).measures(0, (2, 2))


@pytest.mark.parametrize(
    ("relation", "toward_left", "toward_feet", "holds"),
    [
        ("above", None, 1, True),
        ("above", None, -1, False),
        ("below", None, -1, True),
        ("above", None, None, False),
        ("left of", 1, None, False),
        ("left of", -1, None, True),
        ("right of", 1, None, True),
        ("right of", None, None, False),
        ("smaller than", None, None, True),
        ("larger than", None, None, False),
    ],
)
def test_relations_of_a_box_up_and_left_in_the_picture(relation, toward_left, toward_feet, holds):
    pair = truth((0, 0, 10, 10), (20, 10, 30, 22), columns_toward_left=toward_left, rows_toward_feet=toward_feet)
    assert pair.holds(relation, 0, 1) is holds


def test_boxes_that_overlap_along_an_axis_have_no_order_there():
    level = truth((0, 0, 10, 10), (20, 9, 30, 19), rows_toward_feet=1)
    assert not level.holds("above", 0, 1)
    assert not level.holds("below", 1, 0)


@pytest.mark.parametrize(
    ("known", "concept", "whole"),
    [
        ({"fracture"}, "fracture", True),
        ({"nodule"}, "lung_lesion", False),
        ({"lung_lesion"}, "lung_lesion", True),
        ({"pneumonia"}, "lung_opacity", False),
        ({"vertebral_fracture"}, "fracture", True),  # the only narrower one that a chest film can show
        ({"lung_lesion"}, "nodule", False),
        (set(), "nodule", False),
    ],
)
def test_when_all_of_a_concept_are_labelled(known, concept, whole):
    assert truth((0, 0, 5, 5), exhaustive_for=frozenset(known)).is_whole(concept) is whole


def test_looks_are_true_false_or_not_known():
    region = Region(concept="nodule", box=Box(x1=0, y1=0, x2=5, y2=5), source="hand", appearance=("round",))
    known = truth(regions=(region,))
    assert known.looks(0, "round") is True
    assert known.looks(0, "oval") is False
    assert known.looks(0, "dense") is None


def test_aspects_share_no_word():
    assert sum(map(len, ASPECTS)) == len(set().union(*ASPECTS))


def test_what_is_not_known_of_one_is_not_known_of_all():
    assert chosen([(0, True), (1, False), (2, True)]) == [0, 2]
    assert chosen([(0, True), (1, None)]) is None
    assert chosen([]) == []

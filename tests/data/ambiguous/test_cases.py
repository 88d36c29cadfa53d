"""Every case is checked by a second reckoning from its boxes, its words and the question as it stands."""

from __future__ import annotations

import dataclasses
import itertools
import re
import string

import numpy as np
import pytest

from medground.data.ambiguous.cases import (
    DOUBTS,
    FIRST_SEED,
    FORMS,
    KINDS,
    MOST_CASES,
    ORDERS,
    SIZE_PX,
    ambiguous_case,
    decidable_seeds,
    undecidable_seeds,
)
from medground.data.ambiguous.film import MeasuredFilm, Order
from medground.data.ambiguous.words import load_wordings
from medground.data.phantom.chest_radiograph import PhantomImage, chest_radiograph
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Side, Zone
from medground.schema.box import Box
from medground.schema.errors import UsageError
from medground.schema.record import Region

SIDES = {"left": Side.LEFT, "左": Side.LEFT, "right": Side.RIGHT, "右": Side.RIGHT}
ZONES = {
    "upper": Zone.UPPER,
    "上": Zone.UPPER,
    "mid": Zone.MIDDLE,
    "中": Zone.MIDDLE,
    "lower": Zone.LOWER,
    "下": Zone.LOWER,
}
STRIDE = 2 * MOST_CASES


@pytest.fixture(scope="module")
def decidable():
    return [ambiguous_case(seed) for seed in decidable_seeds(45)]


@pytest.fixture(scope="module")
def undecidable():
    return [ambiguous_case(seed) for seed in undecidable_seeds(16)]


def said(words, question):
    """The values of those words that the question says, in its order; the longer of two that begin at one place."""
    pattern = "|".join(sorted(words, key=len, reverse=True))
    return [words[found] for found in re.findall(pattern, question.replace("一下", ""))]


def measured(case, index):
    """Area, height, leftward, and distance from the middle of the film, of a box in pixels."""
    box = case.image.regions[index].box
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    return {"area": (box.x2 - box.x1) * (box.y2 - box.y1), "up": -y, "left": x, "out": abs(x - SIZE_PX / 2)}


RECKONED = {  # measure, sign, and the ranks that are meant
    "largest": ("area", 1, [0]),
    "smallest": ("area", -1, [0]),
    "uppermost": ("up", 1, [0]),
    "lowermost": ("up", -1, [0]),
    "leftmost": ("left", 1, [0]),
    "rightmost": ("left", -1, [0]),
    "most lateral": ("out", 1, [0]),
    "most medial": ("out", -1, [0]),
    "second largest": ("area", 1, [1]),
    "third largest": ("area", 1, [2]),
    "two largest": ("area", 1, [0, 1]),
    "second smallest": ("area", -1, [1]),
    "second uppermost": ("up", 1, [1]),
    "second lowermost": ("up", -1, [1]),
    "joined largest": ("area", 1, [0]),
}


def by_rank(case, members):
    """Those that an order means, and how far they stand from the others: a ratio of areas, or pixels."""
    name, sign, ranks = RECKONED[case.form]
    values = {index: sign * measured(case, index)[name] for index in members}
    order = sorted(members, key=lambda index: -values[index])
    meant = {order[rank] for rank in ranks}
    pairs = itertools.product(meant, set(members) - meant)
    gaps = [max(a / b, b / a) if name == "area" else abs(a - b) for a, b in ((values[i], values[j]) for i, j in pairs)]
    return meant, min(gaps)


def by_place(case, members):
    regions = case.image.regions
    side = said(SIDES, case.question)[0] if case.form != "zone" else None
    zone = said(ZONES, case.question)[0] if case.form != "side" else None
    return {i for i in members if side in (None, regions[i].side) and zone in (None, regions[i].zone)}


def by_both(case, members):
    sides, regions = said(SIDES, case.question), case.image.regions
    if case.form == "joined all":
        return set(members)
    first, second = sides[0], sides[-1]
    own = {case.concepts[0]: first, case.concepts[1]: second}
    assert (first == second) == (case.form == "joined on one side")
    return {index for index in members if regions[index].side == own[regions[index].concept]}


def by_look(case, members):
    words = {word: look for look, rows in load_wordings().looks.items() for row in rows.values() for word in row}
    (look,) = said(words, case.question)
    return {index for index in members if look in case.image.regions[index].appearance}


def test_what_is_meant_follows_from_the_boxes_the_words_and_the_question(decidable):
    for case in decidable:
        members = [i for i, region in enumerate(case.image.regions) if region.concept in case.concepts]
        assert len(members) >= 2
        if case.form in RECKONED:
            meant, gap = by_rank(case, members)
            assert gap > (1.3 if RECKONED[case.form][0] == "area" else 0.06 * SIZE_PX), case.question
        elif case.kind == "attribute":
            meant = by_look(case, members)
        else:
            meant = by_both(case, members) if case.kind == "joined" else by_place(case, members)
        assert set(case.meant) == meant, (case.seed, case.question)
        assert list(case.meant) == sorted(case.meant)
        assert len(case.image.regions) > len(meant) > 0


def test_sides_are_well_off_the_middle(decidable):
    for case in decidable:
        if case.form in ("side", "side and zone", "joined on one side", "joined on two sides"):
            for region in case.image.regions:
                if region.concept in case.concepts:
                    x, _ = region.box.centre_px
                    assert (x - SIZE_PX / 2) * (1 if region.side == Side.LEFT else -1) > 0.06 * SIZE_PX


def test_looks_that_are_asked_for_differ(decidable):
    for case in decidable:
        if case.kind == "attribute":
            members = [i for i, region in enumerate(case.image.regions) if region.concept == case.concepts[0]]
            (one, *_), others = case.meant, set(members) - set(case.meant)
            look = set(case.image.regions[one].appearance)
            assert all(look - set(case.image.regions[other].appearance) for other in others)


def test_kinds_and_languages_take_turns(decidable, undecidable):
    assert {(case.kind, case.language) for case in decidable} == set(itertools.product(KINDS, ("en", "zh")))
    seen = {(case.form, case.language) for case in decidable}
    for forms in (forms for forms in FORMS.values() if len(forms) == 2):
        assert seen.issuperset(itertools.product(forms, ("en", "zh")))
    assert {(case.doubt, case.language) for case in undecidable} == set(itertools.product(DOUBTS, ("en", "zh")))
    for case in (*decidable, *undecidable):
        assert case.decidable == (case.doubt is None) == bool(case.meant)
        assert case.form in FORMS[case.kind]
        assert any(letter >= "一" for letter in case.question) == (case.language == "zh")
        assert not set("{}") & set(case.question)
        assert case.image.pixels.shape == (SIZE_PX, SIZE_PX)
        assert (case.image.seed - case.seed) % STRIDE == 0
        assert FIRST_SEED <= case.image.seed < FIRST_SEED + 1_000_000


def test_near_ties_are_level(undecidable):
    ties = [case for case in undecidable if case.doubt == "near tie"]
    assert len({case.form for case in ties}) > 1
    for case in ties:
        name, sign, _ = RECKONED[case.form]
        members = [i for i, region in enumerate(case.image.regions) if region.concept == case.concepts[0]]
        values = sorted((sign * measured(case, index)[name] for index in members), reverse=True)
        if name == "area":
            assert max(values[0] / values[1], values[1] / values[0]) <= 1.05
        else:
            assert values[0] - values[1] <= 0.01 * SIZE_PX


def test_pictures_are_what_has_no_orientation(undecidable, decidable):
    for case in (*undecidable, *decidable):
        assert case.as_picture == (case.doubt in ("no orientation", "no zone"))
        if case.doubt == "no zone":
            assert case.form == "zone"
            assert not said(SIDES, case.question)
        if case.doubt == "no orientation":
            assert said(SIDES, case.question)


def test_the_same_seed_gives_the_same_case(decidable):
    again = ambiguous_case(decidable[4].seed)
    for name in (field.name for field in dataclasses.fields(again) if field.name != "image"):
        assert getattr(again, name) == getattr(decidable[4], name)
    np.testing.assert_array_equal(again.image.pixels, decidable[4].image.pixels)
    assert again.image.regions == decidable[4].image.regions


def test_a_film_that_does_not_serve_gives_way_to_the_next_at_the_stride(decidable):
    assert {case.image.seed == case.seed for case in decidable} == {True, False}


@pytest.mark.parametrize("seed", [0, FIRST_SEED - 1, FIRST_SEED + STRIDE])
def test_other_seeds_are_refused(seed):
    with pytest.raises(UsageError, match=str(seed)):
        ambiguous_case(seed)


def test_more_cases_than_there_are_are_refused():
    assert len(decidable_seeds(MOST_CASES)) == MOST_CASES
    assert not set(decidable_seeds(MOST_CASES)) & set(undecidable_seeds(MOST_CASES))
    with pytest.raises(UsageError, match=str(MOST_CASES + 1)):
        undecidable_seeds(MOST_CASES + 1)


def test_the_table_has_six_wordings_of_each_kind_in_each_language():
    table = load_wordings()
    assert set(table.questions) == {form for forms in FORMS.values() for form in forms}
    for forms in FORMS.values():
        for language in ("en", "zh"):
            listed = [t for form in forms for sort in table.questions[form][language].values() for t in sort]
            assert len(set(listed)) == len(listed) >= 6
    for form in (*RECKONED, "side", "zone", "attribute"):
        assert all(len(rows["any"]) >= (3 if form in FORMS["rank"] else 6) for rows in table.questions[form].values())


def test_templates_name_only_what_is_filled_in():
    single, joined = {"x", "xs", "is"}, {"a", "b", "as", "bs", "a1", "b1", "is"}
    more = {
        "side": {"side", "other", "one"},
        "zone": {"zone"},
        "side and zone": {"side", "zone"},
        "attribute": {"look"},
    }
    for form, rows in load_wordings().questions.items():
        known = (joined if form.startswith("joined") else single) | more.get(form, set())
        known |= {"side", "other"} if form.endswith(("side", "sides")) else set()
        for template in (t for row in rows.values() for sort in row.values() for t in sort):
            named = {name for _, name, _, _ in string.Formatter().parse(template) if name}
            assert named <= known, template
            assert named & (single | joined), template


def test_first_names_are_those_of_the_vocabulary():
    vocabulary = load_vocabulary()
    for concept, names in load_wordings().names.items():
        assert names["en"][0][0] in vocabulary[concept].names["en"]
        assert names["zh"][0] in vocabulary[concept].names["zh"]


def film(*boxes, seed=3):
    regions = tuple(
        Region(concept="nodule", box=Box(x1=x - w / 2, y1=y - h / 2, x2=x + w / 2, y2=y + h / 2), source="phantom")
        for x, y, w, h in boxes
    )
    return MeasuredFilm(PhantomImage(np.zeros((512, 512), np.float32), (0.7, 0.7), regions, seed))


@pytest.mark.parametrize(("width", "meant"), [(25.9, None), (26.1, (1,)), (15.3, (0,))])
def test_areas_are_clear_beyond_thirty_percent(width, meant):
    assert film((100, 100, 20, 20), (300, 300, width, 20)).chosen((0, 1), ORDERS["largest"]) == meant


@pytest.mark.parametrize(("y", "meant"), [(130.0, None), (131.0, (0,)), (60.0, (1,))])
def test_heights_are_clear_beyond_six_percent(y, meant):
    lesions = film((100, 100, 20, 20), (300, y, 20, 20))  # 30.7 px
    assert lesions.chosen((0, 1), ORDERS["uppermost"]) == meant


def test_an_order_is_open_where_edges_and_centres_disagree():
    lesions = film((100, 140, 20, 20), (300, 180, 20, 180))  # its upper edge is the higher one
    assert lesions.chosen((0, 1), ORDERS["uppermost"]) is None
    assert lesions.chosen((0, 1), ORDERS["lowermost"]) == (1,)


def test_ranks_need_a_gap_on_either_side():
    lesions = film((100, 100, 10, 10), (200, 100, 20, 10), (300, 100, 24, 10), (400, 100, 60, 10))
    assert lesions.chosen(range(4), ORDERS["two largest"]) is None  # 24 and 20 are too close
    assert lesions.chosen(range(4), Order(("size",), count=3)) == (1, 2, 3)
    assert lesions.chosen(range(4), ORDERS["second smallest"]) is None
    assert lesions.chosen((0, 1, 3), ORDERS["second largest"]) == (1,)
    assert lesions.chosen((0, 3), ORDERS["third largest"]) is None  # there is none


def test_ties():
    level = film((100, 100, 20, 20), (300, 104, 20.9, 20), (400, 300, 5, 5))
    assert level.is_tied(range(3), ORDERS["largest"])
    assert level.is_tied(range(3), ORDERS["uppermost"])
    assert not level.is_tied(range(3), ORDERS["smallest"])
    assert not level.is_tied(range(3), ORDERS["leftmost"])
    assert not film((100, 100, 20, 20), (300, 106, 20, 20)).is_tied((0, 1), ORDERS["uppermost"])
    assert not film((100, 100, 20, 20), (300, 100, 20, 80)).is_tied((0, 1), ORDERS["uppermost"])  # an edge stands out


def test_overlapping_lesions_are_crowded():
    assert film((100, 100, 20, 20), (105, 100, 20, 20)).is_crowded()
    assert film((100, 100, 40, 40), (100, 100, 10, 10)).is_crowded()  # one in the other
    assert not film((100, 100, 20, 20), (119, 100, 20, 20)).is_crowded()


def test_the_patient_of_a_film_is_drawn_again():
    for seed in range(6):
        lesions = MeasuredFilm(chest_radiograph(seed, size_px=128, findings=["nodule"] * 3))
        lungs = (lesions.anatomy.left, lesions.anatomy.right)
        top, bottom = min(lung.apex_y for lung in lungs), max(lung.dome_y for lung in lungs) + 2
        for region in lesions.image.regions:
            y_cm = region.box.centre_px[1] / 128 * lesions.side_cm
            third = int(np.clip(3 * (y_cm - top) / (bottom - top), 0, 2))
            assert (Zone.UPPER, Zone.MIDDLE, Zone.LOWER)[third] == region.zone

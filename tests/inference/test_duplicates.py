"""What is one lesion and what is two, against a table of cases and against pixels counted one by one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from medground.data.vocabulary import load_vocabulary
from medground.inference.describe import Place
from medground.inference.duplicates import Survivor, can_name_one_lesion, merge
from medground.inference.sighting import Sighting
from medground.inference.views import View
from medground.model.reading import Candidate
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.result import BoxPx, Extent, SliceBox
from medground.schema.vocabulary import Code, Concept, Vocabulary


def concept(key: str, parent: str | None = None, *confusable_with: str) -> Concept:
    code = Code(scheme="99MEDGROUND", value=key, meaning=key)
    return Concept(key=key, code=code, names={"en": (key,)}, parent=parent, confusable_with=confusable_with)


WORDS = Vocabulary(
    concepts=(
        concept("lesion"),
        concept("mass", "lesion", "nodule"),
        concept("nodule", "lesion"),
        concept("tiny_nodule", "nodule"),
        concept("calcification"),
        concept("effusion"),
    )
)
KEYS = [one.key for one in WORDS.concepts]


def sighting(name: str, box: BoxPx, score: float, *, view: str = "a", frame: int = 1) -> Sighting:
    def display() -> None:
        raise AssertionError("no pixel is looked at")

    x1, y1, x2, y2 = box
    return Sighting(
        name,
        Candidate(box, score),
        View(view, view, frame, None, None, display),
        Place(Domain.CHEST_RADIOGRAPH, Box(x1=x1, y1=y1, x2=x2, y2=y2), 1000, 1000),
    )


def through(name: str, boxes: Mapping[int, BoxPx], score: float, *, uids: bool = True) -> Sighting:
    """A sighting through a volume: boxes by slice; it is shown on the lowest."""
    low = min(boxes)
    slices = tuple(
        SliceBox(sop_instance_uid=f"1.{number}" if uids else "", frame=1, box_xyxy_px=box)
        for number, box in boxes.items()
    )
    extent = Extent(frame_of_reference_uid=None, box_lps_mm=(0, 0, 0, 1, 1, 1), slices=slices)
    return replace(sighting(name, boxes[low], score, view=f"1.{low}"), extent=extent)


def standing(sightings: Sequence[Sighting]) -> list[tuple[str, BoxPx, tuple[tuple[str, float], ...]]]:
    found = merge(sightings, WORDS)
    return [(one.sighting.concept, one.sighting.candidate.box_xyxy_px, one.also) for one in found]


SQUARE = (0.0, 0.0, 100.0, 100.0)
HALF = (0.0, 0.0, 50.0, 100.0)  # overlap 0.5
MOST = (0.0, 0.0, 60.0, 100.0)  # overlap 0.6
BESIDE = (50.0, 0.0, 150.0, 100.0)  # overlap a third
CORE = (30.0, 30.0, 70.0, 100.0)  # inside, 2800 of 10000
HEART = (20.0, 20.0, 80.0, 80.0)  # inside, 3600 of 10000
LEANING = (48.0, 0.0, 108.0, 60.0)  # 3120 of its 3600 lie inside, overlap 0.3
STICKING_OUT = (60.0, 0.0, 120.0, 60.0)  # 2400 of its 3600 lie inside
THIRD = (0.0, 0.0, 30.0, 100.0)
EXACT_THIRD = ((0.0, 0.0, 90.0, 100.0), THIRD)  # exactly three times


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        # One name.
        (("nodule", SQUARE), ("nodule", SQUARE), True),
        (("nodule", SQUARE), ("nodule", HALF), True),
        (("nodule", SQUARE), ("nodule", BESIDE), False),
        (("nodule", SQUARE), ("nodule", HEART), True),
        (("nodule", HEART), ("nodule", SQUARE), True),
        (("nodule", SQUARE), ("nodule", CORE), False),
        (("nodule", SQUARE), ("nodule", LEANING), True),
        (("nodule", SQUARE), ("nodule", STICKING_OUT), False),
        (("nodule", EXACT_THIRD[0]), ("nodule", EXACT_THIRD[1]), False),
        (("nodule", SQUARE), ("nodule", (100.0, 0.0, 200.0, 100.0)), False),
        (("nodule", SQUARE), ("nodule", (300.0, 300.0, 400.0, 400.0)), False),
        # Names of one lesion: look-alikes, listed on either side, and the broader, at any distance.
        (("mass", SQUARE), ("nodule", MOST), True),
        (("nodule", SQUARE), ("mass", MOST), True),
        (("mass", SQUARE), ("nodule", HALF), False),
        (("mass", SQUARE), ("nodule", HEART), False),
        (("lesion", SQUARE), ("nodule", MOST), True),
        (("tiny_nodule", SQUARE), ("lesion", SQUARE), True),
        # Names of two, however they lie.
        (("mass", SQUARE), ("calcification", HEART), False),
        (("mass", SQUARE), ("calcification", SQUARE), False),
        (("mass", SQUARE), ("tiny_nodule", SQUARE), False),
        (("effusion", SQUARE), ("lesion", SQUARE), False),
    ],
)
def test_what_is_one_lesion(first: tuple[str, BoxPx], second: tuple[str, BoxPx], is_one: bool) -> None:
    found = standing([sighting(*first, 0.9), sighting(*second, 0.4)])
    also = ((second[0], 0.4),) if first[0] != second[0] else ()
    assert found == ([(*first, also)] if is_one else [(*first, ()), (*second, ())])


def test_another_view_is_another_lesion() -> None:
    here = sighting("nodule", SQUARE, 0.9)
    for there in (sighting("nodule", SQUARE, 0.8, view="b"), sighting("nodule", SQUARE, 0.8, frame=2)):
        assert len(merge([here, there], WORDS)) == 2


def test_nothing_and_one() -> None:
    assert merge([], WORDS) == ()
    one = sighting("nodule", SQUARE, 0.9)
    assert merge([one], WORDS) == (Survivor(one),)


def test_what_fell_makes_nothing_else_fall() -> None:
    a, b, c = (sighting("nodule", (x, 0.0, x + 100, 100.0), s) for x, s in ((0.0, 0.9), (30.0, 0.8), (60.0, 0.7)))
    # A meets B and B meets C by 0.54 each, A meets C by 0.25 only.
    assert [one.sighting for one in merge([a, b, c], WORDS)] == [a, c]
    best = replace(b, candidate=Candidate(b.candidate.box_xyxy_px, 0.95))
    assert [one.sighting for one in merge([a, best, c], WORDS)] == [best]


def test_a_chain_of_names_ends_where_they_cannot_mean_the_same() -> None:
    mass, lesion, effusion = (
        sighting(name, SQUARE, s) for name, s in (("mass", 0.9), ("nodule", 0.8), ("effusion", 0.7))
    )
    tiny = sighting("tiny_nodule", SQUARE, 0.6)  # a nodule may be tiny, a mass may not
    assert standing([mass, lesion, effusion, tiny]) == [
        ("mass", SQUARE, (("nodule", 0.8),)),
        ("effusion", SQUARE, ()),
        ("tiny_nodule", SQUARE, ()),
    ]


def test_each_other_name_stands_once_with_its_best_score() -> None:
    boxes = [SQUARE, MOST, (0.0, 0.0, 100.0, 70.0)]
    given = [sighting("nodule", SQUARE, 0.9), sighting("lesion", MOST, 0.3)]
    given += [sighting("mass", box, score) for box, score in zip(boxes, (0.5, 0.7, 0.6), strict=True)]
    assert standing(given) == [("nodule", SQUARE, (("mass", 0.7), ("lesion", 0.3)))]


def test_it_falls_to_the_best_of_those_that_stand() -> None:
    left, right = sighting("nodule", (0.0, 0.0, 100.0, 100.0), 0.9), sighting("nodule", (50.0, 0.0, 150.0, 100.0), 0.8)
    between = sighting("mass", (25.0, 0.0, 125.0, 100.0), 0.7)  # meets either by 0.6
    assert [one.also for one in merge([left, right, between], WORDS)] == [(("mass", 0.7),), ()]


def test_survivors_keep_the_order_given_and_it_decides_nothing() -> None:
    rng = random.Random(1)
    given = random_sightings(rng, 60)
    expected = {id(one.sighting): one.also for one in merge(given, WORDS)}
    for _ in range(20):
        rng.shuffle(given)
        found = merge(given, WORDS)
        assert {id(one.sighting): one.also for one in found} == expected
        positions = [next(i for i, one in enumerate(given) if one is kept.sighting) for kept in found]
        assert positions == sorted(positions)


def random_sightings(rng: random.Random, count: int) -> list[Sighting]:
    """Squares of whole pixels, so that many overlaps lie exactly at a bound; no two of one name, box and score."""
    made = []
    for index in range(count):
        x, y, w, h = rng.randrange(0, 6), rng.randrange(0, 6), rng.randrange(2, 12), rng.randrange(2, 12)
        score = round(rng.choice([0.3, 0.5, 0.9]) + index * 1e-6, 6)
        box = (float(x), float(y), float(x + w), float(y + h))
        made.append(sighting(rng.choice(KEYS), box, score, view=rng.choice("ab")))
    return made


def random_tracks(rng: random.Random, count: int) -> list[Sighting]:
    made = []
    for index in range(count):
        x, y, w, h = rng.randrange(0, 3), rng.randrange(0, 3), rng.randrange(2, 8), rng.randrange(2, 8)
        first = rng.randrange(0, 3)
        numbers = [n for n in range(first, first + rng.randrange(1, 5)) if n == first or rng.random() < 0.9]
        boxes = {n: (float(x), float(y), float(x + w + n % 2), float(y + h)) for n in numbers}
        made.append(through(rng.choice(KEYS), boxes, round(rng.random(), 3) + index * 1e-6))
    return made


BROADER = {("mass", "lesion"), ("nodule", "lesion"), ("tiny_nodule", "nodule"), ("tiny_nodule", "lesion")}
LOOK_ALIKE = {("mass", "nodule")}


def cells_of(one: Sighting) -> set[tuple[str, int, int, int]]:
    """Every pixel of every slice that it covers."""
    view, cells = one.view, set()
    slices = [(s.sop_instance_uid, s.frame, s.box_xyxy_px) for s in one.extent.slices] if one.extent else None
    for key, frame, (x1, y1, x2, y2) in slices or [(view.key, view.frame, one.candidate.box_xyxy_px)]:
        cells |= {(key, frame, x, y) for x in range(int(x1), int(x2)) for y in range(int(y1), int(y2))}
    return cells


def slow(given: Sequence[Sighting]) -> list[tuple[Sighting, tuple[tuple[str, float], ...]]]:
    """The same by counting pixels, pair by pair, in whole numbers."""
    cells = {id(one): cells_of(one) for one in given}
    left, found = sorted(given, key=lambda one: -one.score), []
    while left:
        best, others, rest = left[0], {}, []
        for one in left[1:]:
            a, b = cells[id(best)], cells[id(one)]
            shared, union = len(a & b), len(a | b)
            small, large = sorted((len(a), len(b)))
            pair = {(best.concept, one.concept), (one.concept, best.concept)}
            if best.concept == one.concept:
                same = 2 * shared >= union or (10 * shared >= 8 * small and large < 3 * small)
            else:
                same = 10 * shared >= 6 * union and bool(pair & (BROADER | LOOK_ALIKE))
            if not same:
                rest.append(one)
            elif one.concept != best.concept:
                others[one.concept] = max(others.get(one.concept, 0.0), one.score)
        found.append((best, tuple(sorted(others.items(), key=lambda item: -item[1]))))
        left = rest
    return found


@pytest.mark.parametrize("make", [random_sightings, random_tracks])
def test_random_cases_agree_with_pixels_counted(make: Callable[[random.Random, int], list[Sighting]]) -> None:
    fell = names = 0
    for seed in range(100):
        given = make(random.Random(seed), 40)
        expected = {id(one): also for one, also in slow(given)}
        found = {id(one.sighting): one.also for one in merge(given, WORDS)}
        assert found == expected, seed
        fell += len(given) - len(found)
        names += sum(len(also) for also in found.values())
    assert fell > names > 50


def test_a_volume_is_compared_slice_by_slice() -> None:
    box, far = (0.0, 0.0, 40.0, 40.0), (200.0, 200.0, 240.0, 240.0)
    long = through("nodule", dict.fromkeys(range(10), box), 0.9)
    # Their best slices differ, and they are one all the same.
    assert standing([long, through("nodule", dict.fromkeys(range(4, 10), box), 0.8)]) == [("nodule", box, ())]
    assert standing([long, through("mass", dict.fromkeys(range(4, 10), box), 0.8)]) == [
        ("nodule", box, (("mass", 0.8),))
    ]
    # The same box, but only a share of the slices: 3 of 10 is inside, and too small to be the same.
    for other in ("nodule", "mass"):
        assert len(merge([long, through(other, dict.fromkeys(range(7, 10), box), 0.8)], WORDS)) == 2
    # One above the other, and one beside the other.
    assert len(merge([long, through("nodule", dict.fromkeys(range(10, 20), box), 0.8)], WORDS)) == 2
    assert len(merge([long, through("nodule", dict.fromkeys(range(10), far), 0.8)], WORDS)) == 2
    # Two that cross: on the slice of either's best box they lie on each other.
    crossing = through("nodule", {n: (n * 10.0, 0.0, n * 10.0 + 40, 40.0) for n in range(10)}, 0.8)
    assert len(merge([long, crossing], WORDS)) == 2


def test_slices_without_a_uid_are_told_apart_by_their_best_view() -> None:
    box = (0.0, 0.0, 40.0, 40.0)
    low, high = (
        through("nodule", {0: box, 1: box}, 0.9, uids=False),
        through("nodule", {5: box, 6: box}, 0.8, uids=False),
    )
    assert len(merge([low, high], WORDS)) == 2
    assert len(merge([low, replace(high, view=low.view)], WORDS)) == 1


def test_three_hundred_boxes_are_merged_at_once_and_alike_each_time() -> None:
    rng = random.Random(5)
    given = []
    for _ in range(300):
        x, y = rng.random() * 800, rng.random() * 800
        box = (x, y, x + 20 + rng.random() * 150, y + 20 + rng.random() * 150)
        given.append(sighting(rng.choice(KEYS), box, rng.random()))
    start = time.process_time()
    first = merge(given, WORDS)
    assert time.process_time() - start < 2.0  # it takes 0.05 s
    assert merge(given, WORDS) == first
    assert 50 < len(first) < 300
    stacked = [replace(one, candidate=replace(one.candidate, box_xyxy_px=SQUARE)) for one in given]
    assert len(merge(stacked, WORDS)) <= len(KEYS)


def test_the_vocabulary_that_ships_says_what_is_one_lesion() -> None:
    words = load_vocabulary()
    for a, b in (("nodule", "mass"), ("mass", "lung_lesion"), ("ground_glass_opacity", "lung_lesion")):
        assert can_name_one_lesion(a, b, words)
        assert can_name_one_lesion(b, a, words)
    for a, b in (("calcification", "mass"), ("fracture", "nodule"), ("cardiomegaly", "pleural_effusion")):
        assert not can_name_one_lesion(a, b, words)
        assert not can_name_one_lesion(b, a, words)

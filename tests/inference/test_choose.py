"""Which of several is meant, against every world in which some of them are real and the rest are not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest

from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.dicom.header import ImageHeader
from medground.dicom.image import open_image
from medground.inference.choose import (
    SAME_AREA,
    SAME_PLACE,
    TIE_RATIO,
    UNTOLD,
    at_least,
    chances,
    choose,
)
from medground.inference.sighting import Sighting
from medground.schema.anatomy import Domain
from medground.schema.result import Relation, SpacingSource
from tests.inference.drawn import drawn, write_ct_slice, write_dx
from tests.inference.sightings import COLUMNS, ROWS, asked, at, sighting, square

CT, LIMB = Domain.CHEST_CT, Domain.LIMB_RADIOGRAPH


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> ImageHeader:
    return open_image(write_dx(tmp_path_factory.mktemp("film") / "a.dcm", drawn(rows=ROWS, columns=COLUMNS))).header


def in_every_world(scores: Sequence[float], first: int, last: int) -> list[float]:
    """The chances, by counting out all worlds in which some are real."""
    found = [0.0] * len(scores)
    for world in product((False, True), repeat=len(scores)):
        probability = prod(s if real else 1 - s for s, real in zip(scores, world, strict=True))
        real = [index for index, is_real in enumerate(world) if is_real]
        for index in real[first - 1 : last]:
            found[index] += probability
    return found


@pytest.mark.parametrize("seed", range(60))
def test_chances_are_those_of_all_worlds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random(int(rng.integers(1, 7))).tolist()
    if seed % 5 == 0:
        scores[0] = float(seed % 10 == 0)  # surely real, surely not
    for first in range(1, 8):
        for last in range(first, 8):
            assert chances(scores, first, last) == pytest.approx(in_every_world(scores, first, last), abs=1e-12)
        several = sum(
            prod(s if real else 1 - s for s, real in zip(scores, world, strict=True))
            for world in product((False, True), repeat=len(scores))
            if sum(world) >= first
        )
        assert at_least(scores, first) == pytest.approx(several, abs=1e-12)
    assert chances([], 1, 3) == []
    assert at_least([], 1) == 0


MEASURES = {  # a second formula for each order, for a film of the usual orientation; the greatest comes first
    Relation.LARGEST: lambda b: (b[2] - b[0]) * (b[3] - b[1]),
    Relation.SMALLEST: lambda b: -(b[2] - b[0]) * (b[3] - b[1]),
    Relation.UPPERMOST: lambda b: -(b[1] + b[3]),
    Relation.LOWERMOST: lambda b: b[1] + b[3],
    Relation.LEFTMOST: lambda b: b[0] + b[2],
    Relation.RIGHTMOST: lambda b: -(b[0] + b[2]),
    Relation.MOST_MEDIAL: lambda b: -abs(b[0] + b[2] - COLUMNS),
    Relation.MOST_LATERAL: lambda b: abs(b[0] + b[2] - COLUMNS),
}


def random_sightings(rng: np.random.Generator, film: ImageHeader) -> list[Sighting]:
    corners = rng.uniform(0, 400, (int(rng.integers(2, 7)), 2))
    sides = rng.uniform(5, 100, corners.shape)
    words = list(APPEARANCE_WORDS["shape"])
    return [
        sighting(
            (*corner, *(corner + side)), float(rng.random()), film, said=tuple(rng.choice(words, int(rng.integers(2))))
        )
        for corner, side in zip(corners, sides, strict=True)
    ]


@pytest.mark.parametrize("relation", Relation)
def test_a_choice_is_that_of_all_worlds(relation: Relation, film: ImageHeader) -> None:
    rng = np.random.default_rng(list(Relation).index(relation))
    decided = 0
    for case in range(60):
        found = random_sightings(rng, film)
        rank = min(case % 3 + 1, len(found))
        count = min(2 + case % 2, len(found)) if rank == 1 and case % 4 == 0 else None
        looks = ("round",) if case % 2 else ()
        fits = [s.candidate.likeness.get("round", UNTOLD) for s in found]
        scores = [s.score * (fit if looks else 1) for s, fit in zip(found, fits, strict=True)]
        order = sorted(range(len(found)), key=lambda i: -MEASURES[relation](found[i].candidate.box_xyxy_px))
        in_order = in_every_world([scores[i] for i in order], rank if count is None else 1, count or rank)
        expected = dict(zip(order, in_order, strict=True))
        choice = choose(found, asked(relation, rank=rank, count=count, attributes=looks))
        assert choice.chances == pytest.approx([expected[i] for i in range(len(found))], abs=1e-12)
        best = sorted(expected, key=lambda i: -expected[i])
        wanted = count or 1
        assert choice.shown[:wanted] == tuple(best[:wanted])
        rivals = {i for i in best[wanted:] if expected[i] * TIE_RATIO > expected[best[wanted - 1]]}
        assert rivals <= set(choice.shown[wanted:])
        decided += len(choice.shown) == wanted
    assert 5 < decided < 55


def test_the_order_of_the_sightings_does_not_matter(film: ImageHeader) -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        found = random_sightings(rng, film)
        mixed = rng.permutation(len(found))
        one = choose(found, asked(rank=2))
        other = choose([found[i] for i in mixed], asked(rank=2))
        assert {int(mixed[i]) for i in other.shown} == set(one.shown)
        assert other.warnings == one.warnings


@pytest.mark.parametrize(
    ("sides", "scores", "shown", "why"),
    [
        ([40, 30], [0.9, 0.9], {0}, None),
        ([40, 39], [0.9, 0.9], {0, 1}, "two are of about the same size, so both are shown"),
        ([40, 38], [0.9, 0.9], {0, 1}, "two are of about the same size"),  # 0.9025 of the area
        ([40, 37.9], [0.9, 0.9], {0}, None),  # 0.898 of it
        ([40, 40, 40], [0.9, 0.9, 0.9], {0, 1, 2}, "three are of about the same size, so all are shown"),
        ([40, 39, 20], [0.9, 0.9, 0.9], {0, 1}, "two are of about the same size"),
        ([40, 30], [0.5, 0.9], {0, 1}, "which is the largest depends on which of them are real, so both are shown"),
        ([40, 30], [0.3, 0.9], {1}, None),  # 0.3 to 0.63
        ([40, 30], [0.6, 0.99], {0}, None),  # 0.6 to 0.396, just above three to two
        ([40, 30], [0.595, 0.99], {0, 1}, "depends on which of them are real"),  # 0.595 to 0.401, just below
        ([40, 39], [0.9, 0.2], {0}, None),  # whichever is the larger one, the second is too improbable
        ([39, 40], [0.9, 0.2], {0}, None),
        ([40, 39], [0.9, 0.4], {0, 1}, "same size"),  # were the second the larger: 0.54 to 0.4
        ([39, 40], [0.9, 0.4], {0, 1}, "same size"),
        ([40, 30, 29.5], [0.5, 0.9, 0.9], {0, 1, 2}, "two are of about the same size"),
    ],
)
def test_ties_of_size(sides: list[float], scores: list[float], shown: set[int], why: str | None) -> None:
    choice = choose([square(side, score) for side, score in zip(sides, scores, strict=True)], asked())
    assert set(choice.shown) == shown
    assert choice.undecided == (why is not None)
    assert [why in warning for warning in choice.warnings[:1]] == ([True] if why else [])  # type: ignore[operator]  # the cases settle the types


def test_a_tie_of_both_kinds_tells_both() -> None:
    choice = choose([square(40, 0.5), square(30, 0.9), square(29.5, 0.9)], asked())
    same, real = choice.warnings
    assert same == "two are of about the same size, so all are shown"
    assert "depends on which of them are real" in real


@pytest.mark.parametrize(
    ("relation", "axis", "words"),
    [
        (Relation.UPPERMOST, "y", "about the same height"),
        (Relation.LOWERMOST, "y", "about the same height"),
        (Relation.LEFTMOST, "x", "equally far to that side"),
        (Relation.RIGHTMOST, "x", "equally far to that side"),
        (Relation.MOST_MEDIAL, "x", "equally far from the midline"),
        (Relation.MOST_LATERAL, "x", "equally far from the midline"),
    ],
)
def test_ties_of_place(relation: Relation, axis: str, words: str, film: ImageHeader) -> None:
    side = ROWS if axis == "y" else COLUMNS
    for share, tied in ((SAME_PLACE * 0.99, True), (SAME_PLACE * 1.01, False)):
        first, second = (100.0, 100.0), (100.0, 100.0 + share * side)
        pair = [at(*(first if axis == "y" else first[::-1]), header=film)]
        pair.append(at(*(second if axis == "y" else second[::-1]), header=film))
        choice = choose(pair, asked(relation))
        assert choice.undecided == tied
        assert (len(choice.shown) == 2) == tied
        assert any(words in warning for warning in choice.warnings) == tied


def test_the_margin_of_areas_is_a_share_of_the_larger() -> None:
    for width, tied in ((1 - SAME_AREA * 0.99, True), (1 - SAME_AREA * 1.01, False)):
        pair = [sighting((0, 0, 100, 100)), sighting((0, 0, 100 * width, 100))]
        for order in (pair, pair[::-1]):
            assert choose(order, asked()).undecided == tied


FOUR = [square(side, score) for side, score in ((20, 0.9), (80, 0.95), (50, 0.9), (32, 0.9))]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ({"rank": 1}, [1]),
        ({"rank": 2}, [2]),
        ({"rank": 3}, [3]),
        ({"rank": 4}, [0]),
        ({"count": 2}, [1, 2]),
        ({"count": 3}, [1, 2, 3]),
        ({"count": 4}, [1, 2, 3, 0]),
        ({"count": 7}, [1, 2, 3, 0]),
        ({"relation": Relation.SMALLEST, "rank": 2}, [3]),
        ({"relation": Relation.SMALLEST, "count": 2}, [0, 3]),
    ],
)
def test_ranks_and_counts(wanted: dict[str, object], shown: list[int]) -> None:
    choice = choose(FOUR, asked(**wanted))  # type: ignore[arg-type]  # the cases are data
    assert list(choice.shown) == shown
    assert not choice.undecided
    assert bool(choice.warnings) == (wanted.get("count") == 7)


def test_a_rank_above_their_number_is_none_of_them() -> None:
    choice = choose(FOUR, asked(rank=5))
    assert (len(choice.shown), choice.undecided) == (4, True)
    assert choice.warnings == ("there is no fifth largest: only four were seen",)
    assert choose(FOUR[:1], asked(rank=2)).warnings == ("there is no second largest: only one was seen",)


def test_more_asked_for_than_seen_is_told_and_settled() -> None:
    choice = choose(FOUR[:1], asked(count=2))
    assert (choice.shown, choice.undecided) == ((0,), False)
    assert choice.warnings == ("the two largest were asked for, and only one was seen",)


def test_the_place_behind_a_tie_is_settled_and_places_in_it_are_not() -> None:
    found = [square(50), square(49), square(30)]
    assert set(choose(found, asked(rank=2)).shown) == {0, 1}
    assert choose(found, asked(rank=2)).undecided
    third = choose(found, asked(rank=3))
    assert (third.shown, third.undecided) == ((2,), False)
    both = choose(found, asked(count=2))
    assert (set(both.shown), both.undecided) == ({0, 1}, False)


def test_the_last_of_a_count_has_rivals() -> None:
    choice = choose([square(50), square(30), square(29.5), square(10)], asked(count=2))
    assert (set(choice.shown), choice.undecided) == ({0, 1, 2}, True)
    assert choice.warnings == ("two are of about the same size, so all are shown",)


def test_a_picture_without_header_compares_sizes_and_nearness_and_no_sides() -> None:
    found = [at(100, 100), at(240, 400), at(430, 300)]
    assert choose([square(40), square(20)], asked()).shown == (0,)
    assert choose(found, asked(Relation.MOST_MEDIAL)).shown == (1,)
    assert choose(found, asked(Relation.MOST_LATERAL)).shown == (2,)
    for relation in (Relation.LEFTMOST, Relation.RIGHTMOST, Relation.UPPERMOST, Relation.LOWERMOST):
        choice = choose(found, asked(relation))
        assert (choice.shown, choice.undecided, choice.chances) == ((0, 1, 2), True, ())
        assert choice.warnings == (f"which is the {relation.value} cannot be told on these images, so all are shown",)


def test_nearness_says_what_stands_for_the_heart(film: ImageHeader) -> None:
    found = [at(100, 100, header=film), at(240, 400, header=film)]
    for relation in (Relation.MOST_MEDIAL, Relation.MOST_LATERAL):
        (warning,) = choose(found, asked(relation)).warnings
        assert "not outlined" in warning
        assert not choose(found, asked(relation)).undecided
    assert choose(found[:1], asked(Relation.MOST_MEDIAL)).warnings == ()  # one is not measured
    assert choose(found, asked(Relation.LEFTMOST)).warnings == ()


def test_nearness_is_for_chests_seen_from_the_front(film: ImageHeader) -> None:
    lateral = [replace(film, patient_orientation=("A", "F"))]
    lateral.append(replace(film, patient_orientation=None, view_position="LL"))
    for header in lateral:
        choice = choose([at(100, 100, header=header), at(240, 400, header=header)], asked(Relation.MOST_MEDIAL))
        assert (len(choice.shown), choice.undecided) == (2, True)
    silent = replace(film, patient_orientation=None, view_position="PA")
    assert choose([at(100, 100, header=silent), at(240, 400, header=silent)], asked(Relation.MOST_MEDIAL)).shown == (1,)
    limb = [at(100, 100, domain=LIMB), at(240, 400, domain=LIMB)]
    assert choose(limb, asked(Relation.MOST_MEDIAL)).undecided


def test_left_is_the_patients(film: ImageHeader) -> None:
    for letters, left in ((("L", "F"), 1), (("R", "F"), 0)):
        header = replace(film, patient_orientation=letters)
        found = [at(100, 100, header=header), at(400, 100, header=header)]
        assert choose(found, asked(Relation.LEFTMOST)).shown == (left,)
        assert choose(found, asked(Relation.RIGHTMOST)).shown == (1 - left,)


def test_mixed_spacing_compares_only_on_one_image(film: ImageHeader) -> None:
    """A box of fewer pixels can be the larger one in millimetres, and pixels of two images are no measure."""
    fine, coarse = replace(film, spacing_mm=(0.1, 0.1)), replace(film, spacing_mm=(0.5, 0.5))
    found = [square(100, header=fine), square(40, header=coarse, image="2")]
    assert choose(found, asked()).shown == (1,)
    assert choose(found, asked(Relation.MOST_LATERAL)).shown == (1,)  # 230 * 0.5 mm against 190 * 0.1 mm
    unknown = replace(film, spacing_mm=None, spacing_source=None)
    for other in (unknown, replace(coarse, spacing_source=SpacingSource.PATIENT_PLANE)):
        choice = choose([square(100, header=fine), square(40, header=other, image="2")], asked())
        assert (choice.shown, choice.undecided) == ((0, 1), True)
        assert "cannot be told" in choice.warnings[0]
    assert choose([square(100, header=unknown), square(40, header=unknown)], asked()).shown == (0,)
    same = replace(fine, spacing_source=SpacingSource.CALIBRATION)
    assert choose([square(100, header=fine), square(40, header=same)], asked()).shown == (0,)  # pixels of one image


def test_slices_compare_in_the_patient(tmp_path: Path) -> None:
    """Height is that along the volume, left that of LPS; the margin is that of the slice's side in millimetres."""
    headers = [
        open_image(
            write_ct_slice(tmp_path / f"{z}.dcm", drawn(rows=ROWS, columns=COLUMNS), z_mm=z, instance=z + 1)
        ).header
        for z in (0, 50, 55)
    ]
    found = [
        at(x, 100, header=header, image=str(number), domain=CT)
        for number, (x, header) in enumerate(zip((100, 250, 400), headers, strict=True))
    ]
    assert choose(found, asked(Relation.LOWERMOST)).shown == (0,)
    upper = choose(found, asked(Relation.UPPERMOST))  # 5 mm apart, 2% of 600 * 0.8 mm are 9.6
    assert (set(upper.shown), upper.undecided) == ({1, 2}, True)
    assert choose(found, asked(Relation.LEFTMOST)).shown == (2,)
    assert choose(found, asked(Relation.RIGHTMOST)).shown == (0,)
    assert choose(found, asked(Relation.MOST_MEDIAL)).shown == (1,)
    other_frame = replace(headers[2], frame_of_reference_uid="9.9")
    apart = [found[0], at(400, 100, header=other_frame, image="2", domain=CT)]
    for relation in (Relation.UPPERMOST, Relation.LEFTMOST):
        assert choose(apart, asked(relation)).undecided
    assert choose(apart, asked(Relation.MOST_MEDIAL)).shown != ()


def test_one_alone_is_every_first() -> None:
    for relation in Relation:
        choice = choose([square(40, 0.3)], asked(relation))
        assert (choice.shown, choice.undecided, choice.warnings, choice.chances) == ((0,), False, (), (0.3,))


def test_fifty_regions_are_fast_and_defined(film: ImageHeader) -> None:
    rng = np.random.default_rng(0)
    for alike in (False, True):
        sides = np.full(50, 20.0) if alike else rng.uniform(5, 100, 50)
        for level in (0.9, 0.2, 0.01):
            found = [square(float(s), level, *rng.uniform(0, 400, 2), header=film) for s in sides]
            start = time.process_time()
            for relation in Relation:
                for wanted in ({"rank": 1}, {"rank": 9}, {"count": 9}):
                    choice = choose(found, asked(relation, **wanted))
                    assert len(set(choice.shown)) == len(choice.shown) >= 1
                    assert sum(choice.chances) <= wanted.get("count", 1) + 1e-9
            assert time.process_time() - start < 5
        if alike:
            assert len(choose(found, asked()).shown) == 50

"""Cases: which are nearest, against a slow formula; what is joined, taken out and chosen."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from medground.model.cases import MOST_CASES, Cases, case_id, diverse, unit
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from tests.model.made_cases import FILM, WIDTH, one_case, some_cases


def cosine(one: list[float], other: list[float]) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))


def test_the_nearest_are_those_of_the_class_on_that_kind_of_image() -> None:
    cases = some_cases()
    regions = np.random.default_rng(9).random((3, WIDTH), dtype=np.float32)
    for region, found in zip(regions, cases.nearest("cavity", FILM, regions, most=2), strict=True):
        slow = {
            one.id: cosine(region.tolist(), features.astype(float).tolist())
            for one, features in zip(cases.known, cases.features_ND, strict=True)
            if one.concept == "cavity"
        }
        wanted = sorted(slow, key=lambda key: -slow[key])[:2]
        assert [key for key, _ in found] == wanted
        assert [alike for _, alike in found] == pytest.approx([slow[key] for key in wanted], abs=1e-3)
    assert cases.nearest("cavity", Domain.CHEST_CT, regions) == [(), (), ()]
    assert cases.nearest("cavity", FILM, regions[:0]) == []
    assert Cases().nearest("cavity", FILM, regions) == [(), (), ()]
    assert cases.are_of("nodule", Domain.CHEST_CT)
    assert not cases.are_of("nodule", FILM)


def test_a_region_is_most_like_itself_and_what_points_away_is_not_alike() -> None:
    cases = some_cases()
    own = cases.features_ND[:1].astype(np.float32)
    (found,) = cases.nearest("cavity", FILM, own)
    assert found[0] == (cases.known[0].id, 1.0)
    assert len(found) == 3
    (away,) = cases.nearest("cavity", FILM, -own)
    assert {alike for _, alike in away} == {0.0}
    (nothing,) = cases.nearest("cavity", FILM, 0 * own)
    assert {alike for _, alike in nothing} == {0.0}


def test_ids_follow_from_what_they_name() -> None:
    features = np.ones(WIDTH, np.float16)
    key = case_id("cavity", FILM, features)
    assert len(key) == 16
    assert key == case_id("cavity", FILM, features.copy())
    others = [("mass", FILM, features), ("cavity", Domain.CHEST_CT, features), ("cavity", FILM, 2 * features)]
    assert len({key, *(case_id(*other) for other in others)}) == 4


def test_what_is_joined_is_there_once_and_what_is_taken_out_is_gone_with_its_picture() -> None:
    cases = some_cases()
    assert [one.id for one in cases.joined(cases).known] == [one.id for one in cases.known]
    assert cases.joined(Cases()) is cases
    assert Cases().joined(cases) is cases
    more = cases.joined(one_case(5, kept=True))
    assert len(more.known) == len(more.features_ND) == 5
    assert len(more.pictures) == 2
    assert more.find(more.known[4].id) == more.known[4]
    assert more.find("0" * 16) is None
    left = more.without("cavity")
    assert [one.concept for one in left.known] == ["nodule"]
    assert np.array_equal(left.features_ND, cases.features_ND[3:])
    assert left.pictures == {}
    assert left.without("nodule").known == ()
    by_hand = cases.without("cavity", "phantom")
    assert [(one.concept, one.source) for one in by_hand.known] == [
        ("cavity", "added to this bundle"),
        ("nodule", "phantom"),
    ]


def test_too_many_and_those_of_another_network_are_refused() -> None:
    wide = Cases(one_case(1).known, np.ones((1, WIDTH + 1), np.float16))
    with pytest.raises(UsageError, match="7 and 6 numbers"):
        one_case(2).joined(wide)
    known = tuple(one_case(0).known[0].model_copy(update={"id": f"{n:016x}"}) for n in range(MOST_CASES + 1))
    with pytest.raises(UsageError, match=f"at most {MOST_CASES} cases, these are {MOST_CASES + 1}"):
        Cases().joined(Cases(known, np.ones((len(known), WIDTH), np.float16)))


def test_those_chosen_differ_most() -> None:
    angles = np.radians([0, 2, 4, 80, 82, 40])
    rows = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    # The middle one, then the farthest from it, then the farthest from both.
    assert diverse(rows, 3) == [5, 4, 0]
    assert sorted(diverse(rows, 99)) == [0, 1, 2, 3, 4, 5]
    assert diverse(rows[:0], 3) == []
    assert diverse(rows, 0) == []


def test_the_choice_among_many_follows_a_slow_formula_in_little_memory() -> None:
    rows = np.random.default_rng(3).standard_normal((4000, WIDTH)).astype(np.float32)
    tracemalloc.start()
    found = diverse(rows, 12)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 20 * rows.nbytes  # 2 MB; every pair at once would take 64
    alike = unit(rows).astype(float) @ unit(rows).astype(float).T
    slow = [int(alike.mean(0).argmax())]
    while len(slow) < 12:
        nearest = alike[slow].max(0)
        nearest[slow] = np.inf
        slow.append(int(nearest.argmin()))
    assert found == slow

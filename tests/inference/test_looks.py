"""Which of several looks as asked, by how well words fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medground.inference.choose import LEAST_LIKELY, choose
from tests.inference.sightings import asked, square


def test_the_one_that_is_described_so_is_meant() -> None:
    round_one, oval, silent = (square(40, said=said) for said in (("faint", "round"), ("oval",), ("dense",)))
    choice = choose([oval, round_one, silent], asked(None, attributes=("round",)))
    assert (choice.shown, choice.fitting, choice.undecided) == ((1, 2), (1, 2), False)  # of the last nothing is told
    assert choose([oval, round_one], asked(None, attributes=("round",))).shown == (1,)
    everything = choose([oval, round_one, silent], asked(None))
    assert (everything.shown, everything.undecided) == ((0, 1, 2), False)


def test_looks_that_no_word_tells_are_shown_and_told() -> None:
    choice = choose([square(40, said=("dense",)), square(20)], asked(None, attributes=("round",)))
    assert (choice.shown, choice.undecided) == ((0, 1), False)
    assert choice.warnings == ("whether it is round cannot be told: nothing was learnt of its shape",)


def test_words_that_speak_against_it_leave_it_open() -> None:
    choice = choose([square(40, said=("oval",))], asked(None, attributes=("round",)))
    assert (choice.shown, choice.undecided, choice.warnings) == ((0,), True, ("it does not look round",))


def test_words_of_one_group_are_alternatives_and_of_two_groups_both_count() -> None:
    found = [square(40, said=said) for said in (("oval", "dense"), ("round", "faint"), ("round", "dense"))]
    assert choose(found, asked(None, attributes=("round", "oval"))).shown == (0, 1, 2)
    assert choose(found, asked(None, attributes=("round", "dense"))).shown == (2,)


def test_looks_weigh_in_an_order() -> None:
    found = [square(60, said=("oval",)), square(40, said=("round",)), square(20, said=("round",))]
    choice = choose(found, asked(attributes=("round",)))
    so, otherwise = 0.9 * 0.9, 0.9 * 0.1 / 6
    expected = (otherwise, so * (1 - otherwise), so * (1 - otherwise) * (1 - so))
    assert choice.chances == pytest.approx(expected, abs=1e-12)
    assert (choice.shown, choice.undecided) == ((1,), False)
    assert choose(found, asked()).shown == (0,)


def test_a_look_that_fits_as_well_as_another_settles_nothing_and_speaks_against_nothing() -> None:
    close = {"round": 0.45, "oval": 0.55}
    found = [replace(s, candidate=replace(s.candidate, likeness=close)) for s in (square(40), square(20, x=200))]
    choice = choose(found, asked(None, attributes=("round",)))
    assert (choice.shown, choice.undecided, choice.warnings) == ((0, 1), False, ())
    both = choose(found, asked(None, attributes=("round", "oval")))
    assert (both.shown, both.undecided) == ((0, 1), False)


def test_a_region_that_nothing_tells_of_is_left_out_by_no_look() -> None:
    told, untold = (replace(s, candidate=replace(s.candidate, likeness={})) for s in (square(40), square(20, x=200)))
    told = replace(told, candidate=replace(told.candidate, likeness={"round": 0.9, "oval": 0.1}))
    choice = choose([told, untold], asked(None, attributes=("round",)))
    assert (choice.shown, choice.undecided) == ((0, 1), False)
    assert choice.warnings == ("whether it is round cannot be told: nothing was learnt of its shape",)
    never = replace(told, candidate=replace(told.candidate, likeness={"oval": 0.9, "irregular": 0.1}))
    unlearnt = choose([never], asked(None, attributes=("round",)))  # its kind was never called round
    assert (unlearnt.undecided, unlearnt.warnings) == (False, choice.warnings)
    other = replace(told, candidate=replace(told.candidate, likeness={"dense": 0.9, "faint": 0.1}))
    assert choose([other], asked(None, attributes=("round",))).undecided is False


def test_a_look_that_its_kind_never_has_is_least_likely() -> None:
    likeness = ({"irregular": 1.0, "round": 0.0}, {"irregular": 0.2, "round": 0.8})
    one, other = (
        replace(s, candidate=replace(s.candidate, likeness=fits))
        for s, fits in zip((square(40), square(20, x=200)), likeness, strict=True)
    )
    choice = choose([one, other], asked(None, attributes=("round",)))
    assert choice.shown == (1,)
    assert choose([one], asked(attributes=("round",))).chances == pytest.approx((0.9 * LEAST_LIKELY,))

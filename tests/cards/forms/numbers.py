"""The figures of a card, taken from the facts by hand: the second way to what a form must say."""

from __future__ import annotations

from collections.abc import Iterator

from medground.cards.contents import CardFacts
from medground.evaluation.bootstrap import Interval


def intervals(facts: CardFacts) -> Iterator[tuple[str, Interval]]:
    """Every interval of findings and means, with the name of its evaluation."""
    for one in facts.evaluations:
        each = [one.mean_ap50, one.mean_ap50_rare, one.mean_ap, one.mean_froc]
        for row in one.concepts:
            each += [row.ap50, row.ap, row.froc_mean, row.false_on_normal]
        each += [size.ap50 for size in one.sizes]
        yield from ((one.name, at) for at in each if at)


def figures(facts: CardFacts) -> list[tuple[float, float, float, int]]:
    """Value, limits and n of every figure but those of groups, sorted."""
    found = [(at.value, at.low, at.high, at.n_boxes) for _, at in intervals(facts)]
    for one in facts.evaluations:
        found += [(share.value, share.low, share.high, share.n) for share in (one.absent_error, one.ece) if share]
    return sorted(found)


def group_figures(facts: CardFacts) -> list[tuple[float, float, float, int]]:
    """The same of groups."""
    found = []
    for one in facts.evaluations:
        for group in one.subgroups:
            if at := group.mean_ap50:
                found.append((at.value, at.low, at.high, at.n_boxes))
            shares = (group.found, group.absent_error)
            found += [(share.value, share.low, share.high, share.n) for share in shares if share]
    return sorted(found)

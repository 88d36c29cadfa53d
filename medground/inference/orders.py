"""Orders among findings, such as "largest", "second from the top" or "the two largest", read from a question.

All but `order_words` take the sentence as `context.settle` leaves it.
"""

from __future__ import annotations

import re

from medground.inference.context import text_at
from medground.inference.lexicon import Item, Lexicon
from medground.schema.result import Relation

_RANKS = ("", "", "second ", "third ", "fourth ", "fifth ", "sixth ", "seventh ", "eighth ", "ninth ")
_NUMBERS = ("", "", "two ", "three ", "four ", "five ", "six ", "seven ", "eight ", "nine ")
_ORDINAL = re.compile(r"\d+(st|nd|rd|th)|tenth|eleventh|twelfth")
_OF_HEIGHT = frozenset({Relation.UPPERMOST, Relation.LOWERMOST})
_BEFORE_A_NUMBER = frozenset({"的", "前", "那", "这"})
_AMONG = frozenset({"中", "之中", "其中", "当中", "里", "哪个", "哪一个", "哪处"})
_UNITS = frozenset({"mm", "cm", "毫", "厘", "x", "%"})


def order_words(relation: Relation, rank: int = 1, count: int | None = None) -> str:
    """An order in words: "largest", "second most medial", "two largest".

    Args:
        relation: what is compared.
        rank: 1 for the first, at most 9.
        count: how many of the first are meant; None for one.
    """
    number = "" if count is None else _NUMBERS[count] if count < len(_NUMBERS) else f"{count} "
    return f"{number}{_RANKS[rank]}{relation.value.replace('_', ' ')}"


def orders_asked(items: list[Item], excluded: set[int]) -> list[tuple[Relation, int]]:
    """The orders asked for, each with its rank, once; one of an unknown rank ("10th largest") is left out.

    Args:
        items: the sentence.
        excluded: places of words that are denied or excluded.
    """
    orders: dict[tuple[Relation, int], None] = {}
    for at, item in enumerate(items):
        if item.role == "relation" and at not in excluded and not is_unread(items, at):
            relation, _, rank = item.value.partition("|")
            orders[Relation(relation), int(rank or 1)] = None
    return list(orders)


def is_unread(items: list[Item], at: int) -> bool:
    """Whether the order at a place has an unknown rank, or is that of something unknown: "the highest uptake"."""
    of_unknown = items[at].value in _OF_HEIGHT and at + 1 < len(items) and items[at + 1].role in ("unknown", "beyond")
    return of_unknown or _ORDINAL.fullmatch(text_at(items, at - 1)) is not None


def number_among(items: list[Item], lexicon: Lexicon) -> int | None:
    """How many an order is among, by the words: "the larger" of two, "the upper of the three", 三个中靠上的."""
    told = [2 for item in items if item.role == "relation" and lexicon.compares(item.text)]
    for at, item in enumerate(items):
        if item.role != "number":
            continue
        before = at - 1 - (text_at(items, at - 1) in ("the", "these", "those"))
        is_whole = text_at(items, before) == "of" or any(part.text in _AMONG for part in items[at + 1 : at + 3])
        told += [int(item.value)] if is_whole else []
    return max((number for number in told if number > 1), default=None)


def chooses_among_all(items: list[Item], at: int) -> bool:
    """Whether the order at a place is "the larger of" or 其中较大的."""
    return text_at(items, at + 1) == "of" or text_at(items, at - 1) in _AMONG


def count_asked(items: list[Item]) -> int | None:
    """How many of the first of an order are asked for: "the two largest", "最大的三个"; None for one."""
    for at, item in enumerate(items):
        if item.role != "relation":
            continue
        behind = at + 1
        while text_at(items, behind) in _BEFORE_A_NUMBER:
            behind += 1
        for place in (at - 1, behind):
            is_number = 0 <= place < len(items) and items[place].role == "number"
            if is_number and text_at(items, place + 1)[:2] not in _UNITS:
                return int(items[place].value)
    return None

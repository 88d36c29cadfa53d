"""Sentences for relations, order, counts and exclusion."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from medground.data.pairs.wording import (
    NUMBERS_EN,
    NUMBERS_ZH,
    Language,
    Wanted,
    has_plural,
    noun_en,
    noun_zh,
    phrase_of,
)
from medground.data.questions import with_article


class Relation(StrEnum):
    """Where or how a region is with respect to another."""

    ABOVE = "above"
    BELOW = "below"
    LEFT_OF = "left of"
    RIGHT_OF = "right of"
    LARGER = "larger than"
    SMALLER = "smaller than"


class Order(StrEnum):
    """Which of several regions."""

    LARGEST = "largest"
    SMALLEST = "smallest"
    UPPERMOST = "uppermost"
    LOWERMOST = "lowermost"


_RELATION_EN = {
    Relation.ABOVE: ("above", "that lies above", "higher than"),
    Relation.BELOW: ("below", "that lies below", "lower than"),
    Relation.LEFT_OF: ("to the patient's left of", "that lies further to the patient's left than"),
    Relation.RIGHT_OF: ("to the patient's right of", "that lies further to the patient's right than"),
    Relation.LARGER: ("larger than", "that is larger than", "bigger than"),
    Relation.SMALLER: ("smaller than", "that is smaller than"),
}
_RELATION_ZH = {
    Relation.ABOVE: ("位于{b}上方的{a}", "在{b}上面的{a}"),
    Relation.BELOW: ("位于{b}下方的{a}", "在{b}下面的{a}"),
    Relation.LEFT_OF: ("比{b}更偏患者左侧的{a}", "比{b}更靠患者左侧的{a}"),
    Relation.RIGHT_OF: ("比{b}更偏患者右侧的{a}", "比{b}更靠患者右侧的{a}"),
    Relation.LARGER: ("比{b}大的{a}", "面积大于{b}的{a}"),
    Relation.SMALLER: ("比{b}小的{a}", "面积小于{b}的{a}"),
}
_ORDER_EN = {
    Order.LARGEST: ("largest", "biggest"),
    Order.SMALLEST: ("smallest",),
    Order.UPPERMOST: ("uppermost", "highest", "topmost"),
    Order.LOWERMOST: ("lowermost", "lowest"),
}
_OF_TWO_EN = {
    Order.LARGEST: "larger",
    Order.SMALLEST: "smaller",
    Order.UPPERMOST: "upper",
    Order.LOWERMOST: "lower",
}
_ORDER_ZH = {
    Order.LARGEST: ("最大的",),
    Order.SMALLEST: ("最小的",),
    Order.UPPERMOST: ("最上方的", "位置最高的"),
    Order.LOWERMOST: ("最下方的", "位置最低的"),
}
_OF_TWO_ZH = {
    Order.LARGEST: "较大的",
    Order.SMALLEST: "较小的",
    Order.UPPERMOST: "靠上的",
    Order.LOWERMOST: "靠下的",
}
_ASK_EN = ("find {}", "show me {}", "where is {}?", "mark {}", "please locate {}", "draw a box around {}", "{}")
_ASK_ZH = ("找出{}", "请标出{}", "{}在哪里？", "显示{}", "圈出{}", "{}")
_OTHER_EN = (
    "anything other than {x}?",
    "is there anything besides {x}?",
    "find everything except {x}",
    "any findings other than {x}?",
    "what else is there apart from {x}?",
    "show all findings except {x}",
)
_OTHER_ZH = (
    "除了{x}还有什么？",
    "除{x}以外有没有其他异常？",
    "找出除{x}之外的所有病变",
    "除{x}外还有别的发现吗？",
    "有没有{x}以外的异常？",
)


def ask_relation(what: Wanted, relation: Relation, other: Wanted, language: Language, rng: np.random.Generator) -> str:
    """Ask for a finding by where or how it is with respect to the one other finding."""
    if language == "zh":
        return _ask(_pick(_RELATION_ZH[relation], rng).format(a=noun_zh(what, rng), b=noun_zh(other, rng)), "zh", rng)
    words = _pick(_RELATION_EN[relation], rng)
    return _ask(f"the {noun_en(what, rng)} {words} the {noun_en(other, rng)}", "en", rng)


def ask_order(what: Wanted, order: Order, count: int, language: Language, rng: np.random.Generator) -> str:
    """Ask for one of several: `the larger of the two effusions`, `the uppermost nodule`."""
    if language == "zh":
        if count == 2 and rng.random() < 0.5:
            return _ask(f"两处{noun_zh(what, rng).removesuffix('处')}中{_OF_TWO_ZH[order]}那一处", "zh", rng)
        return _ask(f"{_pick(_ORDER_ZH[order], rng)}{noun_zh(what, rng)}", "zh", rng)
    if count == 2 and has_plural(what.concept) and rng.random() < 0.5:
        return _ask(f"the {_OF_TWO_EN[order]} of the two {noun_en(what, rng, plural=True)}", "en", rng)
    return _ask(f"the {_pick(_ORDER_EN[order], rng)} {noun_en(what, rng)}", "en", rng)


def ask_count(what: Wanted, count: int, language: Language, rng: np.random.Generator) -> str:
    """Ask how many there are, or for all of the number that there is."""
    if language == "zh":
        noun = noun_zh(what, rng).removesuffix("处")
        forms = [f"有几处{noun}？", f"{noun}有多少处？", f"一共有几处{noun}？"]
        forms += [f"找出全部{NUMBERS_ZH[count]}处{noun}", f"标出这{NUMBERS_ZH[count]}处{noun}"] if count > 1 else []
        return _pick(forms, rng)
    noun = noun_en(what, rng, plural=True)
    forms = [f"how many {noun} are there?", f"count the {noun}", f"how many {noun} can you see?"]
    every = "both" if count == 2 else f"all {NUMBERS_EN[count]}"
    forms += [f"find the {NUMBERS_EN[count]} {noun}", f"mark {every} {noun}"] if count > 1 else []
    return _pick(forms, rng)


def ask_other(concept: Wanted, language: Language, rng: np.random.Generator) -> str:
    """Ask for everything but one finding."""
    if language == "zh":
        return _pick(_OTHER_ZH, rng).format(x=phrase_of(concept.concept, "zh", rng))
    phrase = phrase_of(concept.concept, "en", rng, plural=has_plural(concept.concept))
    return _pick(_OTHER_EN, rng).format(x=with_article(phrase))


def _ask(noun: str, language: Language, rng: np.random.Generator) -> str:
    return _pick(_ASK_EN if language == "en" else _ASK_ZH, rng).format(noun)


def _pick(choices: tuple[str, ...] | list[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]

"""How people word what they look for: noun phrases and sentences in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from medground.data.questions import (
    CHINESE_TEMPLATES,
    ENGLISH_TEMPLATES,
    LUNG_FINDINGS,
    PREFERRED_SHARE,
    SIDED_FINDINGS,
    is_plural,
    with_article,
)
from medground.schema.anatomy import Side, Zone
from medground.schema.vocabulary import Concept

Language = Literal["en", "zh"]
_ZH_SIDE = {Side.LEFT: "左", Side.RIGHT: "右", Side.BILATERAL: "双"}
_ZH_ZONE = {Zone.UPPER: "上", Zone.MIDDLE: "中", Zone.LOWER: "下"}
_EN_SIZE = {"small": ("small", "small", "tiny"), "large": ("large", "big")}
_ZH_SIZE = {"small": ("小的", "较小的", "细小的"), "large": ("大的", "较大的")}
_SPREADING = frozenset({"consolidation", "infiltration", "pneumonia", "atelectasis", "fibrosis"})
"""Findings that have an extent rather than a size."""
_PLEURAL = frozenset({"pleural_effusion", "pleural_thickening", "pneumothorax"})
"""Findings beside the lung, so that nobody says that they are in it."""
APPEARANCE_ZH = {
    "round": "圆形",
    "oval": "椭圆形",
    "irregular": "不规则形",
    "band-like": "条带状",
    "wedge-shaped": "楔形",
    "crescent-shaped": "新月形",
    "diffuse": "弥漫性",
    "well-defined": "边界清楚",
    "ill-defined": "边界模糊",
    "lucent": "透亮",
    "faint": "淡薄",
    "moderate": "中等密度",
    "dense": "致密",
    "homogeneous": "密度均匀",
    "heterogeneous": "密度不均",
    "cavitated": "有空洞",
    "calcified": "有钙化",
}
"""English appearance word to the Chinese one; a word without one is not said in Chinese."""
APPEARANCE_EN = {"moderate": "moderately dense"}
"""English appearance word to how it is said in a sentence, where that is not the word itself."""
_SAYS_MORE = (
    *("solitary", "孤立", "multiple", "many", "numerous", "多发", "多个", "small", "小"),
    *(
        "lobar",
        "大叶",
        "肺叶",
        "bronchopneumonia",
        "支气管肺炎",
        "plate ",
        "盘状",
        "bullous",
        "大疱",
        "cracked",
        "骨裂",
    ),
    *("granuloma", "钙化结节", "plaque", "胸膜斑", "粘连", "punctured", "air leak", "张力", "压缩"),
)
"""Words in phrases of the vocabulary that say more than the finding: how many, how large, which sort, or from what."""
NUMBERS_EN = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS_ZH = ("零", "一", "两", "三", "四", "五", "六", "七", "八", "九", "十")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        concept: the finding.
        side, zone: place in the patient, or None.
        size: `small`, `large`, or None.
        appearance: one appearance word, English, or None.
    """

    concept: Concept
    side: Side | None = None
    zone: Zone | None = None
    size: str | None = None
    appearance: str | None = None

    @property
    def bare(self) -> Wanted:
        """The finding alone."""
        return replace(self, side=None, zone=None, size=None, appearance=None)


def phrase_of(concept: Concept, language: Language, rng: np.random.Generator, *, plural: bool | None = None) -> str:
    """A phrase that names the finding.

    Args:
        concept: what to name.
        language: `en` or `zh`.
        rng: source of chance.
        plural: True or False for an English phrase of that number, None for either. Where the vocabulary has none of
            that number the preferred name stands.
    """
    names = concept.names.get(language) or concept.names["en"]
    fitting = [
        phrase
        for phrase in names
        if (plural is None or language == "zh" or is_plural(phrase) == plural)
        and (phrase == names[0] or not any(word in phrase for word in _SAYS_MORE))
    ]
    if not fitting:
        return concept.name
    if len(fitting) == 1 or rng.random() < PREFERRED_SHARE:
        return fitting[0]
    return fitting[int(rng.integers(1, len(fitting)))]


def has_plural(concept: Concept) -> bool:
    """Whether English has a plural for it."""
    return any(is_plural(phrase) for phrase in concept.names["en"])


def question(wanted: Wanted, language: Language, rng: np.random.Generator) -> str:
    """A whole question for what is wanted, of one of the templates of the language."""
    if language == "zh":
        return _chinese(wanted, rng)
    phrase = phrase_of(wanted.concept, "en", rng)
    adjectives = _adjectives_en(wanted, rng)
    noun, before = f"{adjectives}{phrase}", _before_en(wanted)
    template = ENGLISH_TEMPLATES[int(rng.integers(len(ENGLISH_TEMPLATES)))]
    if "{before}" in template and before:
        # "large left effusion", and not "left fluid around the lung"
        if _has_place(phrase):
            return f"{noun}{place_en(wanted, rng, phrase)}{template.removeprefix('{before}{x}')}"
        noun, before = f"{adjectives}{before}{phrase}", ""
    plural = is_plural(phrase)
    return template.format(
        x=noun,
        a_x=with_article(noun),
        is_there="are there" if plural else "is there",
        is_are="are" if plural else "is",
        where=place_en(wanted, rng, phrase),
        before=before,
    )


def noun_en(wanted: Wanted, rng: np.random.Generator, *, plural: bool = False) -> str:
    """A noun phrase with its adjectives and place, without an article: `large effusion in the left lung`."""
    phrase = phrase_of(wanted.concept, "en", rng, plural=plural)
    if wanted.concept.image_level and not plural:
        # "the enlarged heart" rather than "the cardiomegaly"
        drawn = (phrase_of(wanted.concept, "en", rng, plural=False) for _ in range(8))
        phrase = next((one for one in drawn if with_article(one) != one), phrase)
    return f"{_adjectives_en(wanted, rng)}{phrase}{place_en(wanted, rng, phrase)}"


def noun_zh(wanted: Wanted, rng: np.random.Generator) -> str:
    """A noun phrase with its place and adjectives: `左肺大的胸腔积液`."""
    noun = f"{_adjectives_zh(wanted, rng)}{phrase_of(wanted.concept, 'zh', rng)}"
    return f"{place_zh(wanted, rng, noun)}{noun}"


def place_en(wanted: Wanted, rng: np.random.Generator, phrase: str = "") -> str:
    """Side and zone as they stand behind the finding, with a blank before; empty where there is neither.

    Args:
        wanted: what is asked for.
        rng: source of chance.
        phrase: the words before it: behind "spot on the lung" nobody says "in the left lung".
    """
    side, zone = _side(wanted), wanted.zone
    in_lung = wanted.concept.key in LUNG_FINDINGS
    if zone is not None:
        third = zone.value.split()[0]
        parts = [zone.value, f"{third} lung zone", f"{third} lung field"] if in_lung else [f"{third} part of the chest"]
        part = parts[int(rng.integers(len(parts)))]
        if side is Side.BILATERAL:
            return f" in both {third} zones"
        return f" in the {side} {part}" if side and in_lung else f" in the {part}{f' on the {side}' if side else ''}"
    if side is None:
        return ""
    in_it = in_lung and wanted.concept.key not in _PLEURAL and "lung" not in phrase
    if side is Side.BILATERAL:
        return " in both lungs" if in_it and rng.random() < 0.5 else " on both sides"
    choices = [f" on the {side}", f" on the {side} side"] + ([f" in the {side} lung"] if in_it else [])
    return choices[int(rng.integers(len(choices)))]


def place_zh(wanted: Wanted, rng: np.random.Generator, behind: str = "") -> str:
    """Side and zone as they stand before the finding.

    Args:
        wanted: what is asked for.
        rng: source of chance.
        behind: the words right behind it: before "肺结节" nobody says "左肺".
    """
    side, zone = _side(wanted), wanted.zone
    in_lung = wanted.concept.key in LUNG_FINDINGS
    if zone is not None:
        one, two = _ZH_SIDE[side] if side else "", _ZH_ZONE[zone]
        if not in_lung:
            return f"{one}{two}胸部"
        forms = [f"{one}{two}肺野", f"{one}肺{two}野" if one else f"肺{two}野"]
        forms += [] if zone is Zone.MIDDLE or behind.startswith("肺") else [f"{one}{two}肺"]
        return forms[int(rng.integers(len(forms)))]
    if side is None:
        return ""
    in_it = in_lung and wanted.concept.key not in _PLEURAL and not behind.startswith("肺")
    return f"{_ZH_SIDE[side]}{'肺' if in_it and rng.random() < 0.5 else '侧'}"


def _side(wanted: Wanted) -> Side | None:
    """The side as it is said: a heart reaches to both sides, but nobody says that it lies on both."""
    middle = wanted.side is Side.BILATERAL and wanted.concept.key not in SIDED_FINDINGS
    return None if middle else wanted.side


def _has_place(phrase: str) -> bool:
    """Whether an English phrase says itself where it is: `fluid around the lung`."""
    return any(f" {word} " in phrase for word in ("around", "in", "on", "of"))


def _before_en(wanted: Wanted) -> str:
    """Side and zone as adjectives before the finding, with a blank behind: `left upper zone `."""
    side = "bilateral" if wanted.side is Side.BILATERAL else wanted.side
    return "".join(f"{word} " for word in (side, wanted.zone) if word is not None)


def _adjectives_en(wanted: Wanted, rng: np.random.Generator) -> str:
    words = []
    if wanted.size is not None:
        sizes = (*_EN_SIZE[wanted.size], *(("extensive",) if _spreads(wanted) else ()))
        words.append(sizes[int(rng.integers(len(sizes)))])
    if wanted.appearance is not None:
        words.append(wanted.appearance)
    return "".join(f"{word} " for word in words)


def _adjectives_zh(wanted: Wanted, rng: np.random.Generator) -> str:
    words = ""
    if wanted.size is not None:
        sizes = (*_ZH_SIZE[wanted.size], *(("大片的",) if _spreads(wanted) else ()))
        words += sizes[int(rng.integers(len(sizes)))]
    if wanted.appearance is not None:
        words += f"{APPEARANCE_ZH[wanted.appearance]}的"
    return words


def _spreads(wanted: Wanted) -> bool:
    return wanted.size == "large" and wanted.concept.key in _SPREADING


def _chinese(wanted: Wanted, rng: np.random.Generator) -> str:
    noun = f"{_adjectives_zh(wanted, rng)}{phrase_of(wanted.concept, 'zh', rng)}"
    where = place_zh(wanted, rng, noun)
    template = CHINESE_TEMPLATES[int(rng.integers(len(CHINESE_TEMPLATES)))]
    return template.format(x=noun, where=where, where_de=f"{where}的" if where else "")

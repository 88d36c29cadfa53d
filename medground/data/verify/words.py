"""The words the verifier knows, each with the part it plays in a sentence; what is not listed is not understood.

Roles of nouns: C finding, p place, z size, a look, n number, d article, g the Chinese 的. The rest are named where the
sentences are, in `grammar`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from medground.schema.anatomy import Side, Zone

Language = Literal["en", "zh"]
Entry = tuple[str, str, Any]
"""Words, role, value."""

_ZONES = {"upper": Zone.UPPER, "middle": Zone.MIDDLE, "mid": Zone.MIDDLE, "lower": Zone.LOWER}
_SIDES = {"left": Side.LEFT, "right": Side.RIGHT}
_HAN_SIDES = {"左": Side.LEFT, "右": Side.RIGHT, "双": Side.BILATERAL, "两": Side.BILATERAL}
_HAN_ZONES = {"上": Zone.UPPER, "中": Zone.MIDDLE, "下": Zone.LOWER}

ASPECTS = (
    {"round", "oval", "irregular", "band-like", "wedge-shaped", "crescent-shaped", "diffuse"},
    {"well-defined", "ill-defined"},
    {"lucent", "faint", "moderate", "dense"},
    {"homogeneous", "heterogeneous", "cavitated", "calcified"},
)
"""Looks that exclude each other: shape, margin, density, texture."""

_HAN_LOOKS = {
    "圆形": "round",
    "椭圆形": "oval",
    "不规则形": "irregular",
    "条带状": "band-like",
    "楔形": "wedge-shaped",
    "新月形": "crescent-shaped",
    "弥漫性": "diffuse",
    "边界清楚": "well-defined",
    "边界清晰": "well-defined",
    "边界模糊": "ill-defined",
    "边界不清": "ill-defined",
    "透亮": "lucent",
    "淡薄": "faint",
    "中等密度": "moderate",
    "致密": "dense",
    "密度均匀": "homogeneous",
    "密度不均": "heterogeneous",
    "有空洞": "cavitated",
    "有钙化": "calcified",
}
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_HAN_NUMBERS = "一两三四五六七八九十"


def _listed(role: str, value: Any, *phrases: str) -> Iterator[Entry]:
    yield from ((phrase, role, value) for phrase in phrases)


def english_nouns() -> Iterator[Entry]:
    """Places, sizes, looks, numbers and articles."""
    yield from _listed("d", None, "a", "an", "the", "any", "some", "all")
    yield from _listed("z", "small", "small", "little", "tiny")
    yield from _listed("z", "large", "large", "big", "extensive")
    yield from ((word, "a", word) for aspect in ASPECTS for word in aspect)
    yield from ((word, "n", number) for number, word in enumerate(_NUMBERS, 1))
    yield "both", "n", 2
    for word, side in _SIDES.items():
        places = (f"on the {word}", f"on the {word} side", f"in the {word} lung", f"on the patient's {word}")
        yield from _listed("p", (side, None), word, f"{word}-sided", *places)
    yield from _listed("p", (Side.BILATERAL, None), "bilateral", "on both sides", "in both lungs")
    for third, zone in _ZONES.items():
        parts = [f"{third} zone", f"{third} lung zone", f"{third} lung field", f"{third} part of the chest"]
        yield from _listed("p", (None, zone), f"{third} zone", *(f"in the {part}" for part in parts))
        yield from _listed("p", (Side.BILATERAL, zone), f"in both {third} zones", f"in both {third} lung zones")
        for word, side in _SIDES.items():
            yield from _listed("p", (side, zone), *(f"in the {word} {part}" for part in parts))


def chinese_nouns() -> Iterator[Entry]:
    """Places, sizes, looks, numbers and 的."""
    yield "的", "g", None
    yield from _listed("z", "small", "小的", "较小的", "细小的", "小")
    yield from _listed("z", "large", "大的", "较大的", "大片的", "大片", "大")
    yield from ((word, "a", look) for word, look in _HAN_LOOKS.items())
    yield from ((f"{word}处", "n", number) for number, word in enumerate(_HAN_NUMBERS, 1))
    for word, side in _HAN_SIDES.items():
        yield from _listed("p", (side, None), f"{word}侧", f"{word}肺", f"{word}侧肺")
        for third, zone in _HAN_ZONES.items():
            yield from _listed("p", (side, zone), f"{word}{third}肺野", f"{word}{third}肺", f"{word}肺{third}野")
            yield from _listed("p", (side, zone), f"{word}{third}胸部", f"{word}侧{third}肺野")
    for third, zone in _HAN_ZONES.items():
        yield from _listed("p", (None, zone), f"{third}肺野", f"{third}肺", f"肺{third}野", f"{third}胸部")


def english_questions() -> Iterator[Entry]:
    """Words around what is asked: f frame, t tail, h how many, q first of all, l of two, w of the, r relation, x, e."""
    yield from _listed("f", None, "is there", "are there", "find", "show", "show me", "can you see", "do you see")
    yield from _listed(
        "f", None, "where is", "where are", "where's", "please", "locate", "mark", "look for", "rule out"
    )
    yield from _listed("f", None, "does this image show", "any sign of", "any signs of", "any evidence of")
    yield from _listed("f", None, "draw a box around", "evidence of", "signs of", "point out", "outline", "check for")
    yield from _listed("t", None, "are there", "can you see", "do you see", "on this image", "in this image", "visible")
    yield from _listed("h", None, "how many", "count")
    yield from _listed("q", "largest", "largest", "biggest")
    yield from _listed("q", "smallest", "smallest")
    yield from _listed("q", "uppermost", "uppermost", "highest", "topmost")
    yield from _listed("q", "lowermost", "lowermost", "lowest", "bottommost")
    yield from (("larger", "l", "largest"), ("bigger", "l", "largest"), ("smaller", "l", "smallest"))
    yield from (("upper", "l", "uppermost"), ("higher", "l", "uppermost"))
    yield from (("lower", "l", "lowermost"), ("of the", "w", None))
    yield from _listed("r", "above", "above", "higher than", "higher up than", "that lies above")
    yield from _listed("r", "below", "below", "lower than", "lower down than", "that lies below")
    for side in ("left", "right"):
        phrases = (f"to the patient's {side} of", f"further to the patient's {side} than")
        yield from _listed("r", f"{side} of", *phrases, *(f"that lies {phrase}" for phrase in phrases))
    yield from _listed("r", "larger than", "larger than", "bigger than", "that is larger than", "that is bigger than")
    yield from _listed("r", "smaller than", "smaller than", "that is smaller than")
    yield from _listed("x", None, "other than", "besides", "except", "except for", "apart from", "but")
    yield from _listed("e", None, "anything", "anything else", "everything", "everything else", "any findings")
    yield from _listed("e", None, "what else is there", "what else can you see", "all findings", "any other findings")


def chinese_questions() -> Iterator[Entry]:
    """The same in Chinese: b, c, v open a relation, r, k close it; u all, m among, x except, y outside, e the rest."""
    yield from _listed("f", None, "有", "有没有", "找出", "是否有", "是否存在", "请", "标出", "能看到", "显示", "可见")
    yield from _listed(
        "f", None, "请检查", "检查", "这张片子", "图像中", "帮我看看", "圈出", "排除", "一共", "能否看到", "片中"
    )
    yield from _listed("t", None, "吗", "在哪里", "在哪", "在什么位置")
    yield from _listed("h", None, "有几处", "几处", "有多少处")
    yield from _listed("u", None, "全部", "这", "所有")
    yield from _listed("q", "largest", "最大的")
    yield from _listed("q", "smallest", "最小的")
    yield from _listed("q", "uppermost", "最上方的", "位置最高的")
    yield from _listed("q", "lowermost", "最下方的", "位置最低的")
    yield "中", "m", None
    yield from _listed("l", "largest", "较大的那一处", "较大的一处")
    yield from _listed("l", "smallest", "较小的那一处", "较小的一处")
    yield from _listed("l", "uppermost", "靠上的那一处", "靠上的一处")
    yield from _listed("l", "lowermost", "靠下的那一处", "靠下的一处")
    yield from _listed("b", None, "位于", "在")
    yield from (("比", "c", None), ("面积大于", "v", "larger than"), ("面积小于", "v", "smaller than"))
    yield from _listed("r", "above", "上方的", "上面的")
    yield from _listed("r", "below", "下方的", "下面的")
    for word, side in (("左", "left"), ("右", "right")):
        yield from _listed("k", f"{side} of", f"更靠患者{word}侧的", f"更偏患者{word}侧的")
    yield from _listed("k", "larger than", "大的", "更大的")
    yield from _listed("k", "smaller than", "小的", "更小的")
    yield from _listed("k", "above", "更靠上的", "位置更高的")
    yield from _listed("k", "below", "更靠下的", "位置更低的")
    yield from _listed("x", None, "除", "除了", "除去")
    yield from _listed("y", None, "外", "以外", "之外")
    yield from _listed("e", None, "还有什么", "其他异常", "异常", "所有病变", "还有别的发现", "其他病变", "其他发现")


def english_statements() -> Iterator[Entry]:
    """The words of statements: i there is, 0 no, v is seen, k one of, j it lies, I it is, L it looks; M to X sizes."""
    yield from _listed("i", None, "there is", "there are", "this is", "these are")
    yield "moderately dense", "a", "moderate"
    yield from _listed("0", None, "no")
    yield from _listed("v", None, "is seen", "are seen", "is visible", "are visible")
    yield from _listed("k", None, "it is one of", "it is one of the")
    yield from _listed("j", None, "it lies", "it is located", "it is")
    yield from (("it is", "I", None), ("it looks", "L", None), ("and", "+", None), ("it measures", "M", None))
    yield from (("x", "X", None), ("mm", "U", None), ("its box is", "B", None))
    yield from (("mm wide and", "W", None), ("mm high", "H", None))


def chinese_statements() -> Iterator[Entry]:
    """The same in Chinese; J closes one of several."""
    yield from _listed("i", None, "可见", "有", "这是", "见")
    yield from _listed("k", None, "共有", "共")
    yield from _listed("0", None, "未见", "没有", "无")
    yield from _listed("J", None, "这是其中一处", "这是其中之一")
    yield from _listed("j", None, "位于", "部位在")
    yield from _listed("I", None, "病灶")
    yield from (("较小", "z", "small"), ("较大", "z", "large"))
    yield from (("表现为", "L", None), ("大小约", "M", None), ("×", "X", None), ("毫米", "U", None))
    yield from (("宽", "B", None), ("毫米高", "W", None), ("毫米", "H", None))

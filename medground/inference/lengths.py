"""Lengths that a question asks for: "larger than 8 mm", "between 6 and 8 mm", "3厘米以上"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from medground.schema.result import SizeAsked

MARGIN = 0.1  # of the limit: by that a box of 20 pixels errs that is drawn a pixel wider on each side

_UNIT = r"mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|毫米|厘米|公分"
_ONE = rf"(\d+(?:\.\d+)?)\s*({_UNIT})"
_OF = r"(?:\b(?:with\s+|of\s+)?(?:a\s+|the\s+)?(?:diameter|size|length|width)\s+(?:of\s+)?|\bmeasuring\s+|\bof\s+)?"
_ZH_OF = r"(?:(?:直径|长径|最大径|大小|尺寸)(?:为|在)?)?"
_IN = r"(?:\s*(?:in\s+)?(?:diameter|size|length|across)\b|之间)?"
_LARGE, _SMALL = "larger|bigger|greater|more|longer|wider", "smaller|less|shorter|narrower"
_NOT_BELOW = rf"not?\s+(?:{_SMALL})\s+than|at\s+least|大于等于|大于或等于|不小于|不少于|不低于|至少|≥|>="
_NOT_ABOVE = rf"not?\s+(?:{_LARGE})\s+than|at\s+most|up\s+to|小于等于|小于或等于|不大于|不超过|不多于|至多|≤|<="
_ABOVE = rf"(?:{_LARGE})\s+than|over|above|exceeding|大于|超过|长于|高于|多于|>"
_BELOW = rf"(?:{_SMALL})\s+than|under|below|小于|短于|少于|不到|低于|<"
_UP = rf"(?:or|and)\s+(?:{_LARGE}|above|over|up)\b(?!\s+than|\s*\d)|(?:或|及)?以上"
_DOWN = rf"(?:or|and)\s+(?:{_SMALL}|below|under)\b(?!\s+than|\s*\d)|(?:或|及)?(?:以下|以内)"


def _pattern(core: str) -> re.Pattern[str]:
    """A limit with the words around it that only say that it is one."""
    return re.compile(rf"{_OF}{_ZH_OF}\s*(?:{core}){_IN}", re.IGNORECASE)


_RANGE = _pattern(rf"(?:between\s+)?(\d+(?:\.\d+)?)\s*({_UNIT})?\s*(?:-|–|—|~|to|and|到|至)\s*{_ONE}")
_AT_MOST = _pattern(rf"(?:{_NOT_ABOVE})\s*{_ONE}")
_AT_LEAST = _pattern(rf"(?:{_NOT_BELOW})\s*{_ONE}")
_LEAST = _pattern(rf"(?:{_ABOVE})\s*{_ONE}|{_ONE}\s*(?:{_UP})")
_MOST = _pattern(rf"(?:{_BELOW})\s*{_ONE}|{_ONE}\s*(?:{_DOWN})")
_IN_MM = {"cm": 10.0, "ce": 10.0, "厘米": 10.0, "公分": 10.0}
LONGEST_MM = 1000.0


@dataclass(frozen=True, slots=True)
class LengthsRead:
    """What a text says of lengths.

    Attributes:
        asked: the limits it sets; None if it sets none, or none that can be, such as "over 2 cm and under 1 cm".
        said: the words that set them.
        rest: the text with blanks instead of these words.
    """

    asked: SizeAsked | None
    said: tuple[str, ...]
    rest: str


def read_lengths(text: str) -> LengthsRead:
    """Read the limits that a question sets to the size of a finding, in millimetres; each end may be set once."""
    least: list[float] = []
    most: list[float] = []
    said: list[str] = []
    rest = text
    # "No larger than" comes before "larger than", which is in it.
    for pattern, ends in (
        (_RANGE, (least, most)),
        (_AT_MOST, (most,)),
        (_AT_LEAST, (least,)),
        (_MOST, (most,)),
        (_LEAST, (least,)),
    ):
        for found in list(pattern.finditer(rest)):
            *numbers, last_unit = [part for part in found.groups() if part is not None]
            units = [part for part in numbers if not part[0].isdigit()] + [last_unit]
            figures = [part for part in numbers if part[0].isdigit()]
            for end, figure, unit in zip(ends, figures, (units[0], last_unit), strict=False):
                end.append(_mm(figure, unit))
            said.append(found.group().strip())
            first, last = found.span()
            rest = rest[:first] + " " * (last - first) + rest[last:]
    contradicts = bool(least and most and least[0] > most[0])
    too_many = len(least) > 1 or len(most) > 1 or not (least or most)
    if too_many or contradicts or not all(0 < one <= LONGEST_MM for one in (*least, *most)):
        return LengthsRead(None, tuple(said), rest)
    asked = SizeAsked(at_least_mm=least[0] if least else None, at_most_mm=most[0] if most else None)
    return LengthsRead(asked, tuple(said), rest)


def fits(length_mm: float, asked: SizeAsked) -> bool | None:
    """Whether a length is as asked; None where it is so near a limit that its box does not tell.

    Args:
        length_mm: the longest side of a box.
        asked: the limits.
    """
    near = False
    for limit, sign in ((asked.at_least_mm, 1), (asked.at_most_mm, -1)):
        if limit is None:
            continue
        if sign * (length_mm - limit) < -MARGIN * limit:
            return False
        near = near or abs(length_mm - limit) <= MARGIN * limit
    return None if near else True


def size_words(asked: SizeAsked) -> str:
    """The limits in words, for example `at least 8 mm and at most 30 mm`."""
    ends = (("at least", asked.at_least_mm), ("at most", asked.at_most_mm))
    return " and ".join(f"{words} {limit:g} mm" for words, limit in ends if limit is not None)


def _mm(number: str, unit: str) -> float:
    return float(number) * next((factor for name, factor in _IN_MM.items() if unit.lower().startswith(name)), 1.0)

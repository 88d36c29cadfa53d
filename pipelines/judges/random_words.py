"""Random questions and sentences, English and Chinese, plain and odd."""

from __future__ import annotations

from random import Random
from typing import Literal

from medground.data.vocabulary import load_vocabulary
from medground.schema.vocabulary import Concept

Language = Literal["en", "zh"]

_QUESTIONS: dict[Language, tuple[str, ...]] = {
    "en": ("{}?", "is there a {} in the left lung?", "Show every {}, please.", "largest {}", "anything other than {}"),
    "zh": ("{}？", "左肺有{}吗", "请标出所有{}。", "最大的{}在哪里？", "除了{}还有什么"),
}
_SENTENCES = ("{} seen.", "It measures 12.5 x 9.1 mm.", "Probably {}.", "右肺上叶见{}。", "边界不清，大小约 12 毫米。")
# What free text may bring along: what DICOM uses as separators, line ends, blanks at either end, characters outside the
# basic plane, scripts that run to the left, combining marks, and what looks like another format.
_ODD = (
    "he said \"no\" and 'yes'",
    "back\\slash, caret^, equals=, at@, per cent %s %d {}",
    "line\nbreak and\r\nreturn\tand tab",
    " blanks at both ends ",
    "🫁 x 3, 👩🏽‍⚕️ agrees",
    "كتلة في الرئة اليسرى",
    "e\u0301 and ẹ̀, ﬁ, ½, µm, ≥ 3 mm",
    "𠮷野家の肺",
    "<b>&amp;</b> <!-- x --> ]]>",
    '{"findings": [1, 2.5, null]}',
    '"',
    "-",
    "0",
    "non\u00a0breaking, zero\u200bwidth, \ufeffmark",
)


def random_concept(random: Random) -> Concept:
    """Any concept of the vocabulary that ships."""
    return random.choice(load_vocabulary().concepts)


def random_question(random: Random, concept: Concept) -> tuple[str, Language]:
    """A question about a concept and its language; one in five is odd."""
    language: Language = random.choice(("en", "zh"))
    if random.random() < 0.2:
        return _odd(random), language
    name = random.choice(concept.names.get(language, concept.names["en"]))
    return random.choice(_QUESTIONS[language]).format(name), language


def random_sentence(random: Random, concept: Concept) -> str:
    """A statement about a concept; one in ten is odd."""
    if random.random() < 0.1:
        return _odd(random)
    names = random.choice(list(concept.names.values()))
    return random.choice(_SENTENCES).format(random.choice(names))


def random_file_name(random: Random) -> str:
    """The name of an image file as a result's source."""
    number = random.randrange(10_000)
    return random.choice((f"IM{number:05}.dcm", f"检查/第 {number} 张.dcm", f"study 1\\series\\I{number}"))


def _odd(random: Random) -> str:
    if random.random() < 0.15:
        return random.choice(_ODD) * random.randrange(50, 400)
    return "".join(random.sample(_ODD, random.randrange(1, 4)))

"""Question writing: the phrases and sentences a person would ask about a finding, in English and Chinese."""

from __future__ import annotations

from typing import Literal

import numpy as np

from medground.schema.anatomy import Side, Zone
from medground.schema.vocabulary import Concept

Language = Literal["en", "zh"]

PREFERRED_SHARE = 0.4
"""How often `sample_phrase` says the preferred name rather than one of the synonyms."""

LUNG_FINDINGS = frozenset(
    {
        "atelectasis",
        "calcification",
        "cavity",
        "consolidation",
        "diffuse_nodules",
        "emphysema",
        "fibrosis",
        "infiltration",
        "mass",
        "nodule",
        "pleural_effusion",
        "pleural_thickening",
        "pneumonia",
        "pneumothorax",
    }
)
"""Findings of lung and pleura: they have a side and a zone."""

SIDED_FINDINGS = LUNG_FINDINGS | {"fracture"}
"""Findings of paired anatomy; the heart is not."""

ENGLISH_TEMPLATES = (
    "{is_there} {a_x}{where}?",
    "find the {x}{where}",
    "show me any {x}{where}",
    "{x}{where}?",
    "{before}{x}",
    "{before}{x}?",
    "can you see {a_x}{where}?",
    "do you see any {x}{where}?",
    "where {is_are} the {x}{where}?",
    "please locate the {x}{where}",
    "mark any {x}{where}",
    "look for {a_x}{where}",
    "does this image show {a_x}{where}?",
    "any sign of {a_x}{where}?",
    "is there any evidence of {a_x}{where}?",
    "draw a box around the {x}{where}",
    "rule out {a_x}{where}",
)
CHINESE_TEMPLATES = (
    "{where}有{x}吗？",
    "{where}有没有{x}？",
    "找出{where_de}{x}",
    "{where}是否有{x}？",
    "请标出{where_de}{x}",
    "{where}{x}",
    "{where_de}{x}在哪里？",
    "能看到{where_de}{x}吗？",
    "显示{where_de}{x}",
    "{where}可见{x}吗？",
    "请检查{where}是否存在{x}",
    "这张片子{where}有{x}吗？",
    "图像中{where}有没有{x}？",
    "帮我看看{where}有没有{x}",
    "圈出{where_de}{x}",
    "排除{where_de}{x}",
)

_UNCOUNTABLE_HEADS = frozenset(
    {
        "air",
        "atelectasis",
        "blood",
        "bronchopneumonia",
        "calcium",
        "cardiomegaly",
        "cavitation",
        "collapse",
        "consolidation",
        "disease",
        "emphysema",
        "enlargement",
        "fibrosis",
        "fluid",
        "hydrothorax",
        "infection",
        "infiltration",
        "loss",
        "pleura",
        "pneumonia",
        "ratio",
        "scarring",
        "size",
        "thickening",
        "volume",
        "water",
    }
)
_PREPOSITIONS = (" around ", " in ", " on ", " of ", " with ", " under ")
_SINGULAR_ENDINGS = ("ss", "is", "us", "thorax")

_CHINESE_LUNG = {
    (Side.LEFT, None): ("左肺", "左侧"),
    (Side.RIGHT, None): ("右肺", "右侧"),
    (Side.BILATERAL, None): ("双肺", "双侧", "两侧", "两肺"),
    (None, Zone.UPPER): ("上肺野", "上肺", "肺上野"),
    (None, Zone.MIDDLE): ("中肺野", "中肺", "肺中野"),
    (None, Zone.LOWER): ("下肺野", "下肺", "肺下野"),
}
_CHINESE_SIDE = {Side.LEFT: "左", Side.RIGHT: "右", Side.BILATERAL: "双"}
_CHINESE_ZONE = {Zone.UPPER: "上", Zone.MIDDLE: "中", Zone.LOWER: "下"}


def phrases(concept: Concept) -> tuple[str, ...]:
    """All bare phrases that name a finding, English first, the preferred one of each language first."""
    return tuple(phrase for language in sorted(concept.names) for phrase in concept.names[language])


def sample_phrase(concept: Concept, rng: np.random.Generator, language: Language | None = None) -> str:
    """One phrase that names the finding, the preferred name more often than each synonym.

    Args:
        concept: what to name.
        rng: source of chance.
        language: `en` or `zh`; None draws either with equal chance.

    Returns:
        A phrase of `concept.names`.
    """
    if language is None:
        language = "en" if rng.random() < 0.5 else "zh"
    names = concept.names.get(language) or concept.names["en"]
    if len(names) == 1 or rng.random() < PREFERRED_SHARE:
        return names[0]
    return names[int(rng.integers(1, len(names)))]


def ask(
    concept: Concept,
    language: Language,
    rng: np.random.Generator,
    *,
    side: Side | None = None,
    zone: Zone | None = None,
) -> str:
    """A whole question about a finding.

    Args:
        concept: what is asked for.
        language: `en` or `zh`.
        rng: source of chance: phrase, template and wording of the place are drawn from it.
        side: patient side asked for; left out where the finding has no side (see `SIDED_FINDINGS`).
        zone: third of the chest asked for; left out where the finding has no zone (see `LUNG_FINDINGS`).

    Returns:
        One sentence, of a template of that language.
    """
    side = side if concept.key in SIDED_FINDINGS else None
    zone = zone if concept.key in LUNG_FINDINGS else None
    phrase = sample_phrase(concept, rng, language)
    if language == "zh":
        where = _chinese_place(concept, rng, side, zone)
        template = CHINESE_TEMPLATES[int(rng.integers(len(CHINESE_TEMPLATES)))]
        return template.format(x=phrase, where=where, where_de=f"{where}的" if where else "")
    template = ENGLISH_TEMPLATES[int(rng.integers(len(ENGLISH_TEMPLATES)))]
    plural = is_plural(phrase)
    return template.format(
        x=phrase,
        a_x=with_article(phrase),
        is_there="are there" if plural else "is there",
        is_are="are" if plural else "is",
        where=_english_place(concept, rng, side, zone),
        before=_english_prefix(side, zone),
    )


def is_plural(phrase: str) -> bool:
    """Whether an English phrase takes a plural verb, judged by its head noun."""
    head = _head(phrase).split()[-1]
    return head in ("bullae", "nodes") or (head.endswith("s") and not head.endswith(_SINGULAR_ENDINGS))


def with_article(phrase: str) -> str:
    """An English phrase with `a` or `an` where its head noun is countable and singular.

    Args:
        phrase: lower-case noun phrase, e.g. `enlarged heart`.

    Returns:
        E.g. `an enlarged heart`, `pneumonia`, `nodules`.
    """
    head = _head(phrase)
    if (
        head.split()[-1] in _UNCOUNTABLE_HEADS
        or is_plural(phrase)
        or head.split()[0] in ("many", "numerous", "multiple")
    ):
        return phrase
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _head(phrase: str) -> str:
    """What stands before the first preposition."""
    return phrase[: min((i for p in _PREPOSITIONS if (i := phrase.find(p)) > 0), default=len(phrase))]


def _english_prefix(side: Side | None, zone: Zone | None) -> str:
    """Side and zone as adjectives before the finding, with a blank behind."""
    return "".join(f"{word} " for word in (side, zone) if word is not None)


def _english_place(concept: Concept, rng: np.random.Generator, side: Side | None, zone: Zone | None) -> str:
    """Side and zone as a phrase behind the finding, with a blank before."""
    if side is None and zone is None:
        return ""
    if zone is not None:
        part = str(rng.choice([zone.value, f"{zone.value.split()[0]} lung field", f"{zone.value.split()[0]} lung"]))
        if side is Side.BILATERAL:
            return f" in both {part}s"
        return f" in the {side} {part}" if side else f" in the {part}"
    if side is Side.BILATERAL:
        return " on both sides" if concept.key not in LUNG_FINDINGS or rng.random() < 0.5 else " in both lungs"
    if concept.key not in LUNG_FINDINGS:
        return f" on the {side}" if rng.random() < 0.5 else f" on the {side} side"
    return str(rng.choice([f" in the {side} lung", f" on the {side}", f" on the {side} side"]))


def _chinese_place(concept: Concept, rng: np.random.Generator, side: Side | None, zone: Zone | None) -> str:
    """Side and zone as they stand before the finding."""
    if side is None and zone is None:
        return ""
    if side is not None and zone is not None:
        one, two = _CHINESE_SIDE[side], _CHINESE_ZONE[zone]
        return str(rng.choice([f"{one}{two}肺野", f"{one}{two}肺", f"{one}肺{two}野"]))
    places = _CHINESE_LUNG[side, zone]
    if concept.key not in LUNG_FINDINGS:
        places = tuple(place for place in places if "肺" not in place)
    return str(rng.choice(places))

"""From a question in words to what is asked: which findings, which side, which part of the chest, which of several.

A finding is only taken as asked for where nothing in the question speaks against the bundle's meaning of it: "nodule in
the liver" or "adnexal mass" names no chest finding, so it stays in `unknown_words` and is answered as unsupported.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from medground.inference.context import (
    BESIDE_ADJECTIVES,
    Spot,
    denied,
    excluded_places,
    noun_phrases,
    place_behind,
    settle,
    spots_asked,
    text_at,
)
from medground.inference.lengths import read_lengths
from medground.inference.lexicon import HAN, ConceptNames, Item, Lexicon, Reader, join, load_lexicon
from medground.inference.orders import (
    chooses_among_all,
    count_asked,
    is_unread,
    number_among,
    order_words,
    orders_asked,
)
from medground.model.reading import Phrase
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.errors import QueryError
from medground.schema.result import PlaceAsked, Understood
from medground.schema.vocabulary import Vocabulary

MAX_QUERY_CHARACTERS = 1000

_CHEST = frozenset({Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT})
_REGION_DOMAINS: dict[str, frozenset[Domain]] = {
    "lung": _CHEST,
    "heart": _CHEST,
    "chest bones": _CHEST,
    "mediastinum": _CHEST,
    "limb": frozenset({Domain.LIMB_RADIOGRAPH}),
    "elsewhere": frozenset({Domain.OTHER}),
}
_READABLE = frozenset({"lung", "heart", "chest bones", "limb"})
"""Regions a question for everything may be about; the others hold findings that are in no bundle."""
_LENGTH = re.compile(r"\d+(?:\.\d+)?\s?(?:mm|cm|毫米|厘米)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Question:
    """What a query was taken to mean.

    Attributes:
        text: the query, without blanks around it.
        language: `zh` where it holds a Chinese character, else `en`.
        understood: what is reported of it; its concepts are what is asked for, or what is excluded where it is negated.
        phrases: what to look for, one phrase per concept in the order asked; empty where nothing known is asked for.
        everything: True for a question for whatever there is ("any abnormality?", "anything other than cardiomegaly").
        domains: kinds of image the named parts of the body are on; empty where none is named. A "wrist fracture" can't
            be answered on a chest film.
        orders: the orders named where there are several, in words; no answer can be all of them ("the largest and the
            smallest nodule"), so none is in `understood`.
    """

    text: str
    language: Literal["en", "zh"]
    understood: Understood
    phrases: tuple[Phrase, ...]
    everything: bool = False
    domains: frozenset[Domain] = frozenset()
    orders: tuple[str, ...] = ()
    either: bool = False
    among_all: bool = False


def understand(query: str, vocabulary: Vocabulary) -> Question:
    """Takes a question apart.

    Args:
        query: what was asked, in English or Chinese, at most 1,000 characters.
        vocabulary: the findings that can be recognised, supported or not.

    Returns:
        What it was taken to mean.

    Raises:
        QueryError: if the query is empty, has no words, is too long or holds control characters.
    """
    text = _checked(query)
    lexicon = load_lexicon()
    lengths = read_lengths(text)
    items = settle(_reader(_names(vocabulary)).read(lengths.rest), lexicon)
    if not any(any(character.isalnum() for character in item.text) for item in items):
        raise QueryError(f"the question {text[:20]!r} has no words; ask for a finding, e.g. 'is there a nodule?'")
    kept, unknown = _attach(items, vocabulary, lexicon)
    excluded = excluded_places(items)
    denied_at, dropped = denied(items, lexicon)
    if all(at in excluded | dropped for at in kept):
        dropped = set()  # what is only denied is asked for: "is it not the left nodule?"
    asked = [at for at in kept if at not in excluded | dropped]
    broad = not asked and any(item.role == "broad" for item in items)
    spared = not asked and any(items[at].role == "concept" for at in excluded)
    regions = {region for item in items if item.role == "part" for region in item.value.split("|")}
    everything = (broad or spared) and not unknown and all(_is_readable(item) for item in items)
    negated = everything and spared
    if not asked and not everything and not unknown:
        unknown += [item.text for item in items if item.role in ("broad", "part", "relation", "beyond")]
    domains = frozenset(domain for region in regions & _READABLE for domain in _REGION_DOMAINS[region])
    phrases = _phrases(items, asked)
    named = _phrases(items, sorted(excluded)) if negated else phrases
    orders = orders_asked(items, excluded | denied_at)
    relation, rank = orders[0] if len(orders) == 1 else (None, 1)
    attributes, unused = _adjectives(items, excluded | denied_at, lexicon)
    spots = {} if domains == {Domain.LIMB_RADIOGRAPH} else spots_asked(items, asked, denied_at | excluded)
    places = _places(items, spots)
    size = lengths.asked if len({items[at].value for at in asked}) == 1 and not places else None
    side, zone = _side(items, denied_at), _zone(items, denied_at)
    if places:  # what is left to say for all is what all share
        side = places[0].side if len({place.side for place in places}) == 1 else None
        zone = places[0].zone if len({place.zone for place in places}) == 1 else None
    elif len(agreed := set(spots.values())) == 1 and (
        own := agreed.pop()
    ):  # "pain on the left; a nodule on the right?"
        side, zone = Side(own[0][0]) if own[0][0] else None, Zone(own[0][1]) if own[0][1] else None
    return Question(
        text=text,
        language="zh" if HAN.search(text) else "en",
        understood=Understood(
            concepts=tuple(phrase.concept for phrase in named),
            side=side,
            zone=None if domains == {Domain.LIMB_RADIOGRAPH} else zone,
            relation=relation,
            rank=rank,
            count=count_asked(items) if relation and rank == 1 else None,
            attributes=attributes,
            negated=negated,
            unknown_words=tuple(dict.fromkeys([*unknown, *unused])),
            places=places,
            beyond_image=tuple(dict.fromkeys(item.text for item in items if item.role == "beyond")),
            unchecked=(
                *(lengths.said if size is None and (asked or broad) else ()),
                *_unchecked(lengths.rest, items, asked, lexicon),
            ),
            size=size,
            among=number_among(items, lexicon) if relation else None,
        ),
        phrases=phrases,
        everything=everything,
        domains=domains,
        either=_is_either(items, lexicon),
        among_all=any(chooses_among_all(items, at) for at, item in enumerate(items) if item.role == "relation"),
        orders=tuple(order_words(*order) for order in orders) if len(orders) > 1 else (),
    )


def _unchecked(text: str, items: list[Item], asked: Collection[int], lexicon: Lexicon) -> tuple[str, ...]:
    """Words and lengths that narrow what is asked for and that nothing here can check.

    Words before the finding count where nothing but adjectives parts them from it, words behind it up to the end of
    the sentence ("..., possibly malignant").
    """
    wanted = {at for at, item in enumerate(items) if item.role == "broad"} if not asked else set(asked)
    found = [match.group() for match in _LENGTH.finditer(text)] if wanted else []
    for at, item in enumerate(items):
        if item.role != "descriptor" or item.text not in lexicon.narrowing:
            continue
        ahead = next((n for n in range(at, len(items)) if items[n].role not in BESIDE_ADJECTIVES), len(items))
        since = [n for n in range(at) if items[n].role in ("end", "concept", "broad", "except")]
        if ahead in wanted or (since and since[-1] in wanted):
            found.append(item.text)
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=4)
def _reader(names: ConceptNames) -> Reader:
    return Reader(names, load_lexicon())


def _names(vocabulary: Vocabulary) -> ConceptNames:
    """What a reader depends on, hashable: a vocabulary itself is not."""
    return tuple(
        (concept.key, tuple(phrase for phrases in concept.names.values() for phrase in phrases))
        for concept in vocabulary.concepts
    )


def _checked(query: str) -> str:
    """The query without blanks around it, or QueryError."""
    text = query.strip()
    if not text:
        raise QueryError("the question is empty; ask for a finding, e.g. 'is there a nodule?'")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise QueryError(f"the question has {len(text)} characters; at most {MAX_QUERY_CHARACTERS} are accepted")
    for character in text:
        if character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cs"):
            raise QueryError(f"the question holds the control character U+{ord(character):04X}; remove it")
    return text


def _phrases(items: list[Item], places: Iterable[int]) -> tuple[Phrase, ...]:
    found: dict[str, Phrase] = {}
    for at in places:
        if items[at].role == "concept":
            found.setdefault(items[at].value, Phrase(concept=items[at].value, text=items[at].text))
    return tuple(found.values())


def _is_readable(item: Item) -> bool:
    return item.role != "part" or not _READABLE.isdisjoint(item.value.split("|"))


def _side(items: list[Item], denied_at: set[int]) -> Side | None:
    """The side asked for; none where different sides are named, or one is only ruled out ("not in the left lung")."""
    sides = {
        item.value.split("|")[0]
        for at, item in enumerate(items)
        if at not in denied_at and (item.role == "side" or "|" in _zone_value(item))
    }
    return Side(sides.pop()) if len(sides) == 1 else None


def _zone(items: list[Item], denied_at: set[int]) -> Zone | None:
    """The zone asked for; none where several are named."""
    zones = {_zone_value(i).split("|")[-1] for at, i in enumerate(items) if i.role == "zone" and at not in denied_at}
    return Zone(zones.pop()) if len(zones) == 1 else None


def _places(items: list[Item], spots: dict[int, tuple[Spot, ...]]) -> tuple[PlaceAsked, ...]:
    """Where each finding is asked for; empty where all are asked for in one place."""
    if len({spot for own in spots.values() for spot in own}) < 2:
        return ()
    places = [
        PlaceAsked(concept=items[at].value, side=Side(side) if side else None, zone=Zone(zone) if zone else None)
        for at, own in spots.items()
        for side, zone in own or (("", ""),)
    ]
    return tuple(dict.fromkeys(places))


def _zone_value(item: Item) -> str:
    return item.value if item.role == "zone" else ""


def _is_either(items: list[Item], lexicon: Lexicon) -> bool:
    """Whether all is joined by "or"; where there is an "and" beside it, all must be there."""
    links = {item.text for item in items if item.role == "link" and item.text.isalnum()}
    return not links.isdisjoint(lexicon.either) and links <= lexicon.either


def _adjectives(items: list[Item], excluded: set[int], lexicon: Lexicon) -> tuple[tuple[str, ...], list[str]]:
    """The appearance words asked for; and the words for looks and orders that are denied or excluded, so not used."""
    asked: dict[str, None] = {}
    unused: list[str] = []
    for at, item in enumerate(items):
        if item.role == "relation" and (at in excluded or is_unread(items, at)):
            unused.append(item.text)
        if item.role != "attribute":
            continue
        before = text_at(items, at - 1)
        of_finding = item.text not in lexicon.attribute[item.value]
        if before in lexicon.denial or (of_finding and before in lexicon.lack):
            unused.append(join([before, item.text]))
        elif at in excluded:
            unused.append(item.text)
        else:
            asked[item.value] = None
    return tuple(asked), unused


def _attach(items: list[Item], vocabulary: Vocabulary, lexicon: Lexicon) -> tuple[list[int], list[str]]:
    """Which findings stand once the words around them are heeded.

    Returns:
        Places of the findings that stand, and the words that name nothing known; a finding that doesn't stand is among
        these together with the word that speaks against it.
    """
    kept: list[int] = []
    taken = _taken(items, vocabulary, lexicon)
    unknown: dict[int, str] = {at: item.text for at, item in enumerate(items) if item.role == "unknown"}
    for at, item in enumerate(items):
        if item.role != "concept":
            continue
        regions = _regions(item.value, vocabulary, lexicon)
        intrinsic = _is_intrinsic(item, lexicon)
        clash = _clash(items, at, regions, intrinsic, taken)
        if clash is None:
            kept.append(at)
        else:
            first, last = sorted((at, clash))
            unknown.pop(clash, None)
            unknown[first] = join([part.text for part in items[first : last + 1]])
    return kept, [unknown[at] for at in sorted(unknown)]


def _regions(key: str, vocabulary: Vocabulary, lexicon: Lexicon) -> frozenset[str]:
    """The regions of the body a finding is read in."""
    listed = lexicon.regions.get(key)
    if listed is not None:
        return listed
    domains = vocabulary[key].domains
    regions = {"lung"} if _CHEST & set(domains) else set()
    if Domain.LIMB_RADIOGRAPH in domains:
        regions.add("limb")
    if Domain.OTHER in domains or not domains:
        regions |= {"elsewhere", "mediastinum"}
    return frozenset(regions)


def _is_intrinsic(item: Item, lexicon: Lexicon) -> bool:
    """Whether the words themselves say where the finding is ("lung nodule", "pneumothorax")."""
    words = set(item.text.split()) | set(item.text)
    return item.value in lexicon.intrinsic or not lexicon.intrinsic_words.isdisjoint(words)


def _taken(items: list[Item], vocabulary: Vocabulary, lexicon: Lexicon) -> set[int]:
    """Places of parts of the body that fit a finding of their own noun phrase, so that they are not another's."""
    taken: set[int] = set()
    for phrase in noun_phrases(items):
        fitting = [_regions(items[at].value, vocabulary, lexicon) for at in phrase if items[at].role == "concept"]
        parts = [at for at in phrase if items[at].role == "part"]
        taken |= {at for at in parts for regions in fitting if not regions.isdisjoint(items[at].value.split("|"))}
    return taken


def _clash(items: list[Item], at: int, regions: frozenset[str], intrinsic: bool, taken: set[int]) -> int | None:
    """Place of a word that puts the finding at `at` where the bundle doesn't read it, or None."""
    behind = place_behind(items, at)
    for place in behind:
        if _speaks_against(items[place], regions) and not (intrinsic and items[place].role == "unknown"):
            return place
    linked = False
    adjacent = True
    for place in range(at - 1, -1, -1):
        item = items[place]
        if item.role == "end":
            break
        if item.role == "part" and not regions.isdisjoint(item.value.split("|")):
            return None
        if item.role == "part" and not (linked and (intrinsic or behind or place in taken)):
            return place
        if item.role == "unknown" and adjacent and not intrinsic:
            return place
        linked = linked or item.role in ("link", "concept")
        # in Chinese the place stands before the verb: 附件有没有肿块
        adjacent = adjacent and (item.role in ("relation", *BESIDE_ADJECTIVES) or _is_chinese_stop(item))
    return None


def _is_chinese_stop(item: Item) -> bool:
    return item.role == "stop" and HAN.match(item.text) is not None


def _speaks_against(item: Item, regions: frozenset[str]) -> bool:
    return item.role == "unknown" or (item.role == "part" and regions.isdisjoint(item.value.split("|")))

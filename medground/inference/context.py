"""Words whose part in a sentence depends on the words around them: "upper" is a zone, but not in "the upper one".

So it is with what they belong to: the place of this finding or that one, what is denied, what is excluded.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise

from medground.data.questions import is_plural
from medground.inference.lexicon import HAN, Item, Lexicon, nearness

_POINTING = ("the", "that", "those", "this", "these", "one", "ones", "just", "only")
_INDEFINITE = ("a", "an", "any", "the", "this", "that")

Spot = tuple[str, str]
"""A side and a zone, empty where unsaid."""

BESIDE_ADJECTIVES = ("descriptor", "attribute", "side", "zone", "number", "comparative", "beyond")


def settle(items: list[Item], lexicon: Lexicon) -> list[Item]:
    """Words whose part in the sentence depends on the words around them, with the part that they play here."""
    choices = {word: relation for relation, words in lexicon.choice.items() for word in words}
    settled = list(items)
    for at, item in enumerate(items):
        if item.text in choices and (rank := _rank_from(items, at, lexicon)) is not None:
            settled[at] = Item("relation", f"{choices[item.text].value}|{rank}", item.text)
        elif item.text in choices and _is_choice(items, at):
            settled[at] = Item("relation", choices[item.text].value, item.text)
        elif item.role == "comparative":
            definite = _singles_out(items, at, lexicon)
            settled[at] = Item("relation" if definite else "descriptor", item.value if definite else "", item.text)
        elif item.text == "both" and _is_correlative(items, at):
            settled[at] = Item("stop", "", item.text)
        elif item.text == "both" and _is_number(items, at):
            settled[at] = Item("number", "2", item.text)
        elif item.value in lexicon.attribute_concepts and _stands_before_a_finding(items, at):
            settled[at] = Item("attribute", lexicon.attribute_concepts[item.value], item.text)
        elif item.text in {*lexicon.near["nearest"], *lexicon.near["furthest"]}:
            _join_with_landmark(settled, at, lexicon)
        elif item.role == "beyond" and not _is_said_of_a_finding(items, at, lexicon):
            settled[at] = Item("descriptor", "", item.text)
    return settled


def text_at(items: list[Item], at: int) -> str:
    """Words of the item at a place; empty outside the sentence."""
    return items[at].text if 0 <= at < len(items) else ""


def _is_choice(items: list[Item], at: int) -> bool:
    """Whether "upper" and the like choose: "the upper one", "the upper of the two", "the upper nodule of the two".

    "The left one" and "the left nodule" are on the left; only "the left of the two" may lie on the right.
    """
    sided = items[at].role == "side"
    behind = at + 1
    if text_at(items, behind) == "one" and text_at(items, behind + 1) not in ("third", "half"):
        if not sided:
            return True
        behind += 1
    if _names_several(items, behind, nouns=not sided):
        return True
    while behind < len(items) and items[behind].role in BESIDE_ADJECTIVES:
        behind += 1
    is_finding = behind < len(items) and items[behind].role == "concept"
    return not sided and is_finding and _names_several(items, behind + 1, nouns=False)


def _rank_from(items: list[Item], at: int, lexicon: Lexicon) -> int | None:
    """2 for "top" in "the second from the top" and "the second nodule from the top"; None where nothing is counted."""
    before = at - 1 - (text_at(items, at - 1) == "the")
    if text_at(items, before) != "from":
        return None
    ranks = {word: rank for rank, words in lexicon.ordinal.items() for word in words}
    return next((ranks[item.text] for item in reversed(items[:before]) if item.text in ranks), None)


def _names_several(items: list[Item], at: int, *, nouns: bool) -> bool:
    """Whether "of the two", "of both", or with `nouns` "of the nodules", begins there."""
    if text_at(items, at) != "of":
        return False
    for item in items[at + 1 :]:
        if item.role == "number" or item.text in ("both", "them", "these", "those", "pair"):
            return True
        if item.role == "concept":
            return nouns and is_plural(item.text)
        if item.role not in ("stop", *BESIDE_ADJECTIVES):
            break
    return False


def _singles_out(items: list[Item], at: int, lexicon: Lexicon) -> bool:
    """Whether a comparative says which is meant; in "a larger nodule" and "larger than before" it doesn't."""
    if text_at(items, at + 1) in ("one", "of") or text_at(items, at + 1).startswith("那"):
        return True
    for item in items[at + 1 :]:
        if item.role == "end":
            break
        if item.text == "than":
            return False
    counted = False
    adjacent = True
    for item in reversed(items[:at]):
        if item.role == "end" or item.text == ",":
            break
        is_chinese = HAN.match(item.text) is not None
        if (item.text in lexicon.indefinite and (is_chinese or adjacent)) or item.text.startswith("比"):
            return False
        counted = counted or (adjacent and item.role == "number")
        adjacent = adjacent and item.role in BESIDE_ADJECTIVES
    if counted or any(_names_several(items, behind, nouns=True) for behind in range(at + 1, len(items))):
        return True
    finding = next((item.text for item in items[at + 1 :] if item.role == "concept"), "")
    return not (finding.isascii() and finding and is_plural(finding))


def _is_number(items: list[Item], at: int) -> bool:
    """Whether "both" counts findings ("both nodules"); else it is a side ("both lungs", "in both")."""
    for item in items[at + 1 :]:
        is_part = item.role == "zone" and item.text not in ("upper", "middle", "lower")
        if is_part or item.role not in ("stop", "relation", "zone", *BESIDE_ADJECTIVES):
            return item.role == "concept"
    return text_at(items, at - 1) == "of"


def _is_correlative(items: list[Item], at: int) -> bool:
    """Whether "both" only announces an "and": "both the left nodule and the right effusion"."""
    behind = next((place for place in range(at + 1, len(items)) if items[place].role == "concept"), len(items))
    alone = all(item.role in ("stop", "zone", *BESIDE_ADJECTIVES) for item in items[at + 1 : behind])
    one = behind < len(items) and not is_plural(items[behind].text)
    parted = any(items[place].text in ("the", "a", "an") for place in range(at + 1, min(behind, len(items))))
    plain = parted or behind == at + 1
    return alone and one and plain and any(item.text == "and" for item in items[behind:])


def _stands_before_a_finding(items: list[Item], at: int) -> bool:
    """Whether a finding only describes another: 有空洞的结节 is a nodule."""
    behind = at + 2
    while behind < len(items) and (items[behind].text == "的" or items[behind].role in BESIDE_ADJECTIVES):
        behind += 1
    return text_at(items, at + 1) == "的" and behind < len(items) and items[behind].role == "concept"


def _join_with_landmark(items: list[Item], at: int, lexicon: Lexicon) -> None:
    """Make an order of "the nearest nodule to the heart", which says it in two places."""
    place = next((place for place in range(at + 1, len(items)) if items[place].text in ("to", "from")), len(items))
    last = place + 1 + (text_at(items, place + 1) == "the")
    relation = nearness(lexicon, text_at(items, last), far=items[at].text in lexicon.near["furthest"])
    if relation is not None and not any(item.role == "end" for item in items[at:place]):
        items[at] = Item("relation", relation.value, items[at].text)
        items[place : last + 1] = [Item("stop", "", item.text) for item in items[place : last + 1]]


def _is_said_of_a_finding(items: list[Item], at: int, lexicon: Lexicon) -> bool:
    """Whether "new", "last year" or "painful" is said of a finding, not of a person, a film or a part of the body."""
    behind = at + 1
    while behind < len(items) and (items[behind].text == "的" or items[behind].role in BESIDE_ADJECTIVES):
        behind += 1
    follower = items[behind] if behind < len(items) else Item("end", "", "")
    if follower.text in lexicon.of_no_finding or (items[at].value == "function" and follower.role == "part"):
        return False
    if items[at].text in lexicon.shown_of:
        while follower.role in ("part", *BESIDE_ADJECTIVES) and behind + 1 < len(items):
            behind += 1
            follower = items[behind]
        if follower.role == "concept":
            return follower.value not in lexicon.shown_of[items[at].text]
        return follower.role == "broad" or follower.text in ("one", "ones")
    clause = _clause(items, at)
    if any(item.role in ("concept", "broad") or item.text in ("one", "ones") for item in clause):
        return items[at].value == "time" or items[max(at - 1, 0)].role != "part"  # 胸痛 is no word for a finding
    behind_one = any(item.role in ("concept", "broad") for item in items[:at])
    if any(item.role in ("part", "unknown") or item.text in lexicon.of_no_finding for item in clause):
        return False  # "he fell last year", "cough since yesterday"
    return behind_one or items[at].value == "time"


def _clause(items: list[Item], at: int) -> list[Item]:
    """The items around a place, up to the words that join clauses."""
    first = next((place + 1 for place in range(at, -1, -1) if items[place].role in ("link", "end")), 0)
    last = next((place for place in range(at, len(items)) if items[place].role in ("link", "end")), len(items))
    return items[first:last]


def excluded_places(items: list[Item]) -> set[int]:
    """Places behind "other than", up to where it turns to what is asked: "besides nodules, is there a mass".

    In Chinese they may stand before the word that excludes them instead: 结节以外的异常.
    """
    excluded: set[int] = set()
    inside = False
    for at, item in enumerate(items):
        turns = item.text == "," and at + 1 < len(items) and items[at + 1].role == "stop"
        if item.role == "except":
            inside = True
        elif item.role == "outside":
            excluded |= set() if inside else _named_before(items, at)
            inside = False
        elif item.role in ("end", "broad") or item.text == "还有" or turns:
            inside = False
        elif inside:
            excluded.add(at)
    return excluded


def _named_before(items: list[Item], at: int) -> set[int]:
    """Places of the findings right before a word, with the words that belong to them; empty where there is none."""
    named: set[int] = set()
    for place in range(at - 1, -1, -1):
        if items[place].role not in ("concept", "part", "link", "relation", *BESIDE_ADJECTIVES):
            break
        named.add(place)
    return named if any(items[place].role == "concept" for place in named) else set()


def denied(items: list[Item], lexicon: Lexicon) -> tuple[set[int], set[int]]:
    """Places behind a word that denies them: "not the one on the right", 不是右侧的, up to the next link.

    "Not in the left lung" says where a finding is not; "not the left nodule" says that it is not asked for.

    Returns:
        Places of the words denied, and of the findings among them that are denied themselves.
    """
    words: set[int] = set()
    findings: set[int] = set()
    for at, item in enumerate(items):
        if item.text not in lexicon.ruled_out or at + 1 >= len(items):
            continue
        follower = items[at + 1]
        pointing = follower.text in _POINTING or follower.text.startswith(("那", "这", "患者"))
        chinese = HAN.match(item.text) is not None
        pointing = pointing and not item.text.endswith("nt")  # "isn't the nodule on the left?" asks whether it is
        if not (pointing or follower.role in ("prep", "side", "zone") or (chinese and follower.role == "concept")):
            continue
        last = next((place for place in range(at, len(items)) if items[place].role in ("link", "end")), len(items))
        words |= set(range(at + 1, last))
        placed = any(items[place].role in ("side", "zone") for place in range(at + 1, last))
        if placed and follower.role != "prep" and not item.text.endswith("在"):
            findings |= {place for place in range(at + 1, last) if items[place].role == "concept"}
    return words, findings


@dataclass(slots=True)
class _Asked:
    """A finding asked for, where it stands in the sentence, its spots, and whether these stand behind it."""

    at: int
    spots: list[Spot] = field(default_factory=list)
    behind: bool = False


def spots_asked(items: list[Item], asked: list[int], ignored: Collection[int]) -> dict[int, tuple[Spot, ...]]:
    """The sides and zones that belong to each finding asked for.

    They stand before it in its own noun phrase, or behind it, up to the next link. A phrase that is only a place holds
    for the findings that follow ("in the left lung, ..."), or is one more place of the finding before it. A finding
    without a place shares that of its neighbour: "nodules and masses on the left".

    Args:
        items: the sentence, settled.
        asked: places of the findings asked for, ascending.
        ignored: places of words that are denied or excluded.

    Returns:
        Spots by the place of the finding; none where none is named.
    """
    findings = [_Asked(at) for at in asked]
    leading: list[Spot] | None = None
    pending: list[Spot] | None = None
    for phrase in noun_phrases(items):
        own = [one for one in findings if one.at in phrase]
        words = [at for at in phrase if items[at].role in ("side", "zone") and at not in ignored]
        if own:
            _place(items, own, words)
            for one in own:
                ahead = (pending if one is own[0] else None) or leading or []
                joined = _joined([*ahead, *one.spots])
                added = bool(pending) and one is own[0] and _is_listed(items, phrase)
                if not one.spots or added or len(joined) == len(one.spots):
                    one.spots = joined
            pending = None
        elif words and findings:
            loose: list[Spot] = []
            for at in words:
                loose = _joined([*loose, _spot(items[at])])
            before = [one for one in findings if one.at < phrase[0]]
            if not before or (leading and any(one.at > phrase[-1] for one in findings)):
                leading = pending = _joined([*(pending or []), *loose])
            else:
                before[-1].behind = before[-1].behind or not before[-1].spots
                before[-1].spots[:] = _joined([*before[-1].spots, *loose])
    _share(items, findings)
    return {one.at: tuple(one.spots) for one in findings}


def _is_listed(items: list[Item], phrase: range) -> bool:
    """Whether a word like "and" joins a noun phrase to the one before; a mark only ends what was said."""
    before = items[phrase.start - 1] if phrase.start else None
    return (
        before is not None and before.role == "link" and (before.text.isalnum() or before.text in ("、", "/", "&", "+"))
    )


def noun_phrases(items: list[Item]) -> list[range]:
    """Places between links and ends of sentences."""
    cuts = [-1, *(at for at, item in enumerate(items) if item.role in ("link", "end")), len(items)]
    return [range(cuts[i] + 1, cuts[i + 1]) for i in range(len(cuts) - 1) if cuts[i + 1] > cuts[i] + 1]


def _spot(item: Item) -> Spot:
    if item.role == "side":
        return item.value, ""
    side, _, zone = item.value.rpartition("|")
    return side, zone


def _joined(spots: list[Spot]) -> list[Spot]:
    """Spots in order, a side and a zone that do not contradict each other as one; a lone zone keeps the side before."""
    joined: list[Spot] = []
    for side, zone in spots:
        last = joined[-1] if joined else ("", "")
        if not (side and last[0] and side != last[0]) and not (zone and last[1] and zone != last[1]):
            joined[-1:] = [(side or last[0], zone or last[1])]
        else:
            joined.append((side or last[0], zone))
    return list(dict.fromkeys(joined))


def _place(items: list[Item], own: list[_Asked], words: list[int]) -> None:
    """Give the places of a noun phrase to its findings: to the next one, or behind a preposition to the one before."""
    for at in words:
        before = next((one for one in reversed(own) if one.at < at), None)
        after = next((one for one in own if one.at > at), None)
        governed = before is not None and any(items[place].role == "prep" for place in range(before.at, at))
        if before is not None and (after is None or governed):
            before.behind = before.behind or not before.spots
            before.spots[:] = _joined([*before.spots, _spot(items[at])])
        elif after is not None:
            after.spots[:] = _joined([*after.spots, _spot(items[at])])


def _share(items: list[Item], findings: list[_Asked]) -> None:
    """Findings without a place take that behind the next one, or that before the last one if no article parts them."""
    for one, following in reversed(list(pairwise(findings))):
        if not one.spots and following.behind:
            one.spots, one.behind = list(following.spots), True
    for previous, one in pairwise(findings):
        own = any(items[place].text in _INDEFINITE for place in range(previous.at, one.at))
        if previous.behind or own or not previous.spots:
            continue
        side, zone = previous.spots[-1]
        if not one.spots:
            one.spots = list(previous.spots)
        elif side and zone and not one.behind:  # "left upper lobe nodule and lower lobe mass"
            one.spots = [(spot[0] or side, spot[1]) for spot in one.spots]


def _names_another(items: list[Item], link: int) -> bool:
    """Whether the noun phrase behind a link has a finding of its own: "... on the left and the rib fracture"."""
    return any(
        phrase.start == link + 1 and any(items[at].role == "concept" for at in phrase) for phrase in noun_phrases(items)
    )


def place_behind(items: list[Item], at: int) -> list[int]:
    """Places of the words that say where the finding is, as in "mass or nodule in the liver" or "broken tooth"."""
    governed: list[int] = []
    inside = False
    adjacent = True
    for place in range(at + 1, len(items)):
        role = items[place].role
        if (
            role == "end"
            or (inside and role == "concept")
            or (inside and role == "link" and _names_another(items, place))
        ):
            break
        if role == "prep":
            inside = True
        elif (inside and role in ("part", "unknown")) or (adjacent and role == "part"):
            governed.append(place)
        elif not inside and role in ("part", "unknown", "except"):
            break
        adjacent = adjacent and role in ("descriptor", "attribute", "side", "zone", "part")
    return governed

"""Words whose part in a sentence depends on the words around them: "upper" is a zone, but not in "the upper one"."""

from __future__ import annotations

from medground.data.questions import is_plural
from medground.inference.lexicon import HAN, Item, Lexicon, nearness

BESIDE_ADJECTIVES = ("descriptor", "attribute", "side", "zone", "number", "comparative")


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
        elif item.text == "both" and _is_number(items, at):
            settled[at] = Item("number", "2", item.text)
        elif item.value in lexicon.attribute_concepts and _stands_before_a_finding(items, at):
            settled[at] = Item("attribute", lexicon.attribute_concepts[item.value], item.text)
        elif item.text in {*lexicon.near["nearest"], *lexicon.near["furthest"]}:
            _join_with_landmark(settled, at, lexicon)
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

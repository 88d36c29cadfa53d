"""Orders, looks and numbers in questions, by the words around them: written by hand, and as training questions are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from medground.data.pairs.special import Order, ask_count, ask_order, ask_other
from medground.data.pairs.wording import APPEARANCE_ZH, Wanted
from medground.data.pairs.wording import question as written
from medground.data.questions import Language
from medground.data.vocabulary import load_vocabulary
from medground.inference.lexicon import HAN, load_lexicon
from medground.inference.looks import LOOKS
from medground.inference.orders import order_words
from medground.inference.understand import Question, understand
from medground.schema.anatomy import Side, Zone
from medground.schema.result import Relation

VOCABULARY = load_vocabulary()


def parse(query: str) -> Question:
    return understand(query, VOCABULARY)


UP, DOWN, INNER, OUTER = Relation.UPPERMOST, Relation.LOWERMOST, Relation.MOST_MEDIAL, Relation.MOST_LATERAL
LARGE, SMALL, LEFT, RIGHT = Relation.LARGEST, Relation.SMALLEST, Relation.LEFTMOST, Relation.RIGHTMOST
SECOND, THIRD, TWO, THREE = {"rank": 2}, {"rank": 3}, {"count": 2}, {"count": 3}

ORDERS = [
    # what was asked, its relation, what else it asks for
    ("the largest nodule in the right upper lobe", LARGE, {"side": Side.RIGHT, "zone": Zone.UPPER}),
    ("biggest mass", LARGE, {}),
    ("smallest nodule", SMALL, {}),
    ("uppermost fracture", UP, {}),
    ("the lowest nodule", DOWN, {}),
    ("最大的结节", LARGE, {}),
    ("最下方的结节在哪里", DOWN, {}),
    ("large mass", None, {}),
    # comparatives single one out, or are mere adjectives
    ("the larger of the two nodules", LARGE, {}),
    ("the larger nodule", LARGE, {}),
    ("which nodule is the bigger one?", LARGE, {}),
    ("which of the two masses is smaller?", SMALL, {}),
    ("the smaller of the three nodules on the left", SMALL, {"side": Side.LEFT}),
    ("is there a larger nodule?", None, {}),
    ("any larger nodules?", None, {}),
    ("larger nodules", None, {}),
    ("nodules larger than 5 mm", None, {}),
    ("find the nodule larger than the others", None, {"unknown_words": ("others",)}),
    ("左上肺较大的那个结节", LARGE, {"side": Side.LEFT, "zone": Zone.UPPER}),
    ("较大的结节在哪里", LARGE, {}),
    ("大一点的结节", LARGE, {}),
    ("两个结节中小的那个", SMALL, {}),
    ("左肺有两个结节，大的那个在哪", LARGE, {"side": Side.LEFT}),
    ("有没有较大的结节", None, {}),
    ("左肺可见较大的结节吗", None, {"side": Side.LEFT}),
    ("较大结节", None, {}),
    # upper and lower are zones, except where they choose
    ("the upper of the two nodules", UP, {"zone": None}),
    ("the upper one of the left lung nodules", UP, {"zone": None, "side": Side.LEFT}),
    ("the upper nodule of the two", UP, {"zone": None}),
    ("the lower one of the effusions", DOWN, {"zone": None}),
    ("the higher of both nodules", UP, {"side": None}),
    ("upper lung nodule", None, {"zone": Zone.UPPER}),
    ("the lower nodule", None, {"zone": Zone.LOWER}),
    ("nodule in the upper one third of the lung", None, {"zone": Zone.UPPER}),
    ("靠上的那个结节", UP, {}),
    ("上面那个结节", UP, {}),
    ("下方的那个肿块", DOWN, {}),
    ("两处结节中靠下的那一处在哪里？", DOWN, {}),
    # sides of the patient
    ("the leftmost nodule", LEFT, {"side": None}),
    ("the nodule furthest to the right", RIGHT, {"side": None}),
    ("the left of the two nodules", LEFT, {"side": None}),
    ("the left nodule", None, {"side": Side.LEFT}),
    ("the left one", None, {"side": Side.LEFT, "concepts": ()}),
    ("最左侧的结节", LEFT, {"side": None}),
    ("最靠患者右侧的结节", RIGHT, {"side": None}),
    ("the nodule lying furthest to the patient's left", LEFT, {"side": None}),
    ("靠右的那个结节", RIGHT, {"side": None}),
    ("左边那个结节", None, {"side": Side.LEFT}),
    # near and far
    ("the nodule nearest the heart", INNER, {}),
    ("the nodule that is closest to the mediastinum", INNER, {}),
    ("the nearest nodule to the spine", INNER, {}),
    ("the nodule nearer the midline", INNER, {}),
    ("the nodule furthest from the chest wall", INNER, {}),
    ("innermost nodule of the right lung", INNER, {"side": Side.RIGHT}),
    ("the medial one of the nodules", INNER, {}),
    ("the nodule closest to the chest wall", OUTER, {}),
    ("the mass farthest from the heart", OUTER, {}),
    ("the outermost nodule", OUTER, {}),
    ("most lateral fracture", OUTER, {}),
    ("离心脏最近的结节", INNER, {}),
    ("靠近心脏的那个结节", INNER, {}),
    ("最靠近纵隔的结节", INNER, {}),
    ("离心脏最远的肿块", OUTER, {}),
    ("距离胸壁最近的结节", OUTER, {}),
    ("最靠近头侧的结节", UP, {}),
    # ranks
    ("the second largest mass", LARGE, SECOND),
    ("2nd-largest nodule in the left lung", LARGE, {**SECOND, "side": Side.LEFT}),
    ("third most lateral nodule", OUTER, THIRD),
    ("the ninth smallest nodule", SMALL, {"rank": 9}),
    ("the second nodule from the top", UP, SECOND),
    ("the third from the bottom of the nodules", DOWN, THIRD),
    ("the first largest nodule", LARGE, {}),
    ("第二大的肿块", LARGE, SECOND),
    ("右肺第3大的结节", LARGE, {**THIRD, "side": Side.RIGHT}),
    ("次大的结节", LARGE, SECOND),
    ("which nodule is second in size?", LARGE, SECOND),
    ("大小排第三的结节", LARGE, THIRD),
    ("从上往下数第二个结节", UP, SECOND),
    ("从上往下第二个结节", UP, SECOND),
    # counts
    ("the two largest nodules", LARGE, TWO),
    ("the largest three nodules on the right", LARGE, {**THREE, "side": Side.RIGHT}),
    ("2 smallest nodules", SMALL, TWO),
    ("the two larger nodules", LARGE, TWO),
    ("the largest of three nodules", LARGE, {}),
    ("the largest 3 cm mass", LARGE, {}),
    ("the largest one of the nodules", LARGE, {}),
    ("最大的两个结节", LARGE, TWO),
    ("两个最大的结节", LARGE, TWO),
    ("右肺最大的3个结节", LARGE, {**THREE, "side": Side.RIGHT}),
    ("最大的那个结节", LARGE, {}),
    # looks
    ("the round nodule", None, {"attributes": ("round",)}),
    ("an irregular, dense mass", None, {"attributes": ("irregular", "dense")}),
    ("ill-defined mass", None, {"attributes": ("ill-defined",)}),
    ("poorly defined consolidation", None, {"attributes": ("ill-defined",)}),
    ("mark both small round nodules", None, {"attributes": ("round",), "side": None}),
    ("the larger well-circumscribed nodule", LARGE, {"attributes": ("well-defined",)}),
    ("圆形的结节", None, {"attributes": ("round",)}),
    ("边界不清的肿块", None, {"attributes": ("ill-defined",)}),
    ("不规则的结节", None, {"attributes": ("irregular",)}),
    ("有空洞的结节", None, {"attributes": ("cavitated",)}),
    ("最大的钙化的结节", LARGE, {"attributes": ("calcified",)}),
    # none of these is an order, a side or a look
    ("mark both nodules", None, {"side": None}),
    ("both lungs: any nodule?", None, {"side": Side.BILATERAL}),
    ("nodules in both", None, {"side": Side.BILATERAL}),
    ("the two nodules", None, {}),
    ("两处结节", None, {}),
    ("左肺有几处结节", None, {"side": Side.LEFT}),
    ("一共有几处结节？", None, {}),
    ("标出这三处结节", None, {}),
    ("这张片子上肺野有结节吗？", None, {"zone": Zone.UPPER}),
    ("这张片子中肺野有结节吗？", None, {"zone": Zone.MIDDLE}),
    ("图像中下肺有没有结节", None, {"zone": Zone.LOWER}),
    ("x光片上有没有结节", None, {}),
    ("看一看左肺有没有结节", None, {"side": Side.LEFT}),
    ("take a look at the left lung: any nodule?", None, {"side": Side.LEFT}),
]


@pytest.mark.parametrize(("query", "relation", "more"), ORDERS, ids=[case[0] for case in ORDERS])
def test_which_of_several(query: str, relation: Relation | None, more: dict[str, object]) -> None:
    question = parse(query)
    meant = question.understood
    expected = {"rank": 1, "count": None, "attributes": (), "side": None, "zone": None, "unknown_words": (), **more}
    if "concepts" in more:
        expected["unknown_words"] = meant.unknown_words
    else:
        assert len(question.phrases) == 1
    assert {name: getattr(meant, name) for name in expected} == expected
    assert (meant.relation, question.orders, meant.negated) == (relation, (), False)


@pytest.mark.parametrize(
    ("query", "orders"),
    [
        ("the largest and smallest nodule", ("largest", "smallest")),
        ("the largest and the second largest nodule", ("largest", "second largest")),
        ("the larger, upper one of the two nodules", ("largest", "uppermost")),
        ("最大和最小的结节", ("largest", "smallest")),
        ("离心脏最近的和第二大的结节", ("most medial", "second largest")),
    ],
)
def test_several_orders_are_none(query: str, orders: tuple[str, ...]) -> None:
    question = parse(query)
    assert question.orders == orders
    assert (question.understood.relation, question.understood.rank, question.understood.count) == (None, 1, None)
    assert question.understood.concepts == ("nodule",)


def test_one_order_said_twice_is_one() -> None:
    question = parse("the larger of the two nodules, the biggest one")
    assert (question.understood.relation, question.orders) == (Relation.LARGEST, ())


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("nodule that is not calcified", "not calcified"),
        ("没有钙化的结节", "没有钙化"),
        ("any nodule other than the largest one", "largest"),
        ("any mass other than the round nodule", "round"),
        ("10th largest lung nodule", "largest"),
        ("the nodule with the highest uptake", "highest"),
        ("比肿块大的结节", "比肿块"),
    ],
)
def test_orders_and_looks_that_are_not_used_are_told(query: str, told: str) -> None:
    question = parse(query)
    assert told in question.understood.unknown_words
    assert (question.understood.relation, question.understood.attributes) == (None, ())
    assert len(question.phrases) == 1


def test_an_excluded_order_is_not_that_of_the_rest() -> None:
    question = parse("anything other than the largest nodule")
    assert (question.everything, question.understood.negated) == (True, True)
    assert question.understood.relation is None
    assert question.understood.unknown_words == ("largest",)


def test_an_order_of_nothing_known_is_told() -> None:
    assert parse("the bigger of the two").understood.unknown_words == ("bigger",)
    lesion = parse("the largest lesion")
    assert (lesion.everything, lesion.understood.relation) == (True, Relation.LARGEST)


def test_words_for_looks_are_those_that_are_decoded() -> None:
    lexicon = load_lexicon()
    closed = {word for words in LOOKS.values() for word in words}
    assert set(lexicon.attribute) == closed
    assert set(lexicon.attribute_concepts.values()) <= closed
    for word, ways in lexicon.attribute.items():
        for way in ways:
            query = f"{way}的实变" if HAN.search(way) else f"a {way} consolidation"
            assert parse(query).understood.attributes == (word,), query


@pytest.mark.parametrize("key", ["nodule", "mass", "pleural_effusion", "consolidation"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_training_questions_mean_what_they_were_written_for(key: str, language: Language) -> None:
    rng = np.random.default_rng(7)
    concept = VOCABULARY[key]
    nothing = (None, 1, None, ())

    def meant(query: str) -> tuple[tuple[str, ...], tuple[object, ...]]:
        one = parse(query).understood
        assert one.unknown_words == (), query
        return one.concepts, (one.relation, one.rank, one.count, one.attributes)

    for number in range(2, 8):
        for order in Order:
            query = ask_order(Wanted(concept), order, number, language, rng)
            assert meant(query) == ((key,), (Relation(order.value), 1, None, ())), query
            assert (parse(query).understood.zone, parse(query).understood.side) == (None, None), query
        query = ask_count(Wanted(concept), number, language, rng)
        assert meant(query) == ((key,), nothing), query
        assert parse(query).understood.side is None, query
        query = ask_other(Wanted(concept), language, rng)
        assert meant(query) == ((key,), nothing), query
        assert parse(query).understood.negated, query
    for word in APPEARANCE_ZH:
        if word == "moderate" and language == "en":
            continue  # "moderate effusion" is said of the amount
        for side, zone in product((None, *Side), (None, *Zone)):
            query = written(Wanted(concept, side=side, zone=zone, appearance=word), language, rng)
            found, (relation, rank, count, attributes) = meant(query)
            if found in (("diffuse_nodules",), ("calcification",)):  # names of other findings
                assert word in ("diffuse", "calcified"), query
                continue
            assert (found, relation, rank, count, attributes) == ((key,), None, 1, None, (word,)), query
            assert (parse(query).understood.side, parse(query).understood.zone) == (side, zone), query


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ((Relation.LARGEST,), "largest"),
        ((Relation.MOST_MEDIAL, 2), "second most medial"),
        ((Relation.SMALLEST, 9), "ninth smallest"),
        ((Relation.LARGEST, 1, 2), "two largest"),
        ((Relation.LARGEST, 1, 12), "12 largest"),
    ],
)
def test_orders_in_words(order: tuple[Relation, int, int], words: str) -> None:
    assert order_words(*order) == words

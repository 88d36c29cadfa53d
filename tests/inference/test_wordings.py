"""Questions of many wordings that place each finding, deny a place, count after 两, or ask what no single image shows.

They were written before the understanding of them was first tried, so that they are not fitted to it.
"""

from __future__ import annotations

import pytest

from medground.data.vocabulary import load_vocabulary
from medground.inference.lexicon import HAN, load_lexicon
from medground.inference.understand import understand
from medground.schema.anatomy import Side, Zone
from medground.schema.result import Relation, Understood

VOCABULARY = load_vocabulary()
LEFT, RIGHT, BOTH = Side.LEFT, Side.RIGHT, Side.BILATERAL
UP, MID, LOW = Zone.UPPER, Zone.MIDDLE, Zone.LOWER
NODULE, MASS, FLUID, AIR = "nodule", "mass", "pleural_effusion", "pneumothorax"
CALC, CAVITY, DENSE, BROKEN = "calcification", "cavity", "consolidation", "fracture"

Placed = tuple[str, Side | None, Zone | None]


def parse(query: str) -> Understood:
    return understand(query, VOCABULARY).understood


PLACES: list[tuple[str, list[Placed]]] = [
    (
        "outline the right pleural effusion together with the mass on the left",
        [(FLUID, RIGHT, None), (MASS, LEFT, None)],
    ),
    (
        "a cavity in the right upper lobe and calcifications in the left lower lobe",
        [(CAVITY, RIGHT, UP), (CALC, LEFT, LOW)],
    ),
    ("left lung nodule plus right lung mass", [(NODULE, LEFT, None), (MASS, RIGHT, None)]),
    (
        "can you box the pneumothorax on the left side as well as the rib fractures on the right?",
        [(AIR, LEFT, None), (BROKEN, RIGHT, None)],
    ),
    ("show both the RUL nodule and the LLL consolidation", [(NODULE, RIGHT, UP), (DENSE, LEFT, LOW)]),
    ("On the right: any effusion? On the left: any pneumothorax?", [(FLUID, RIGHT, None), (AIR, LEFT, None)]),
    (
        "find the nodules in the upper zones and the consolidation in the lower zones",
        [(NODULE, None, UP), (DENSE, None, LOW)],
    ),
    ("the left apical pneumothorax and the right basal effusion", [(AIR, LEFT, UP), (FLUID, RIGHT, LOW)]),
    ("nodule on the left, mass on the right", [(NODULE, LEFT, None), (MASS, RIGHT, None)]),
    ("please mark a mass at the left base or a nodule at the right apex", [(MASS, LEFT, LOW), (NODULE, RIGHT, UP)]),
    ("masses in the right middle lobe and in the left upper lobe", [(MASS, RIGHT, MID), (MASS, LEFT, UP)]),
    (
        "highlight the right-sided nodules and calcifications and the left-sided effusion",
        [(NODULE, RIGHT, None), (CALC, RIGHT, None), (FLUID, LEFT, None)],
    ),
    ("左肺的肿块和右肺的结节都标出来", [(MASS, LEFT, None), (NODULE, RIGHT, None)]),
    ("请框出右上肺的空洞及左下肺的实变", [(CAVITY, RIGHT, UP), (DENSE, LEFT, LOW)]),
    ("左侧气胸、右侧胸腔积液在哪里", [(AIR, LEFT, None), (FLUID, RIGHT, None)]),
    ("右边的钙化还有左边的结节", [(CALC, RIGHT, None), (NODULE, LEFT, None)]),
    ("上肺野的结节与下肺野的肿块", [(NODULE, None, UP), (MASS, None, LOW)]),
    ("标注左上叶结节，右下叶肿块", [(NODULE, LEFT, UP), (MASS, RIGHT, LOW)]),
    ("左侧有没有气胸？右侧有没有肋骨骨折？", [(AIR, LEFT, None), (BROKEN, RIGHT, None)]),
    ("结节在左侧，积液在右侧，请圈出", [(NODULE, LEFT, None), (FLUID, RIGHT, None)]),
    ("左中肺和右下肺的结节", [(NODULE, LEFT, MID), (NODULE, RIGHT, LOW)]),
    ("双侧的积液和左侧的肿块", [(FLUID, BOTH, None), (MASS, LEFT, None)]),
    ("右侧的结节和肿块以及左侧的气胸", [(NODULE, RIGHT, None), (MASS, RIGHT, None), (AIR, LEFT, None)]),
    ("左肺尖的结节或者右肺底的积液", [(NODULE, LEFT, UP), (FLUID, RIGHT, LOW)]),
]


@pytest.mark.parametrize(("query", "places"), PLACES, ids=[case[0] for case in PLACES])
def test_each_finding_keeps_its_own_place(query: str, places: list[Placed]) -> None:
    asked = parse(query)
    assert [(place.concept, place.side, place.zone) for place in asked.places] == places
    assert asked.concepts == tuple(dict.fromkeys(concept for concept, _, _ in places))
    assert asked.side == (places[0][1] if len({side for _, side, _ in places}) == 1 else None)
    assert asked.zone == (places[0][2] if len({zone for _, _, zone in places}) == 1 else None)
    assert asked.unknown_words == asked.beyond_image == ()


DENIED: list[tuple[str, Side | None, Zone | None]] = [
    ("the mass in the right lung, not in the left one", RIGHT, None),
    ("I mean the left-sided effusion rather than the right-sided one", LEFT, None),
    ("not the right nodule but the left nodule", LEFT, None),
    ("show the nodule in the lower zone, not the one in the upper zone", None, LOW),
    ("the fracture on the right side instead of the one on the left side", RIGHT, None),
    ("只要右侧的肿块，不要左侧的", RIGHT, None),
    ("不是右边而是左边的结节", LEFT, None),
    ("标出左肺的空洞而非右肺的", LEFT, None),
    ("下肺野的实变，不是上肺野的那个", None, LOW),
    ("我说的是左侧的积液，不是右侧的积液", LEFT, None),
]


@pytest.mark.parametrize(("query", "side", "zone"), DENIED, ids=[case[0] for case in DENIED])
def test_a_denied_place_is_dropped(query: str, side: Side | None, zone: Zone | None) -> None:
    asked = parse(query)
    assert (len(asked.concepts), asked.side, asked.zone, asked.places) == (1, side, zone, ())
    assert (asked.relation, asked.unknown_words) == (None, ())


COUNTED: list[tuple[str, Relation | None, int | None, Side | None]] = [
    ("最小的两个肺结节在哪", Relation.SMALLEST, 2, None),
    ("右侧最大的两个肺部结节", Relation.LARGEST, 2, RIGHT),
    ("最靠上的两个肺肿块", Relation.UPPERMOST, 2, None),
    ("两个最大的肺结节", Relation.LARGEST, 2, None),
    ("两个肺都有结节吗", None, None, BOTH),
    ("两个肺里面有没有肿块", None, None, BOTH),
]


@pytest.mark.parametrize(("query", "relation", "count", "side"), COUNTED, ids=[case[0] for case in COUNTED])
def test_two_before_a_measure_word_counts(
    query: str, relation: Relation | None, count: int | None, side: Side | None
) -> None:
    asked = parse(query)
    assert (len(asked.concepts), asked.relation, asked.count, asked.side) == (1, relation, count, side)


BEYOND = [
    # what was asked, what it names, whether a word in it is beyond one image
    ("which of these masses showed up first?", [MASS], True),
    ("the nodule that got larger over the last six months", [NODULE], True),
    ("circle the more recent of the two calcifications", [CALC], True),
    ("mark the nodule that was not there in 2019", [NODULE], True),
    ("which mass is metabolically active?", [MASS], True),
    ("the nodule that lit up on the PET scan", [NODULE], True),
    ("the effusion that shifts when he lies down", [FLUID], True),
    ("an 80 year old woman with cough, is there a consolidation?", [DENSE], False),
    ("is there an old rib fracture?", [BROKEN], False),
    ("compared with the older film, is there a nodule?", [NODULE], True),
    ("哪一个肿块长得更快？", [MASS], True),
    ("上个月还没有的结节", [NODULE], True),
    ("存在时间最久的钙化", [CALC], True),
    ("有FDG摄取的肿块", [MASS], True),
    ("深呼吸时会移动的结节", [NODULE], True),
    ("摸上去会疼的肿块", [MASS], True),
    ("动脉期强化的结节", [NODULE], True),
    ("有没有新出现的气胸", [AIR], True),
    ("老年患者，有没有肺结节", [NODULE], False),
    ("陈旧性肋骨骨折在哪里", [BROKEN], False),
]


@pytest.mark.parametrize(("query", "concepts", "beyond"), BEYOND, ids=[case[0] for case in BEYOND])
def test_what_no_single_image_shows_is_told(query: str, concepts: list[str], beyond: bool) -> None:
    asked = parse(query)
    assert list(asked.concepts) == concepts
    assert bool(asked.beyond_image) == beyond


LEARNT: list[tuple[str, list[Placed], Side | None, Zone | None]] = [
    # what was asked, places, side, zone; written while the understanding of them was mended
    ("which is larger, the left nodule or the right one?", [(NODULE, LEFT, None), (NODULE, RIGHT, None)], None, None),
    ("nodule in the left lung, effusion", [], LEFT, None),
    ("pain on the right side, is there a left pneumothorax?", [], LEFT, None),
    ("besides the left nodule, is there a right effusion?", [], RIGHT, None),
    ("the effusion isn't on the left, is it on the right?", [], RIGHT, None),
    ("isn't the nodule on the left?", [], LEFT, None),
    ("there is not a nodule on the left", [], LEFT, None),
    ("不在左侧的结节", [], None, None),
    ("mark the left nodule, not the right effusion", [], LEFT, None),
    ("fracture of the left wrist and the right ankle", [], None, None),
    (
        "both lungs: nodules on the left? effusion on the right?",
        [(NODULE, LEFT, None), (FLUID, RIGHT, None)],
        None,
        None,
    ),
    (
        "right lung: nodule in the upper zone and mass in the lower zone",
        [(NODULE, RIGHT, UP), (MASS, RIGHT, LOW)],
        RIGHT,
        None,
    ),
    ("右肺上叶结节和下叶肿块", [(NODULE, RIGHT, UP), (MASS, RIGHT, LOW)], RIGHT, None),
    ("左肺下叶结节合并右侧胸腔积液", [(NODULE, LEFT, LOW), (FLUID, RIGHT, None)], None, None),
    ("左肺和右肺都有结节吗", [(NODULE, LEFT, None), (NODULE, RIGHT, None)], None, None),
    (
        "the left nodule, the right effusion and a mass",
        [(NODULE, LEFT, None), (FLUID, RIGHT, None), (MASS, None, None)],
        None,
        None,
    ),
    ("rib fracture on the left and a nodule on the right", [(BROKEN, LEFT, None), (NODULE, RIGHT, None)], None, None),
]


@pytest.mark.parametrize(("query", "places", "side", "zone"), LEARNT, ids=[case[0] for case in LEARNT])
def test_places_in_context(query: str, places: list[Placed], side: Side | None, zone: Zone | None) -> None:
    asked = parse(query)
    assert [(place.concept, place.side, place.zone) for place in asked.places] == places
    assert (asked.side, asked.zone) == (side, zone)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("any new findings?", ("new",)),
        ("有没有新发病灶", ("新发",)),
        ("any abnormal findings?", ()),
    ],
)
def test_questions_for_everything_stay_so(query: str, told: tuple[str, ...]) -> None:
    question = understand(query, VOCABULARY)
    assert (question.everything, question.understood.beyond_image) == (True, told)


@pytest.mark.parametrize(
    "query",
    [
        "this is a new x-ray, any nodule?",
        "新片子上有结节吗",
        "He fell last year, is there a nodule?",
        "cough since yesterday, pneumonia?",
        "painful wrist, any fracture?",
        "painful wrist fracture",
        "asymptomatic, any nodule?",
        "a stable patient, any pneumothorax?",
        "old rib fracture",
        "recent fracture?",
        "old tuberculosis",
        "增强CT上有结节吗",
        "胸痛有气胸吗",
        "心脏增大吗",
        "a 60 year old with a nodule",
    ],
)
def test_words_said_of_something_else_leave_a_question_decidable(query: str) -> None:
    asked = parse(query)
    assert asked.beyond_image == ()
    assert len(asked.concepts) == 1


def test_every_word_beyond_the_image_is_read() -> None:
    lexicon = load_lexicon()
    for words in (word for listed in lexicon.beyond.values() for word in listed):
        asked = parse(f"{words}肿块" if HAN.search(words) else f"the mass, the one {words}")
        assert words in lexicon.shown_of or asked.beyond_image, words

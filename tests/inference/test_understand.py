"""The parser against questions whose meaning is known: written by `questions.ask`, by hand, and at random."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medground.data.questions import LUNG_FINDINGS, SIDED_FINDINGS, Language, ask
from medground.data.vocabulary import load_vocabulary
from medground.inference.understand import MAX_QUERY_CHARACTERS, Question, understand
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.errors import QueryError
from medground.schema.vocabulary import Concept

VOCABULARY = load_vocabulary()
CONCEPTS = pytest.mark.parametrize("concept", VOCABULARY.concepts, ids=lambda concept: concept.key)
DRAWS = 5


def parse(query: str) -> Question:
    return understand(query, VOCABULARY)


def keys(query: str) -> list[str]:
    return [phrase.concept for phrase in parse(query).phrases]


@CONCEPTS
def test_recovers_what_was_asked(concept: Concept) -> None:
    rng = np.random.default_rng(11)
    languages: tuple[Language, ...] = ("en", "zh")
    sides = [None, *Side] if concept.key in SIDED_FINDINGS else [None]
    zones = [None, *Zone] if concept.key in LUNG_FINDINGS else [None]
    for language in languages:
        for side in sides:
            for zone in zones:
                for _ in range(DRAWS):
                    query = ask(concept, language, rng, side=side, zone=zone)
                    question = parse(query)
                    meant = question.understood
                    assert (meant.concepts, meant.side, meant.zone) == ((concept.key,), side, zone), query
                    assert [phrase.concept for phrase in question.phrases] == [concept.key]
                    assert question.language == language
                    assert (meant.unknown_words, meant.relation, meant.negated) == ((), None, False), query
                    assert not question.everything


@CONCEPTS
def test_every_phrase_names_its_own_concept(concept: Concept) -> None:
    for phrases in concept.names.values():
        for phrase in phrases:
            for query in (phrase, phrase.upper(), f"  {phrase}?"):
                question = parse(query)
                assert [p.concept for p in question.phrases] == [concept.key], query
                assert question.understood.side is None
                assert question.understood.unknown_words == ()


TRICKY = [
    # what was asked, what it names, side, zone
    ("Left lung nodule?", ["nodule"], Side.LEFT, None),
    ("左肺有结节吗", ["nodule"], Side.LEFT, None),
    ("find the lung nodule", ["nodule"], None, None),
    ("is there a pneumothorax?", ["pneumothorax"], None, None),
    ("right pleural effusion", ["pleural_effusion"], Side.RIGHT, None),
    ("Right-sided effusions", ["pleural_effusion"], Side.RIGHT, None),
    ("nodules or effusion", ["nodule", "pleural_effusion"], None, None),
    ("结节或积液", ["nodule", "pleural_effusion"], None, None),
    ("any masses, nodules and cavities?", ["mass", "nodule", "cavity"], None, None),
    ("bilateral lower zone consolidation", ["consolidation"], Side.BILATERAL, Zone.LOWER),
    ("nodules in both lung bases", ["nodule"], Side.BILATERAL, Zone.LOWER),
    ("RUL nodule", ["nodule"], Side.RIGHT, Zone.UPPER),
    ("LLL consolidation", ["consolidation"], Side.LEFT, Zone.LOWER),
    ("apical pneumothorax on the left", ["pneumothorax"], Side.LEFT, Zone.UPPER),
    ("right middle lobe pneumonia", ["pneumonia"], Side.RIGHT, Zone.MIDDLE),
    ("右上肺结节", ["nodule"], Side.RIGHT, Zone.UPPER),
    ("左肺下叶炎症是肺炎吗", ["pneumonia"], Side.LEFT, Zone.LOWER),
    ("双侧胸腔积液", ["pleural_effusion"], Side.BILATERAL, None),
    ("左肺炎", ["pneumonia"], Side.LEFT, None),
    ("肺結節在左上葉嗎", ["nodule"], Side.LEFT, Zone.UPPER),
    ("右侧氣胸？", ["pneumothorax"], Side.RIGHT, None),
    ("左下叶不张", ["atelectasis"], Side.LEFT, Zone.LOWER),
    ("肺尖有空洞吗", ["cavity"], None, Zone.UPPER),
    ("nodule in the left or right lung", ["nodule"], None, None),
    ("nodules in the left and right lungs", ["nodule"], Side.BILATERAL, None),
    ("left effusion and right pneumothorax", ["pleural_effusion", "pneumothorax"], None, None),
    ("any nodule not in the left lung", ["nodule"], None, None),
    ("collapsed lung on the right, right?", ["pneumothorax"], Side.RIGHT, None),
    # lay words
    ("Does he have fluid around the lungs?", ["pleural_effusion"], None, None),
    ("is the heart enlarged?", ["cardiomegaly"], None, None),
    ("big heart?", ["cardiomegaly"], None, None),
    ("心脏是不是大", ["cardiomegaly"], None, None),
    ("is any bone broken", ["fracture"], None, None),
    ("骨头断了吗", ["fracture"], None, None),
    ("white patch on the right", ["consolidation"], Side.RIGHT, None),
    ("scarring of the lung", ["fibrosis"], None, None),
    ("hole in the lung", ["cavity"], None, None),
    ("my doctor thinks there is a chest infection", ["pneumonia"], None, None),
    # absence is asked for like presence
    ("no pneumothorax?", ["pneumothorax"], None, None),
    ("without effusion", ["pleural_effusion"], None, None),
    ("rule out a fracture", ["fracture"], None, None),
    ("没有气胸吧", ["pneumothorax"], None, None),
    ("除外气胸", ["pneumothorax"], None, None),
    # longer names win over the trained words inside them
    ("joint effusion", ["joint_effusion"], None, None),
    ("关节积液", ["joint_effusion"], None, None),
    ("pericardial effusion?", ["pericardial_effusion"], None, None),
    ("心包积液", ["pericardial_effusion"], None, None),
    ("breast mass", ["breast_mass"], None, None),
    ("thyroid nodule", ["thyroid_nodule"], None, None),
    ("甲状腺结节", ["thyroid_nodule"], None, None),
    ("kidney mass", ["kidney_mass"], None, None),
    ("kidney stone", ["renal_calculus"], None, None),
    ("heart failure", ["heart_failure"], None, None),
    ("brain mass", ["brain_tumour"], None, None),
    ("subcutaneous emphysema", ["subcutaneous_emphysema"], None, None),
    ("ground-glass nodules", ["ground_glass_opacity"], None, None),
    ("dental cavity", ["dental_caries"], None, None),
    ("coronary artery calcification", ["coronary_calcification"], None, None),
    ("breast calcifications", ["microcalcification"], None, None),
    ("liver fibrosis", ["liver_cirrhosis"], None, None),
    ("skull fracture", ["skull_fracture"], None, None),
    ("椎体压缩性骨折", ["vertebral_fracture"], None, None),
    ("结节病", ["sarcoidosis"], None, None),
    ("pneumoperitoneum or pneumothorax", ["pneumoperitoneum", "pneumothorax"], None, None),
    # parts of the body that fit
    ("fracture of the left wrist", ["fracture"], Side.LEFT, None),
    ("fracture at the base of the fifth metatarsal", ["fracture"], None, None),
    ("fracture of the radial head", ["fracture"], None, None),
    ("rib fractures on the right", ["fracture"], Side.RIGHT, None),
    ("is the wrist broken?", ["fracture"], None, None),
    ("手腕骨折", ["fracture"], None, None),
    ("nodule in the lung and a stone in the kidney", ["nodule", "stone"], None, None),
    ("pneumothorax or brain mass", ["pneumothorax", "brain_tumour"], None, None),
    ("new 3cm mass RUL", ["mass"], Side.RIGHT, Zone.UPPER),
    ("retrocardiac consolidation", ["consolidation"], None, None),
    ("左侧第五肋骨骨折", ["fracture"], Side.LEFT, None),
    ("I fell yesterday, is there a fracture?", ["fracture"], None, None),
    # parts of the body and unknown words that speak against it
    ("Is there a nodule in the liver?", [], None, None),
    ("mass or nodule in the liver", [], None, None),
    ("肝脏有没有结节", [], None, None),
    ("左肾肿块", [], None, None),
    ("a mass in the left kidney", [], Side.LEFT, None),
    ("wrist nodule", [], None, None),
    ("heart nodule", [], None, None),
    ("effusion in the knee", [], None, None),
    ("cavity in the tooth", [], None, None),
    ("calcification in the aorta", [], None, None),
    ("calcified lymph node", [], None, None),
    ("fracture of the spine", [], None, None),
    ("fracture of the skull base", [], None, None),
    ("pneumonia in the liver", [], None, None),
    ("broken tooth", [], None, None),
    ("nodule liver", [], None, None),
    ("basal ganglia calcification", [], None, None),
    ("骨髓浸润", [], None, None),
    ("脑室积液", [], None, None),
    ("brain: any mass?", [], None, None),
    ("in the prostate, is there a nodule", [], None, None),
    ("附属结构有肿块吗", [], None, None),
    ("a zork nodule", [], None, None),
    ("mass of the zork", [], None, None),
    ("pnuemothorax", [], None, None),
    ("any lesion in the liver?", [], None, None),
    ("is there anything wrong with my cat", [], None, None),
    ("wo ist die Läsion", [], None, None),
]


@pytest.mark.parametrize(("query", "expected", "side", "zone"), TRICKY, ids=[case[0] for case in TRICKY])
def test_queries_written_by_hand(query: str, expected: list[str], side: Side | None, zone: Zone | None) -> None:
    question = parse(query)
    assert [phrase.concept for phrase in question.phrases] == expected
    assert (question.understood.side, question.understood.zone) == (side, zone)
    assert question.understood.concepts == tuple(expected)
    assert not question.everything
    if not expected:
        assert question.understood.unknown_words, "what was not understood must be told"


@pytest.mark.parametrize(
    "query",
    [
        "any abnormality?",
        "What do you see?",
        "is this chest x-ray normal",
        "anything wrong with the left hand?",
        "Describe the findings.",
        "有什么异常吗",
        "看到了什么？",
        "这张胸片正常吗",
        "any lesion?",
    ],
)
def test_broad_questions_ask_for_everything(query: str) -> None:
    question = parse(query)
    assert question.everything
    assert question.phrases == ()
    assert question.understood.concepts == ()
    assert not question.understood.negated
    assert question.understood.unknown_words == ()


@pytest.mark.parametrize(
    ("query", "excluded"),
    [
        ("anything other than cardiomegaly", ("cardiomegaly",)),
        ("Is there anything abnormal besides the effusion and the nodule?", ("pleural_effusion", "nodule")),
        ("apart from fractures, what else do you see?", ("fracture",)),
        ("除了心脏增大还有什么", ("cardiomegaly",)),
        ("除气胸外有什么异常", ("pneumothorax",)),
        ("有没有结节以外的异常", ("nodule",)),
        ("有没有肺结节和积液之外的病变？", ("nodule", "pleural_effusion")),
        ("气胸以外还有什么", ("pneumothorax",)),
    ],
)
def test_other_than_asks_for_all_the_rest(query: str, excluded: tuple[str, ...]) -> None:
    question = parse(query)
    assert question.understood.negated
    assert question.understood.concepts == excluded
    assert question.everything
    assert question.phrases == ()


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("a nodule other than the calcification", ["nodule"]),
        ("besides nodules, is there a mass?", ["mass"]),
        ("除了结节还有肿块吗", ["mass"]),
        ("除了结节以外的肿块", ["mass"]),
        ("结节以外还有肿块吗", ["mass"]),
    ],
)
def test_what_is_asked_beside_an_exclusion_is_a_plain_question(query: str, asked: list[str]) -> None:
    assert keys(query) == asked
    assert not parse(query).understood.negated


@pytest.mark.parametrize(
    ("query", "domains"),
    [
        ("wrist fracture", {Domain.LIMB_RADIOGRAPH}),
        ("rib fracture", {Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT}),
        ("clavicle fracture", {Domain.LIMB_RADIOGRAPH, Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT}),
        ("肺部有结节吗", {Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT}),
        ("fracture", set()),
    ],
)
def test_named_parts_limit_the_kinds_of_image(query: str, domains: set[Domain]) -> None:
    assert parse(query).domains == domains


def test_phrase_holds_the_words_of_the_query() -> None:
    assert [phrase.text for phrase in parse("Any PULMONARY Nodules or 气胸?").phrases] == ["pulmonary nodules", "气胸"]
    assert [phrase.text for phrase in parse("nodule, lung nodules, nodule").phrases] == ["nodule"]


def test_what_speaks_against_a_finding_is_told_with_it() -> None:
    assert parse("Is there a nodule in the liver?").understood.unknown_words == ("nodule in the liver",)
    assert parse("a zork nodule or effusion").understood.unknown_words == ("zork nodule",)
    assert keys("a zork nodule or effusion") == ["pleural_effusion"]


def test_width_case_and_spaces_do_not_matter() -> None:
    assert keys("ＬＥＦＴ   ｎｏｄｕｌｅ\n？") == ["nodule"]
    assert parse("ＬＥＦＴ   ｎｏｄｕｌｅ\n？").understood.side == Side.LEFT
    assert keys("ground\u2010glass opacity") == keys("GROUND GLASS OPACITY") == ["ground_glass_opacity"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("?!.", "no words"),
        ("nodule " * 200, "1399 characters"),
        ("x" * 10_000, "10000 characters"),
        ("nodule\x00", r"U\+0000"),
        ("nod\x1bule", r"U\+001B"),
        ("nodule \ud800", r"U\+D800"),
    ],
)
def test_unusable_queries_are_refused(query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        parse(query)


def test_the_longest_query_is_accepted() -> None:
    assert keys("nodule".ljust(MAX_QUERY_CHARACTERS, "?")) == ["nodule"]


WORDS = sorted({word for concept in VOCABULARY.concepts for phrases in concept.names.values() for word in phrases})
FILLERS = [
    "left",
    "右",
    "upper",
    "in the",
    "liver",
    "other than",
    "or",
    "和",
    ",",
    "?",
    "zork",
    "wrist",
    "最大",
    "any",
    "not",
    "有什么",
    "larger",
    "upper one",
    "of the two",
    "second",
    "第二大",
    "两个",
    "nearest",
    "to the heart",
    "round",
    "不",
    "以外",
]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=1200) | st.lists(st.sampled_from(WORDS + FILLERS * 20), max_size=12).map(" ".join))
def test_never_fails_but_by_query_error(query: str) -> None:
    try:
        question = parse(query)
    except QueryError:
        text = query.strip()
        refused = not any(c.isalnum() for c in unicodedata.normalize("NFKC", text)) or len(text) > MAX_QUERY_CHARACTERS
        assert refused or any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
        return
    known = {concept.key for concept in VOCABULARY.concepts}
    assert set(question.understood.concepts) <= known
    assert not (question.everything and question.phrases)
    assert question.understood.negated <= question.everything
    assert question.understood.relation is None or not question.orders
    assert question.understood.relation is not None or question.understood.rank == 1
    if not question.understood.negated:
        assert question.understood.concepts == tuple(phrase.concept for phrase in question.phrases)

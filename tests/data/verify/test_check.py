from __future__ import annotations

import pytest

from medground.data.verify.check import verify
from medground.data.vocabulary import load_vocabulary
from medground.schema.pair import Pair, PairKind, RegionStatement
from medground.schema.result import StatementKind
from medground.schema.vocabulary import Code, Concept, Vocabulary

FINDING, LOCATION = StatementKind.FINDING, StatementKind.LOCATION
SIZE, LOOK = StatementKind.SIZE, StatementKind.APPEARANCE
NODULES = {"question": "find the nodules", "language": "en", "targets": (0, 1), "complete": True}

TABLE = [
    ("three", 0, FINDING, "There is a lung nodule.", True),
    ("three", 0, FINDING, "A nodule is seen on the left.", True),
    ("three", 0, FINDING, "A nodule is seen on the right.", False),
    ("three", 0, FINDING, "This is a lung lesion.", True),
    ("three", 0, FINDING, "This is a mass.", False),
    ("three", 0, FINDING, "There is no nodule.", False),
    ("three", 0, FINDING, "未见结节。", False),
    ("three", 0, FINDING, "这是肺结节。", True),
    ("three", 0, FINDING, "左侧可见肺结节。", True),
    ("three", 0, FINDING, "右侧可见肺结节。", False),
    ("three", 0, FINDING, "It is one of two nodules.", True),
    ("three", 0, FINDING, "It is one of three nodules.", False),
    ("three", 0, FINDING, "It is one of three lung lesions.", False),  # not exhaustive for all lesions
    ("three", 0, FINDING, "共有两处结节，这是其中一处。", True),
    ("three", 0, FINDING, "共有四处结节，这是其中一处。", False),
    ("three", 1, LOCATION, "It lies in the right lung.", True),
    ("three", 1, LOCATION, "It lies in the left lung.", False),
    ("three", 1, LOCATION, "It lies in the right lower zone.", False),  # no zone is recorded
    ("zoned", 1, LOCATION, "It lies in the right lower zone.", True),
    ("zoned", 1, LOCATION, "位于右下肺野。", True),
    ("zoned", 1, LOCATION, "位于右上肺野。", False),
    ("three", 0, SIZE, "It measures 6 x 12 mm.", True),  # 60 columns of 0.1 mm, 60 rows of 0.2 mm
    ("three", 0, SIZE, "It measures 12 x 6 mm.", False),
    ("three", 0, SIZE, "Its box is 6 mm wide and 12 mm high.", True),
    ("three", 0, SIZE, "宽6毫米，高12毫米。", True),
    ("three", 0, SIZE, "大小约6×13毫米。", False),
    ("three", 0, SIZE, "It is small.", False),
    ("three", 1, SIZE, "It is small.", True),
    ("three", 1, SIZE, "病灶较大。", False),
    ("looks", 0, LOOK, "It looks round and dense.", True),
    ("looks", 0, LOOK, "It looks round, well-defined and dense.", False),
    ("looks", 0, LOOK, "表现为圆形、致密。", True),
    ("looks", 1, LOOK, "表现为圆形。", False),
]


@pytest.mark.parametrize(("image", "region", "kind", "text", "is_true"), TABLE)
def test_statements_written_by_hand(records, verifier, image, region, kind, text, is_true):
    statement = RegionStatement(region=region, kind=kind, text=text, language="en" if text[0].isascii() else "zh")
    pair = Pair(record_id="film", kind=PairKind.PRESENT, statements=(statement,), **NODULES)
    faults = verifier.faults(pair, records[image])
    assert [fault.kind for fault in faults] == ([] if is_true else ["statement"]), faults


@pytest.mark.parametrize(
    ("region", "kind", "text", "fault"),
    [
        (2, FINDING, "There is a mass.", "statement"),  # no target
        (9, FINDING, "There is a mass.", "statement"),  # no region
        (0, LOCATION, "There is a nodule.", "statement"),  # true, of another kind
        (0, StatementKind.ADVICE, "There is a nodule.", "statement"),
        (0, FINDING, "There is a worrying nodule.", "not understood"),
    ],
)
def test_statements_that_do_not_belong(records, verifier, region, kind, text, fault):
    statement = RegionStatement(region=region, kind=kind, text=text, language="en")
    pair = Pair(record_id="film", kind=PairKind.PRESENT, statements=(statement,), **NODULES)
    assert [one.kind for one in verifier.faults(pair, records["three"])] == [fault]


def test_a_pair_about_another_image_is_refused(records):
    pair = Pair(record_id="other", kind=PairKind.PRESENT, **NODULES)
    assert [fault.kind for fault in verify(pair, records["three"], load_vocabulary())] == ["record"]


def test_every_fault_says_what_is_true(records, verifier):
    pair = Pair(record_id="film", kind=PairKind.PRESENT, **{**NODULES, "targets": (0,)})
    (fault,) = verifier.faults(pair, records["three"])
    assert "(0, 1)" in fault.text
    assert "(0,)" in fault.text


def test_a_vocabulary_of_other_things_works_without_chinese_names(records):
    scratch = Concept(
        key="scratch",
        code=Code(scheme="99MEDGROUND", value="1", meaning="scratch"),
        names={"en": ("scratch", "scratches")},
        domains=(records["one"].domain,),
    )
    vocabulary = Vocabulary(concepts=(scratch,))
    region = records["one"].regions[0].model_copy(update={"concept": "scratch"})
    plate = records["one"].model_copy(update={"regions": (region,), "exhaustive_for": frozenset({"scratch"})})
    for question, language in (("find the scratch on the left", "en"), ("左侧有scratch吗？", "zh")):
        pair = Pair(record_id="film", question=question, language=language, kind="present", targets=(0,), complete=True)
        assert verify(pair, plate, vocabulary) == ()
        assert verify(pair.model_copy(update={"targets": ()}), plate, vocabulary)

"""A table written by hand: question, image, what is claimed, and what the verifier must find wrong with it."""

from __future__ import annotations

import pytest

from medground.schema.pair import Pair, PairKind

TRUE = None
PRESENT, ABSENT, CONFUSABLE = PairKind.PRESENT, PairKind.ABSENT, PairKind.CONFUSABLE
SIDE, ZONE, SIZE = PairKind.WRONG_SIDE, PairKind.WRONG_ZONE, PairKind.WRONG_SIZE
RELATION, ORDER, COUNT, NEGATED = PairKind.RELATION, PairKind.ORDER, PairKind.COUNT, PairKind.NEGATED

TABLE = [
    # the finding alone, its synonyms and lay names
    ("one", "is there a nodule?", PRESENT, (0,), True, TRUE),
    ("one", "Where is the spot on the lung?", PRESENT, (0,), True, TRUE),
    ("one", "有肺结节吗？", PRESENT, (0,), True, TRUE),
    ("one", "有没有小结节？", PRESENT, (0,), True, TRUE),  # a name of the nodule, and no size
    ("one", "有没有较小的结节？", SIZE, (), True, TRUE),
    ("one", "is there a nodule?", PRESENT, (), True, "targets"),
    ("one", "is there a nodule?", PRESENT, (0,), False, "complete"),
    ("one", "is there a nodule?", ABSENT, (0,), True, "kind"),
    ("one", "is there a mass?", PRESENT, (0,), True, "targets"),
    ("one", "is there a mass?", CONFUSABLE, (), True, TRUE),
    ("one", "is there a mass?", ABSENT, (), True, TRUE),
    ("one", "is there a pleural effusion?", CONFUSABLE, (), True, "kind"),
    ("partly read", "find the nodule", PRESENT, (0,), False, TRUE),
    ("partly read", "find the nodule", PRESENT, (0,), True, "complete"),
    # absence, only where it is proven
    ("normal", "有没有胸腔积液？", ABSENT, (), True, TRUE),
    ("normal", "is there a pneumothorax?", ABSENT, (), True, "not settled"),
    ("open", "is there a nodule?", ABSENT, (), True, "not settled"),
    ("only doubtful", "is there a nodule?", ABSENT, (), True, "not settled"),
    ("only doubtful", "is there a nodule?", PRESENT, (0,), False, "not settled"),
    ("doubtful", "is there a nodule?", PRESENT, (0,), False, TRUE),
    ("doubtful", "is there a nodule?", PRESENT, (0, 1), False, "targets"),
    ("doubtful", "is there a nodule?", PRESENT, (0,), True, "complete"),
    ("whole hand", "any sign of a fracture?", ABSENT, (), True, TRUE),
    ("whole hand", "is there a nodule?", ABSENT, (), True, "not settled"),
    # broader names
    ("one", "any lung lesion?", PRESENT, (0,), False, TRUE),
    ("one", "mark any lung lesion", PRESENT, (0,), False, TRUE),
    ("three", "肺部病变在哪里？", PRESENT, (0, 1, 2), False, TRUE),
    ("three", "肺部病变在哪里？", PRESENT, (0, 1, 2), True, "complete"),
    ("broad", "lung opacity?", PRESENT, (0, 1), False, TRUE),
    ("broad", "consolidation?", PRESENT, (1,), True, TRUE),
    # sides are the patient's
    ("one", "is there a nodule on the left?", PRESENT, (0,), True, TRUE),
    ("one", "is there a nodule in the right lung?", PRESENT, (0,), True, "targets"),
    ("one", "is there a nodule in the right lung?", SIDE, (), True, TRUE),
    ("one", "左肺有结节吗？", PRESENT, (0,), True, TRUE),
    ("one", "右侧肺结节", PRESENT, (0,), True, "targets"),
    ("mirrored", "right nodule", PRESENT, (0,), True, TRUE),
    ("mirrored", "left nodule", PRESENT, (0,), True, "targets"),
    ("mirrored", "请检查左侧是否存在结节", SIDE, (), True, TRUE),
    ("unmarked", "left nodule", PRESENT, (0,), True, "not settled"),
    ("unmarked", "右肺有结节吗？", SIDE, (), True, "not settled"),
    ("midline", "right nodule", PRESENT, (0,), True, "not settled"),  # six tenths of it
    ("hand", "left fracture", PRESENT, (0, 1), True, "not settled"),
    ("three", "nodules on the right side", PRESENT, (1,), True, TRUE),
    ("three", "nodules on the right side", PRESENT, (0, 1), True, "targets"),
    ("one", "left nodule on the right", PRESENT, (0,), True, "not understood"),
    # zones
    ("zoned", "find the nodule in the left upper zone", PRESENT, (0,), True, TRUE),
    ("zoned", "find the nodule in the lower lung field", PRESENT, (1,), True, TRUE),
    ("zoned", "find the nodule in the middle zone", ZONE, (), True, TRUE),
    ("zoned", "左下肺野的结节在哪里？", PRESENT, (1,), True, "targets"),
    ("zoned", "右肺下野的结节在哪里？", PRESENT, (1,), True, TRUE),
    ("one", "nodule in the upper zone?", PRESENT, (0,), True, "not settled"),
    # sizes
    ("three", "tiny nodule", PRESENT, (1,), True, TRUE),
    ("three", "large nodule", SIZE, (), True, TRUE),
    ("three", "find the big mass", PRESENT, (2,), True, TRUE),
    ("three", "有小的肿块吗？", PRESENT, (2,), True, "targets"),
    # looks
    ("looks", "find the round nodule", PRESENT, (0,), True, TRUE),
    ("looks", "找出椭圆形的结节", PRESENT, (1,), True, TRUE),
    ("looks", "find the oval nodule", PRESENT, (0,), True, "targets"),
    ("looks", "find the dense nodule", PRESENT, (0,), True, "not settled"),  # the other's density is not said
    # order
    ("three", "the larger of the two nodules", ORDER, (0,), True, TRUE),
    ("three", "the larger of the two nodules", ORDER, (1,), True, "targets"),
    ("three", "the smaller of the three nodules", ORDER, (1,), True, "not settled"),
    ("three", "find the uppermost nodule", ORDER, (0,), True, TRUE),
    ("upside down", "find the uppermost nodule", ORDER, (1,), True, TRUE),
    ("upside down", "最上方的结节在哪里？", ORDER, (0,), True, "targets"),
    ("unmarked", "find the uppermost nodule", ORDER, (0,), True, "not settled"),
    ("three", "圈出两处结节中较小的那一处", ORDER, (1,), True, TRUE),
    ("nearly alike", "largest mass", ORDER, (1,), True, "not understood"),  # a command needs its article
    ("nearly alike", "the largest mass", ORDER, (1,), True, "not settled"),  # ratio 1.1
    ("nearly alike", "最大的肿块", ORDER, (1,), True, "not settled"),
    ("drawn twice", "the largest mass", ORDER, (1,), True, "not settled"),
    ("one", "the largest nodule", ORDER, (0,), True, "not settled"),
    # counts
    ("three", "how many nodules are there?", COUNT, (0, 1), True, TRUE),
    ("three", "mark both nodules", COUNT, (0, 1), True, TRUE),
    ("three", "find the three nodules", COUNT, (0, 1), True, "not settled"),
    ("three", "找出全部两处结节", COUNT, (0, 1), True, TRUE),
    ("three", "一共有几处结节？", COUNT, (0,), True, "targets"),
    ("partly read", "how many nodules are there?", COUNT, (0,), True, "not settled"),
    ("doubtful", "how many nodules are there?", COUNT, (0,), True, "not settled"),
    ("drawn twice", "how many masses are there?", COUNT, (0, 1), True, "not settled"),
    ("hand", "骨折有多少处？", COUNT, (0, 1), True, TRUE),
    # relations
    ("three", "the nodule above the mass", RELATION, (0,), True, "not settled"),  # the other is level with it
    ("three", "the nodules smaller than the mass", RELATION, (0, 1), True, TRUE),
    ("three", "the nodules larger than the mass", RELATION, (0, 1), True, "targets"),
    ("three", "比肿块小的结节", RELATION, (0, 1), True, TRUE),
    ("three", "找出面积大于肿块的结节", RELATION, (0, 1), True, "targets"),
    ("three", "the mass below the nodule", RELATION, (2,), True, "not settled"),  # which of the two
    ("three", "比肿块更靠患者右侧的结节", RELATION, (1,), True, "not settled"),  # the other overlaps it
    # exclusion
    ("three", "anything other than nodules?", NEGATED, (2,), False, TRUE),
    ("three", "anything other than nodules?", NEGATED, (2,), True, "complete"),
    ("three", "anything other than nodules?", NEGATED, (0, 1), False, "targets"),
    ("three", "除了肿块还有什么？", NEGATED, (0, 1), False, TRUE),
    ("three", "有没有结节以外的异常？", NEGATED, (0, 1, 2), False, "targets"),
    ("one", "what else is there apart from the nodule?", NEGATED, (), False, "not settled"),
    ("broad", "anything other than consolidation?", NEGATED, (0,), False, "not settled"),
    ("broad", "anything other than a lung opacity?", NEGATED, (), False, "not settled"),
    # words that are not known
    ("one", "is there a benign nodule?", PRESENT, (0,), True, "not understood"),
    ("one", "is there no nodule?", PRESENT, (0,), True, "not understood"),
    ("one", "没有结节", PRESENT, (0,), True, "not understood"),
    ("one", "左肺有良性结节吗？", PRESENT, (0,), True, "not understood"),
    ("one", "find the", PRESENT, (0,), True, "not understood"),
]


@pytest.mark.parametrize(("image", "question", "kind", "targets", "complete", "fault"), TABLE)
def test_verdicts_written_by_hand(records, verifier, image, question, kind, targets, complete, fault):
    pair = Pair(
        record_id="film",
        question=question,
        language="en" if question.isascii() else "zh",
        kind=kind,
        targets=targets,
        complete=complete,
    )
    faults = verifier.faults(pair, records[image])
    assert [one.kind for one in faults][:1] == ([fault] if fault else []), faults


def test_the_table_is_large_and_holds_both_verdicts_in_both_languages():
    assert len(set(TABLE)) == len(TABLE) >= 80
    verdicts = {(row[1].isascii(), row[5] is None) for row in TABLE}
    assert len(verdicts) == 4

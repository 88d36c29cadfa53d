from __future__ import annotations

import pytest

from medground.data.verify.grammar import Asked, Form, Grammar, Noun, Said
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Side, Zone
from medground.schema.result import StatementKind


@pytest.fixture(scope="module")
def grammars() -> dict[str, Grammar]:
    return {language: Grammar(load_vocabulary(), language) for language in ("en", "zh")}


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (
            "find the small round nodule in the left upper zone",
            Asked(Form.PLAIN, Noun("nodule", Side.LEFT, Zone.UPPER, "small", ("round",))),
        ),
        ("large left pleural effusion", Asked(Form.PLAIN, Noun("pleural_effusion", Side.LEFT, size="large"))),
        ("is there a large heart?", Asked(Form.PLAIN, Noun("cardiomegaly"))),
        ("左下肺野有小的圆形的结节吗？", Asked(Form.PLAIN, Noun("nodule", Side.LEFT, Zone.LOWER, "small", ("round",)))),
        ("图像中上肺野有没有结节？", Asked(Form.PLAIN, Noun("nodule", None, Zone.UPPER))),
        ("有钙化结节吗？", Asked(Form.PLAIN, Noun("calcification"))),
        ("有钙化的结节", Asked(Form.PLAIN, Noun("nodule", looks=("calcified",)))),
        ("mark both fractures", Asked(Form.COUNT, Noun("fracture"), number=2)),
        ("how many masses are there?", Asked(Form.COUNT, Noun("mass"))),
        ("标出这三处骨折", Asked(Form.COUNT, Noun("fracture"), number=3)),
        ("the lower of the two nodules", Asked(Form.ORDER, Noun("nodule"), "lowermost", number=2)),
        ("两处结节中靠上的那一处在哪里？", Asked(Form.ORDER, Noun("nodule"), "uppermost", number=2)),
        (
            "where is the nodule that lies below the mass?",
            Asked(Form.RELATION, Noun("nodule"), "below", Noun("mass")),
        ),
        ("找出位于肿块上方的结节", Asked(Form.RELATION, Noun("nodule"), "above", Noun("mass"))),
        ("比肿块更靠患者左侧的结节", Asked(Form.RELATION, Noun("nodule"), "left of", Noun("mass"))),
        ("show all findings except nodules", Asked(Form.OTHERS, Noun("nodule"))),
        ("除气胸外还有别的发现吗？", Asked(Form.OTHERS, Noun("pneumothorax"))),
    ],
)
def test_questions(grammars, text, asked):
    assert grammars["en" if text.isascii() else "zh"].question(text) == asked


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A nodule on both sides.", Said(StatementKind.FINDING, Noun("nodule", Side.BILATERAL))),
        ("There is no nodule.", Said(StatementKind.FINDING, Noun("nodule"), denied=True)),
        ("It is one of three masses.", Said(StatementKind.FINDING, Noun("mass"), number=3)),
        (
            "It lies in the upper part of the chest on the left.",
            Said(StatementKind.LOCATION, Noun("", Side.LEFT, Zone.UPPER)),
        ),
        ("It measures 3 x 14 mm.", Said(StatementKind.SIZE, size_mm=(3, 14))),
        ("It looks faint.", Said(StatementKind.APPEARANCE, Noun(looks=("faint",)))),
        ("右上胸部可见骨折。", Said(StatementKind.FINDING, Noun("fracture", Side.RIGHT, Zone.UPPER))),
        ("表现为条带状、密度不均。", Said(StatementKind.APPEARANCE, Noun(looks=("band-like", "heterogeneous")))),
    ],
)
def test_statements(grammars, text, said):
    assert grammars["en" if text[0].isascii() else "zh"].statement(text) == said


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("is there a shiny nodule?", "shiny"),
        ("nodule nodule", "no sentence"),
        ("left nodule on the right", "two places"),
        ("the nodule above", "no sentence"),
        ("不是结节", "不 是"),
    ],
)
def test_what_is_not_understood_is_said(grammars, text, hint):
    why = grammars["en" if text.isascii() else "zh"].question(text)
    assert isinstance(why, str)
    assert hint in why

"""Whole answers to questions that single out: what is shown is what was drawn, or told to the reader."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Request
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.result import Answer, Relation, Verdict
from tests.inference.drawn import drawn, write_dx, write_png
from tests.inference.truth_reader import TruthReader


class WordReader(TruthReader):
    """A reader that is also told what the boxes look like, in the order of the truth."""

    def __init__(
        self, truth: Sequence[tuple[str, Box]], scores: Mapping[str, float], words: Mapping[Box, tuple[str, ...]]
    ) -> None:
        super().__init__([truth], Domain.CHEST_RADIOGRAPH, scores)
        self._words = words

    def describe(self, regions: Sequence[tuple[object, str, Domain]]) -> list[tuple[str, ...]]:
        return [self._words.get(region, ()) for region, _, _ in regions]  # type: ignore[call-overload]  # the cases settle the types


BIG, MIDDLE, SMALL = (300, 100, 360, 160), (60, 200, 100, 240), (250, 400, 275, 425)


def tell(
    path: Path,
    query: str,
    *boxes: tuple[str, tuple[int, int, int, int]],
    scores: Mapping[str, float] | None = None,
    words: Mapping[tuple[int, int, int, int], tuple[str, ...]] | None = None,
) -> Answer:
    def as_box(corners: tuple[int, int, int, int]) -> Box:
        return Box(x1=corners[0], y1=corners[1], x2=corners[2], y2=corners[3])

    said = {as_box(corners): look for corners, look in (words or {}).items()}
    reader = WordReader([(name, as_box(corners)) for name, corners in boxes], scores or {}, said)
    return ground(gather([path]), Request((query,)), reader).result.studies[0].answers[0]


def shown(given: Answer) -> list[tuple[int, ...]]:
    return [tuple(round(edge) for edge in finding.box_xyxy_px) for finding in given.findings]


NODULES = tuple(("nodule", box) for box in (BIG, MIDDLE, SMALL))


@pytest.fixture(scope="module")
def film_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dx(tmp_path_factory.mktemp("whole") / "a.dcm", drawn())


@pytest.fixture(scope="module")
def picture_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_png(tmp_path_factory.mktemp("whole") / "a.png", drawn())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("the larger of the two nodules", [BIG]),
        ("the second largest nodule", [MIDDLE]),
        ("the two largest nodules", [BIG, MIDDLE]),
        ("最大的两个结节", [BIG, MIDDLE]),
        ("the nodule nearest the heart", [SMALL]),
        ("离心脏最近的结节", [SMALL]),
        ("the outermost nodule", [MIDDLE]),
        ("the upper one of the nodules", [BIG]),
        ("the lowest nodule", [SMALL]),
        ("the second nodule from the top", [MIDDLE]),
        ("从上往下第二个结节", [MIDDLE]),
        ("the leftmost nodule", [BIG]),
        ("最右侧的结节", [MIDDLE]),
        ("the smaller nodule in the left lung", [SMALL]),
        ("左上肺较大的那个结节", [BIG]),
    ],
)
def test_answers_to_orders(film_path: Path, query: str, expected: list[tuple[int, ...]]) -> None:
    given = tell(film_path, query, *NODULES)
    assert shown(given) == expected
    assert given.verdict == Verdict.FOUND


def test_an_order_counts_the_scores_in(film_path: Path) -> None:
    """A large mass of 0.4 against a nodule of 0.9: 0.4 to 0.54."""
    boxes = (("mass", BIG), ("nodule", MIDDLE))
    open_answer = tell(film_path, "the largest nodule or mass", *boxes, scores={"mass": 0.4, "nodule": 0.9})
    assert (open_answer.verdict, set(shown(open_answer))) == (Verdict.UNCERTAIN, {BIG, MIDDLE})
    assert "depends on which of them are real" in open_answer.warnings[0]
    settled = tell(film_path, "the largest nodule or mass", *boxes, scores={"mass": 0.25, "nodule": 0.9})
    assert (settled.verdict, shown(settled)) == (Verdict.FOUND, [MIDDLE])


@pytest.mark.parametrize(
    ("query", "seen", "verdict"),
    [
        ("the larger of the two nodules", 1, Verdict.UNCERTAIN),
        ("较大的结节", 1, Verdict.UNCERTAIN),
        ("the upper nodule of the three", 2, Verdict.UNCERTAIN),
        ("the upper nodule of the three", 3, Verdict.FOUND),
        ("the largest nodule", 1, Verdict.FOUND),
        ("the nodule nearest the heart", 1, Verdict.FOUND),
    ],
)
def test_a_comparison_takes_as_many_as_it_is_about(query: str, seen: int, verdict: Verdict, film_path: Path) -> None:
    apart = (("nodule", BIG), ("nodule", (60, 300, 100, 340)), ("nodule", SMALL))
    given = tell(film_path, query, *apart[:seen])
    assert given.verdict == verdict
    told = [warning for warning in given.warnings if "cannot be told: the question is about" in warning]
    assert len(told) == (verdict == Verdict.UNCERTAIN)


def test_what_is_less_probable_than_not_is_not_singled_out(film_path: Path) -> None:
    given = tell(film_path, "the second largest nodule", *NODULES[:2], scores={"nodule": 0.6})
    assert given.verdict == Verdict.UNCERTAIN
    sure = tell(film_path, "the second largest nodule", *NODULES[:2], scores={"nodule": 0.9})
    assert (sure.verdict, shown(sure)) == (Verdict.FOUND, [MIDDLE])


def test_a_tie_is_uncertain_and_shows_both(film_path: Path) -> None:
    alike = (60, 200, 119, 259)
    given = tell(film_path, "the larger of the two nodules", ("nodule", BIG), ("nodule", alike))
    assert (given.verdict, set(shown(given))) == (Verdict.UNCERTAIN, {BIG, alike})
    assert given.warnings[0] == "Two are of about the same size, so both are shown."
    assert given.understood.relation == Relation.LARGEST


def test_the_nodule_is_all_of_them(film_path: Path) -> None:
    for query in ("the nodule", "the two nodules", "mark both nodules", "这几处结节"):
        given = tell(film_path, query, *NODULES)
        assert (given.verdict, len(given.findings)) == (Verdict.FOUND, 3)


def test_one_lesion_under_two_names_is_no_rival_of_itself(film_path: Path) -> None:
    given = tell(
        film_path,
        "the largest abnormality",
        ("nodule", BIG),
        ("mass", BIG),
        ("nodule", SMALL),
        scores={"nodule": 0.9, "mass": 0.8},
    )
    assert (given.verdict, shown(given)) == (Verdict.FOUND, [BIG])
    assert [other.key for other in given.findings[0].also] == ["mass"]


def test_two_orders_at_once_are_not_answered_by_one_box(film_path: Path) -> None:
    for query in ("the largest and smallest nodule", "最大和最小的结节"):
        given = tell(film_path, query, *NODULES)
        assert (given.verdict, len(given.findings)) == (Verdict.UNCERTAIN, 3)
        assert given.warnings[0] == ("The question asks for the largest and the smallest at once, so all are shown.")
    sides = tell(film_path, "left lung nodule on the right", *NODULES)
    assert (sides.verdict, len(sides.findings), sides.understood.side) == (Verdict.FOUND, 3, None)


def test_a_second_where_there_is_one_is_not_found(film_path: Path) -> None:
    alone = tell(film_path, "the second largest nodule", ("nodule", BIG))
    assert (alone.verdict, alone.findings) == (Verdict.NOT_FOUND, ())
    assert "There is no second largest: only one was seen." in alone.warnings
    nothing = tell(film_path, "the second largest nodule")
    assert nothing.verdict == Verdict.NOT_FOUND
    assert not any("second largest" in warning for warning in nothing.warnings)


def test_a_second_is_there_as_surely_as_two_are(film_path: Path) -> None:
    boxes = (("mass", BIG), ("nodule", SMALL))
    given = tell(film_path, "the second largest mass or nodule", *boxes, scores={"mass": 0.9, "nodule": 0.4})
    assert given.presence == pytest.approx(0.36)
    assert (given.verdict, shown(given)) == (Verdict.UNCERTAIN, [SMALL])


def test_a_look_chooses_by_the_decoded_words(film_path: Path) -> None:
    words = {BIG: ("oval", "faint"), MIDDLE: ("round", "dense"), SMALL: ("round", "faint")}
    for query in ("the round nodule", "圆形的结节"):
        assert set(shown(tell(film_path, query, *NODULES, words=words))) == {MIDDLE, SMALL}
    larger = tell(film_path, "the larger round nodule", *NODULES, words=words)
    assert (larger.verdict, shown(larger)) == (Verdict.FOUND, [MIDDLE])
    assert larger.understood.attributes == ("round",)
    assert shown(tell(film_path, "the dense, round nodule", *NODULES, words=words)) == [MIDDLE]
    irregular = tell(film_path, "the irregular nodule", *NODULES, words=words)
    assert (irregular.verdict, len(irregular.findings)) == (Verdict.UNCERTAIN, 3)
    assert irregular.warnings[0] == "Not all of them look irregular."
    untold = tell(film_path, "the round nodule", *NODULES)
    assert (untold.verdict, len(untold.findings)) == (Verdict.FOUND, 3)
    assert "nothing was learnt of its shape" in untold.warnings[0]


def test_looks_of_nodules_on_slices_are_weighed_too(film_path: Path) -> None:
    words = {BIG: ("spiculated", "solid"), MIDDLE: ("smooth", "solid"), SMALL: ("smooth", "calcified")}
    given = tell(film_path, "the spiculated nodule", *NODULES, words=words)
    assert (given.verdict, shown(given), given.understood.attributes) == (Verdict.FOUND, [BIG], ("spiculated",))
    assert shown(tell(film_path, "毛刺状结节", *NODULES, words=words)) == [BIG]
    assert shown(tell(film_path, "a smooth, solid nodule", *NODULES, words=words)) == [MIDDLE]
    assert shown(tell(film_path, "calcified nodule", *NODULES, words=words)) == [SMALL]
    untold = tell(film_path, "spiculated nodule", *NODULES[:1])
    assert untold.verdict == Verdict.FOUND
    assert "nothing was learnt of its surface" in untold.warnings[0]


@pytest.mark.parametrize(
    ("query", "unchecked"),
    [
        ("find malignant lobulated nodules", ("malignant", "lobulated")),
        ("part-solid nodules", ("part solid",)),
        ("亚实性结节", ("亚实性",)),
        ("恶性结节", ("恶性",)),
        ("a small nodule", ("small",)),
        ("an obvious nodule", ()),
        ("the largest nodule", ()),
        ("suspicious nodules", ()),
        ("a 12.5 mm nodule", ("12.5 mm",)),
        ("nodules larger than 3cm and effusions", ("larger than 3cm",)),
        ("大于5mm的恶性结节", ("恶性",)),
        ("a nodule, possibly malignant", ("malignant",)),
        ("open the image and find nodules", ()),
        ("anterior posterior film: any nodule?", ()),
        ("complete search for nodules", ()),
        ("nodules other than a small mass", ()),
        ("any malignant lesion?", ("malignant",)),
    ],
)
def test_words_that_narrow_and_cannot_be_checked_are_told(
    query: str, unchecked: tuple[str, ...], film_path: Path
) -> None:
    given = tell(film_path, query, *NODULES[:1])
    assert given.understood.unchecked == unchecked
    told = [warning for warning in given.warnings if "was not checked for" in warning]
    assert len(told) == bool(unchecked)
    assert all(f'"{word}"' in told[0] for word in unchecked)
    assert given.verdict == Verdict.FOUND
    assert not any("not checked" in warning for warning in tell(film_path, query).warnings)


@pytest.mark.parametrize(
    ("query", "expected", "verdict"),
    [
        ("nodules larger than 15 mm", [MIDDLE, BIG], Verdict.FOUND),
        ("nodules larger than 2.5 cm", [BIG], Verdict.FOUND),
        ("nodules of 10 to 15 mm", [SMALL], Verdict.FOUND),
        ("the smallest nodule over 15 mm", [MIDDLE], Verdict.FOUND),
        ("nodules larger than 29 mm", [BIG], Verdict.UNCERTAIN),
        ("nodule larger than 5 cm", [], Verdict.NOT_FOUND),
        ("大于25毫米的结节", [BIG], Verdict.FOUND),
    ],
)
def test_sizes_asked_for(query: str, expected: list[tuple[int, ...]], verdict: Verdict, film_path: Path) -> None:
    given = tell(film_path, query, *NODULES)
    assert (shown(given), given.verdict) == (expected, verdict)
    assert any("patient appears magnified" in warning for warning in given.warnings) == bool(expected)
    assert any("does not settle it" in warning for warning in given.warnings) == (verdict == Verdict.UNCERTAIN)
    assert given.understood.unchecked == ()


def test_a_size_cannot_be_told_without_millimetres(picture_path: Path) -> None:
    given = tell(picture_path, "nodules larger than 15 mm", *NODULES)
    assert (given.verdict, len(given.findings)) == (Verdict.UNCERTAIN, 3)
    assert any("at least 15 mm cannot be told" in warning for warning in given.warnings)


def test_a_look_of_a_doubtful_box_is_as_doubtful(film_path: Path) -> None:
    boxes, words = (("mass", BIG), ("nodule", SMALL)), {BIG: ("oval",), SMALL: ("round",)}
    given = tell(film_path, "round nodule or mass", *boxes, scores={"mass": 0.9, "nodule": 0.4}, words=words)
    assert (given.verdict, given.presence, shown(given)) == (Verdict.UNCERTAIN, 0.4, [SMALL])


@pytest.mark.parametrize(
    ("query", "expected", "verdict"),
    [
        ("the largest nodule", [BIG], Verdict.FOUND),
        ("the nodule nearest the heart", [SMALL], Verdict.FOUND),
        ("the upper one of the nodules", [BIG, MIDDLE, SMALL], Verdict.UNCERTAIN),
        ("leftmost nodule", [BIG, MIDDLE, SMALL], Verdict.UNCERTAIN),
    ],
)
def test_answers_about_a_picture(
    picture_path: Path, query: str, expected: list[tuple[int, ...]], verdict: Verdict
) -> None:
    given = tell(picture_path, query, *NODULES)
    assert (given.verdict, set(shown(given))) == (verdict, set(expected))
    assert any("midline" in warning for warning in given.warnings) == ("heart" in query)


def test_fifty_lesions_are_answered(film_path: Path) -> None:
    grid = [("nodule", (x, y, x + 20, y + 20)) for x in range(5, 505, 50) for y in range(20, 470, 90)]
    assert len(grid) == 50
    for query in ("the largest nodule", "the ninth largest nodule", "the nine largest nodules", "the leftmost nodule"):
        start = time.process_time()
        given = tell(film_path, query, *grid)
        assert time.process_time() - start < 10
        assert given.verdict == Verdict.UNCERTAIN
        assert len(given.findings) == (5 if "leftmost" in query else 50)

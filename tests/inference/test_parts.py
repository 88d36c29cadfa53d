"""Answers to questions that place each finding, deny a place, or ask what no single image shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from medground.schema.anatomy import Side
from medground.schema.result import Verdict
from tests.inference.blob_reader import SCOPE
from tests.inference.drawn import drawn, write_dx, write_png
from tests.inference.test_ground import (
    FAINT_NODULE,
    LEFT_NODULE,
    RIGHT_EFFUSION,
    RIGHT_NODULE,
    answer,
    boxes,
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    return write_dx(folder / "a.dcm", drawn([LEFT_NODULE, RIGHT_NODULE, FAINT_NODULE, RIGHT_EFFUSION]))


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("picture")
    return write_png(folder / "a.png", drawn([LEFT_NODULE, RIGHT_EFFUSION]))


def test_each_finding_is_looked_for_in_its_own_place(film: Path) -> None:
    given = answer(film, "the left lung nodule and the right pleural effusion", min_score=0.5)
    assert (given.verdict, set(boxes(given))) == (Verdict.FOUND, {LEFT_NODULE, RIGHT_EFFUSION})
    assert given.presence == 0.9
    chinese = answer(film, "圈出右侧的结节以及右侧的积液")
    assert (chinese.understood.side, set(boxes(chinese))) == (Side.RIGHT, {RIGHT_NODULE, RIGHT_EFFUSION})
    twice = answer(film, "nodules in the left upper zone and the right middle zone")
    assert set(boxes(twice)) == {LEFT_NODULE, RIGHT_NODULE}
    largest = answer(film, "the largest nodule on the left and the largest nodule on the right", min_score=0.5)
    assert (largest.verdict, set(boxes(largest))) == (Verdict.FOUND, {LEFT_NODULE, RIGHT_NODULE})


def test_an_order_among_places(tmp_path: Path) -> None:
    wide = (380, 100, 430, 150)
    film = write_dx(tmp_path / "a.dcm", drawn([wide, RIGHT_NODULE]))
    for query in (
        "which is larger, the left nodule or the right nodule: the larger one",
        "the larger of the left lung nodule and the right lung nodule",
        "左侧的结节和右侧的结节其中较大的",
    ):
        given = answer(film, query)
        assert (given.verdict, boxes(given)) == (Verdict.FOUND, [wide]), query


def test_of_several_places_some_may_be_empty(film: Path) -> None:
    given = answer(film, "the right lung nodule and the left pleural effusion")
    assert (given.verdict, boxes(given)) == (Verdict.UNCERTAIN, [RIGHT_NODULE])
    assert given.presence == SCOPE.not_found_threshold
    assert "No pleural effusion was seen on the left side." in given.warnings
    either = answer(film, "a right lung nodule or a left pleural effusion?")
    assert (either.verdict, boxes(either), either.presence) == (Verdict.FOUND, [RIGHT_NODULE], 0.9)
    neither = answer(film, "a right upper zone nodule and a left pleural effusion?")
    assert (neither.verdict, neither.findings) == (Verdict.NOT_FOUND, ())
    missing = answer(film, "the right lung nodule and the left pulmonary embolism")
    assert (missing.verdict, boxes(missing)) == (Verdict.FOUND, [RIGHT_NODULE])
    assert not any("was seen on" in warning for warning in missing.warnings)
    assert any("not looked for" in warning for warning in missing.warnings)


def test_places_that_a_picture_cannot_tell(picture: Path) -> None:
    given = answer(picture, "the left lung nodule and the right pleural effusion")
    assert (given.verdict, set(boxes(given))) == (Verdict.UNCERTAIN, {LEFT_NODULE, RIGHT_EFFUSION})
    assert "cannot be told" in given.warnings[0]


def test_a_denied_place_is_not_asked_for(film: Path) -> None:
    assert boxes(answer(film, "the nodule on the right, not the one on the left")) == [RIGHT_NODULE]
    assert boxes(answer(film, "要右侧的结节，不是左侧的")) == [RIGHT_NODULE]


@pytest.mark.parametrize("query", ["the older nodule", "新发结节", "the largest nodule that takes up FDG"])
def test_what_no_single_image_tells_is_left_open(film: Path, query: str) -> None:
    given = answer(film, query)
    assert (given.verdict, given.presence) == (Verdict.UNCERTAIN, 0.9)
    assert set(boxes(given)) == {LEFT_NODULE, RIGHT_NODULE, FAINT_NODULE}
    assert "One image cannot tell what" in given.warnings[0]
    assert answer(film, "a new pneumothorax?").verdict == Verdict.NOT_FOUND  # what is not there is not new

"""Which boxes lie on which image, and what is written at them."""

from __future__ import annotations

import pytest

from medground.schema.result import SliceBox
from medground.viewer.colours import ADDED, PALETTE
from medground.viewer.overlay import (
    Axes,
    axes_mm,
    box_of,
    name_of,
    place_of,
    question_of,
    stage_boxes,
)
from tests.viewer.made import answer, finding, result, reviewed

NAMES = {"nodule": "nodule", "pleural_effusion": "pleural effusion"}


def test_axes_are_the_sides_in_millimetres() -> None:
    # 20 columns of 0.5 mm are 10 mm, 40 rows of 0.3 mm are 12 mm
    axes = axes_mm((10, 20, 30, 60), (0.3, 0.5))
    assert axes == Axes(pytest.approx(12.0), pytest.approx(10.0), "sides of the box")
    # and with rows closer together the width is the longer one
    assert axes_mm((10, 20, 30, 60), (0.2, 0.5)) == Axes(pytest.approx(10.0), pytest.approx(8.0), "sides of the box")


def test_without_spacing_there_are_no_millimetres() -> None:
    assert axes_mm((10, 20, 30, 60), None) is None


def test_the_reviewers_box_stands() -> None:
    one = finding(box=(1, 2, 3, 4))
    assert box_of(reviewed(one)) == (1, 2, 3, 4)
    assert box_of(reviewed(one, "edited", entry={"box_xyxy_px": [5, 6, 7, 8]})) == (5.0, 6.0, 7.0, 8.0)
    assert box_of(reviewed(one, "accepted", entry={"box_xyxy_px": None})) == (1, 2, 3, 4)
    assert box_of(reviewed(None, "added", entry={"box_xyxy_px": [5, 6, 7, 8]})) == (5.0, 6.0, 7.0, 8.0)
    assert box_of(reviewed(None, "added")) is None


def test_where_a_finding_is() -> None:
    assert place_of(reviewed(finding(sop="1.2.9"))) == ("1.2.9", 1)
    assert place_of(reviewed(finding(sop=None))) is None
    assert place_of(reviewed(None, "added", entry={"sop_instance_uid": "1.2.3", "frame": 7})) == ("1.2.3", 7)
    assert place_of(reviewed(None, "added", entry={"sop_instance_uid": "1.2.3", "frame": None})) == ("1.2.3", 1)
    assert place_of(reviewed(None, "added")) is None


def test_a_finding_is_called_as_the_reviewer_says() -> None:
    one = finding(concept="nodule")
    assert name_of(reviewed(one), NAMES) == "nodule"
    assert name_of(reviewed(one, "accepted", entry={"concept": None}), NAMES) == "nodule"
    assert name_of(reviewed(one, "edited", entry={"concept": "pleural_effusion"}), NAMES) == "pleural effusion"
    assert name_of(reviewed(one, "edited", entry={"concept": "rib_fracture"}), NAMES) == "rib fracture"
    assert name_of(reviewed(None, "added"), NAMES) == "finding"


def test_findings_belong_to_questions() -> None:
    first, second, third = (finding(key) for key in ("a", "b", "c"))
    assert question_of(result(answer("1", first), answer("2"), answer("3", second, third))) == {"a": 0, "b": 2, "c": 2}
    assert question_of(result()) == {}


def test_boxes_have_the_colour_and_label_of_their_question() -> None:
    a, b = finding("a", score=0.8), finding("b", "pleural_effusion", score=0.456)
    added = reviewed(
        None,
        "added",
        entry={"concept": "nodule", "box_xyxy_px": [1, 2, 3, 4], "sop_instance_uid": "1.2.1", "frame": 1},
    )
    both = result(answer("1", a), answer("2", b))
    first, second, third = stage_boxes(both, [reviewed(a), reviewed(b, "accepted", entry={}), added], NAMES)
    assert (first.id, first.colour, first.label, first.status) == ("a", PALETTE[0], "1: nodule 0.80", "unreviewed")
    assert (first.sop, first.frame, first.box_xyxy_px, first.score) == ("1.2.1", 1, (10, 20, 30, 60), 0.8)
    assert (second.colour, second.label, second.status) == (PALETTE[1], "2: pleural effusion 0.46", "accepted")
    assert (third.id, third.colour, third.label, third.score) == ("added-1", ADDED, "nodule", None)
    assert [one.is_main for one in (first, second, third)] == [True, True, True]


def test_a_single_question_has_no_number() -> None:
    one = finding()
    assert stage_boxes(result(answer("1", one)), [reviewed(one)], NAMES)[0].label == "nodule 0.80"


def test_colours_come_again_after_eight() -> None:
    findings = [finding(f"f{n}") for n in range(10)]
    boxes = stage_boxes(
        result(*(answer(str(n), one) for n, one in enumerate(findings))), list(map(reviewed, findings)), {}
    )
    assert len({box.colour for box in boxes}) == len(PALETTE) == 8
    assert (boxes[8].colour, boxes[8].label) == (boxes[0].colour, "9: nodule 0.80")


def test_a_finding_through_a_volume_has_a_box_on_every_slice() -> None:
    slices = tuple(SliceBox(sop_instance_uid=f"1.2.{n}", frame=1, box_xyxy_px=(n, n, n + 9, n + 9)) for n in range(3))
    one = finding(sop="1.2.1", box=(1, 1, 10, 10), slices=slices)
    boxes = stage_boxes(result(answer("1", one)), [reviewed(one)], NAMES)
    assert [(box.sop, box.is_main, box.box_xyxy_px) for box in boxes] == [
        ("1.2.0", False, (0, 0, 9, 9)),
        ("1.2.1", True, (1, 1, 10, 10)),
        ("1.2.2", False, (2, 2, 11, 11)),
    ]
    edited = reviewed(one, "edited", entry={"box_xyxy_px": [3, 4, 5, 6]})
    boxes = stage_boxes(result(answer("1", one)), [edited], NAMES)
    assert [box.box_xyxy_px for box in boxes] == [(0, 0, 9, 9), (3, 4, 5, 6), (2, 2, 11, 11)]


def test_what_has_no_place_has_no_box() -> None:
    plain, added = finding("a", sop=None), reviewed(None, "added", entry={"concept": "nodule"})
    assert stage_boxes(result(answer("1", plain)), [reviewed(plain), added], NAMES) == ()
    assert stage_boxes(result(), [], NAMES) == ()


def test_low_scores_are_left_out_as_long_as_nobody_has_reviewed_them() -> None:
    low, high = finding("low", score=0.3), finding("high", score=0.5)
    both = result(answer("1", low, high))

    def shown(min_score: float, status: str = "unreviewed") -> list[str]:
        boxes = stage_boxes(both, [reviewed(low, status), reviewed(high)], NAMES, min_score=min_score)
        return [box.id for box in boxes]

    assert shown(0.3) == ["low", "high"]
    assert shown(0.31) == ["high"]
    assert shown(0.31, "rejected") == ["low", "high"]
    assert shown(0.51) == []

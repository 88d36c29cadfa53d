"""What a stage sends is heard if it is an event, and what it is told is all it knows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from medground.viewer.stage import events_of
from medground.viewer.stage_data import Series, StageData

STUDY, JOB = "0123456789abcdef01234567", "0123456789abcdef0123456789abcdef01234567"
ACCEPT: dict[str, Any] = {"tab": "0a", "kind": "accept", "number": 7, "study": f"{STUDY}.{JOB}", "finding": "added-1"}
EDIT: dict[str, Any] = {**ACCEPT, "kind": "edit", "box_xyxy_px": [1, 2, 3, 4], "sop": "1.2", "frame": 1}


@pytest.mark.parametrize(
    "sent",
    [
        ACCEPT,
        EDIT,
        {**ACCEPT, "kind": "select"},
        {**ACCEPT, "kind": "reject", "reason": "other"},
        {**ACCEPT, "kind": "relabel", "concept": "nodule"},
        {**EDIT, "kind": "add", "concept": "nodule"},
        {**ACCEPT, "kind": "undo"},
        {**ACCEPT, "study": f"{STUDY}."},
        {**ACCEPT, "more": 1},
    ],
)
def test_every_kind_of_event_is_heard(sent: dict[str, Any]) -> None:
    (heard,) = events_of({"events": [sent]})
    told = heard.model_dump(mode="json")
    assert told == {name: value for name, value in sent.items() if name in told}
    assert told["kind"] == sent["kind"]


@pytest.mark.parametrize(
    "sent",
    [
        {"kind": "accept"},
        {**ACCEPT, "kind": "sign"},
        {**ACCEPT, "finding": "../x"},
        {**ACCEPT, "number": 0},
        {**ACCEPT, "number": 2**53 + 1},
        {**ACCEPT, "number": "many"},
        {**ACCEPT, "study": "x" * 129},
        {**ACCEPT, "kind": "reject"},
        {**EDIT, "box_xyxy_px": [1, 2, 3]},
        {**EDIT, "frame": 0},
        "accept",
        None,
    ],
)
def test_what_is_no_event_is_left_aside(sent: object) -> None:
    assert events_of({"events": [sent]}) == []
    assert [one.number for one in events_of({"events": [sent, ACCEPT]})] == [7]


@pytest.mark.parametrize("state", [None, {}, {"events": None}, {"events": "accept"}, []])
def test_a_state_without_events(state: object) -> None:
    assert events_of(state) == []


def test_events_are_heard_oldest_first_and_not_any_number_of_them() -> None:
    assert [one.number for one in events_of({"events": [{**ACCEPT, "number": n} for n in (9, 7, 8)]})] == [7, 8, 9]
    assert len(events_of({"events": [ACCEPT] * 1001})) == 1000


def test_a_stage_is_told_nothing_that_it_does_not_know() -> None:
    data = StageData(study="s", series=Series(key="k", label="l", slices=()))
    assert (data.may_review, data.boxes, data.acknowledged, data.selected, data.prior) == (False, (), {}, None, None)
    with pytest.raises(ValidationError):
        StageData.model_validate({**data.model_dump(), "token": "mg_x"})

"""Entries are added and never changed, and what stands follows from them in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medground.schema.errors import UsageError
from medground.schema.result import GroundingResult
from medground.serving.database import jobs
from medground.serving.jobs import JobNotFoundError, nothing
from medground.serving.reviews import (
    FindingStatus,
    Reason,
    ReviewAction,
    ReviewedFinding,
    ReviewEntry,
    ReviewRow,
    StaleReviewError,
    check_seen,
    standing,
)
from tests.dicom.sr_results import BOXES, MODEL, SETTINGS, finding, image, study
from tests.serving.access.clock import START_US
from tests.serving.parts import Parts

ANN, BOB = ("token:1", "Ann Example"), ("oidc:2", "Bob Example")
FILM = image()
RESULT = GroundingResult(
    result_id="r",
    model=MODEL,
    settings=SETTINGS,
    studies=(study(FILM, [finding(FILM, number, box) for number, box in enumerate(BOXES)]),),
)
BOX = (1.0, 2.0, 3.0, 4.0)


def entry(action: str, finding_id: str | None = "f0", **content: Any) -> ReviewEntry:
    usual: dict[str, dict[str, Any]] = {
        "reject": {"reason": "artefact"},
        "add": {"box_xyxy_px": BOX, "concept": "mass", "sop_instance_uid": "1.2.3.1"},
    }
    return ReviewEntry(action=action, finding_id=finding_id, **{**usual.get(action, {}), **content})


def rows_of(*entries: ReviewEntry) -> list[ReviewRow]:
    return [ReviewRow("j", number, one, *ANN, START_US) for number, one in enumerate(entries, start=1)]


def stands(*entries: ReviewEntry) -> dict[str, ReviewedFinding]:
    return {one.finding_id: one for one in standing(RESULT, rows_of(*entries))}


def statuses(*entries: ReviewEntry) -> dict[str, str]:
    return {key: one.status.value for key, one in stands(*entries).items()}


def test_nobody_has_said_anything() -> None:
    found = standing(RESULT, [])
    assert [one.finding_id for one in found] == ["f0", "f1", "f2"]
    assert {(one.status, one.entry, one.revision) for one in found} == {(FindingStatus.UNREVIEWED, None, 0)}
    assert [one.finding for one in found] == list(RESULT.studies[0].answers[0].findings)


def test_the_last_word_counts() -> None:
    said = (entry("accept"), entry("reject", "f1"), entry("reject"), entry("accept", "f1"), entry("edit", "f2"))
    assert statuses(*said) == {"f0": "rejected", "f1": "accepted", "f2": "edited"}
    assert stands(*said)["f0"].revision == 3


def test_an_undo_takes_back_one_entry_and_what_was_before_stands() -> None:
    said = [entry("accept"), entry("reject"), entry("undo", None, undoes=2)]
    assert statuses(*said)["f0"] == "accepted"
    assert statuses(*said, entry("undo", None, undoes=1))["f0"] == "unreviewed"
    assert statuses(*said, entry("reject"))["f0"] == "rejected"


def test_an_added_finding_comes_last_and_can_be_reviewed_itself() -> None:
    added = entry("add", "added-1")
    assert list(statuses(added)) == ["f0", "f1", "f2", "added-1"]
    assert statuses(added)["added-1"] == "added"
    accepted = stands(added, entry("accept", "added-1", text="yes"))["added-1"]
    assert (accepted.status, accepted.finding) == (FindingStatus.ACCEPTED, None)
    assert accepted.entry == added.model_copy(update={"action": ReviewAction.ACCEPT, "text": "yes"})
    edited = stands(added, entry("edit", "added-1", concept="nodule"))["added-1"].entry
    assert edited == added.model_copy(update={"action": ReviewAction.EDIT, "concept": "nodule"})
    assert statuses(added, entry("reject", "added-1"))["added-1"] == "rejected"
    assert "added-1" not in statuses(added, entry("edit", "added-1"), entry("undo", None, undoes=1))


def test_an_edit_goes_on_from_an_earlier_edit_and_not_across_another_word() -> None:
    box, name = entry("edit", box_xyxy_px=BOX, text="smaller"), entry("edit", concept="mass")
    both = stands(box, name)["f0"].entry
    assert both is not None
    assert (both.box_xyxy_px, both.concept, both.text) == (BOX, "mass", "")
    for between in (entry("accept"), entry("reject")):
        last = stands(box, between, name)["f0"].entry
        assert last is not None
        assert (last.box_xyxy_px, last.concept) == (None, "mass")
    undone = stands(box, name, entry("undo", None, undoes=1))["f0"].entry
    assert undone == name


def test_what_is_about_nothing_changes_nothing() -> None:
    assert statuses(entry("accept", "gone"), entry("sign", None)) == statuses()


def slow_standing(entries: list[ReviewEntry]) -> dict[str, tuple[str, Any, Any, Any, int]]:
    """Status, box, concept, statements and revision of each finding, looked up backwards for each by itself."""
    undone = [one.undoes for one in entries if one.action == "undo"]
    counting = [(n, one) for n, one in enumerate(entries, start=1) if n not in undone]
    words = {"accept": "accepted", "edit": "edited", "reject": "rejected", "add": "added"}
    found: dict[str, tuple[str, Any, Any, Any, int]] = {}
    ids = ["f0", "f1", "f2"]
    ids += [one.finding_id for _, one in counting if one.action == "add" and one.finding_id not in ids]  # type: ignore[misc]
    for key in dict.fromkeys(ids):
        mine = [(n, one) for n, one in counting if one.finding_id == key and one.action in words]
        adds = [place for place, (_, one) in enumerate(mine) if one.action == "add"]
        if key.startswith("added"):
            mine = mine[adds[0] :]
        if not mine:
            found[key] = ("unreviewed", None, None, None, 0)
            continue
        number, last = mine[-1]
        values = []
        for name in ("box_xyxy_px", "concept", "statements"):
            value = getattr(last, name)
            if last.action == "edit":
                for _, one in reversed(mine):
                    if one.action != "edit" or value is not None:
                        break
                    value = getattr(one, name)
            made = [one for _, one in mine if one.action == "add"]
            if made and last.action != "add" and (value is None or last.action != "edit"):
                value = getattr(made[-1], name)
            values.append(value)
        found[key] = (words[last.action], *values, number)  # type: ignore[assignment]
    return found


IDS = st.sampled_from(["f0", "f1", "added-1", "added-2", "gone"])
CONTENT = {
    "box_xyxy_px": st.none() | st.sampled_from([BOX, (5.0, 5.0, 9.0, 9.0)]),
    "concept": st.none() | st.sampled_from(["mass", "nodule"]),
    "statements": st.none() | st.sampled_from([(), ("Round.",)]),
}
EDITS = st.builds(lambda key, content: entry("edit", key, **content), IDS, st.fixed_dictionaries(CONTENT))
OTHERS = st.builds(
    lambda action, key, content: entry(action, key, **content),
    st.sampled_from(["accept", "reject"]),
    IDS,
    st.fixed_dictionaries(CONTENT),  # which says nothing there, and must not come back in a later edit
)
UNDOS = st.builds(lambda number: entry("undo", None, undoes=number), st.integers(1, 12))
SIGNS = st.just(entry("sign", None))


def _adds() -> st.SearchStrategy[ReviewEntry]:
    return st.builds(
        lambda key, box, concept: entry("add", key, box_xyxy_px=box, concept=concept),
        st.sampled_from(["added-1", "added-2"]),
        st.sampled_from([BOX, (7.0, 7.0, 8.0, 8.0)]),
        st.sampled_from(["mass", "fracture"]),
    )


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.one_of(EDITS, OTHERS, _adds(), UNDOS, SIGNS), max_size=14))
def test_what_stands_is_what_a_slower_formula_says(entries: list[ReviewEntry]) -> None:
    found = {
        one.finding_id: (
            one.status.value,
            one.entry and one.entry.box_xyxy_px,
            one.entry and one.entry.concept,
            one.entry and one.entry.statements,
            one.revision,
        )
        for one in standing(RESULT, rows_of(*entries))
    }
    assert found == slow_standing(entries)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({"action": "accept"}, "takes a finding_id"),
        ({"action": "edit"}, "takes a finding_id"),
        ({"action": "reject", "finding_id": "f"}, "takes a reason"),
        ({"action": "add", "concept": "mass", "sop_instance_uid": "1.2"}, "takes a box_xyxy_px"),
        ({"action": "add", "box_xyxy_px": BOX, "sop_instance_uid": "1.2"}, "takes a box_xyxy_px"),
        ({"action": "add", "box_xyxy_px": BOX, "concept": "mass"}, "takes a box_xyxy_px"),
        ({"action": "undo"}, "takes the revision"),
        ({"action": "edit", "finding_id": "f", "box_xyxy_px": (3, 2, 1, 4)}, "a box is"),
        ({"action": "edit", "finding_id": "f", "box_xyxy_px": (1, 2, 1, 4)}, "a box is"),
        ({"action": "edit", "finding_id": "f", "box_xyxy_px": (-1, 2, 3, 4)}, "a box is"),
        ({"action": "edit", "finding_id": "f", "box_xyxy_px": (1, 2, 3, float("nan"))}, "a box is"),
        ({"action": "edit", "finding_id": "f", "box_xyxy_px": (1, 2, 3, 1e7)}, "a box is"),
        ({"action": "accept", "finding_id": "../x"}, "pattern"),
        ({"action": "accept", "finding_id": "f", "text": "x" * 2001}, "2000"),
        ({"action": "accept", "finding_id": "f", "text": "a\0b"}, "pattern"),
        ({"action": "edit", "finding_id": "f", "statements": ["x"] * 51}, "50"),
        ({"action": "accept", "finding_id": "f", "frame": 0}, "greater"),
        ({"action": "destroy"}, "'accept'"),
        ({"action": "accept", "finding_id": "f", "colour": "red"}, "Extra inputs"),
    ],
)
def test_what_no_entry_is(said: dict[str, Any], refused: str) -> None:
    with pytest.raises(ValidationError, match=refused):
        ReviewEntry.model_validate(said)


def test_lines_and_all_languages_can_be_written() -> None:
    assert entry("accept", text="eins\r\n\t二").text == "eins\r\n\t二"


@pytest.fixture
def parts(parts: Parts) -> Parts:
    """With the job whose result is reviewed."""
    parts.ask(parts.accept(parts.film(1)))
    parts.within(lambda connection: connection.execute(jobs.update().values(job_id="j" * 40)))
    return parts


def add(
    parts: Parts, one: ReviewEntry, seen: int, tenant: str = "clinic", reviewer: tuple[str, str] = ANN
) -> ReviewRow:
    return parts.reviews.add("j" * 40, tenant, one, seen=seen, reviewer=reviewer, then=nothing)


def test_entries_are_numbered_and_say_who_and_when(parts: Parts) -> None:
    first = add(parts, entry("accept"), 0)
    parts.clock.forward(60)
    second = add(parts, entry("reject"), 1, reviewer=BOB)
    assert (first.revision, second.revision) == (1, 2)
    assert parts.reviews.of_result("j" * 40, "clinic") == [first, second]
    assert (second.reviewer, second.reviewer_name, second.at_us) == (*BOB, START_US + 60_000_000)
    assert second.entry.reason is Reason.ARTEFACT
    assert parts.reviews.of_result("j" * 40, "other") == []
    assert parts.reviews.of_tenant("clinic", since_us=second.at_us) == [second]
    assert parts.reviews.of_tenant("clinic", at_most=1) == [first]
    assert parts.reviews.of_tenant("other") == []


def test_nobody_overwrites_what_he_has_not_read(parts: Parts) -> None:
    add(parts, entry("accept"), 0)
    for seen in (0, 2):
        with pytest.raises(StaleReviewError, match=f"at revision 1, not {seen}"):
            add(parts, entry("reject"), seen)
    rows = parts.reviews.of_result("j" * 40, "clinic")
    check_seen(rows, 1)
    check_seen([], 0)
    for there, seen in ((rows, 0), (rows, 2), ([], 1)):
        with pytest.raises(StaleReviewError):
            check_seen(there, seen)
    assert len(rows) == 1


def test_an_entry_with_a_key_is_added_once_however_often_it_is_sent(parts: Parts) -> None:
    said: list[object] = []
    one = entry("accept").model_copy(update={"key": "1796069362418"})

    def send(seen: int, reviewer: tuple[str, str] = ANN) -> ReviewRow:
        return parts.reviews.add("j" * 40, "clinic", one, seen=seen, reviewer=reviewer, then=said.append)

    first = send(0)
    add(parts, entry("reject"), 1, reviewer=BOB)
    assert send(0) == first  # the answer was lost: who sends it again has not seen what came after it
    assert send(2, BOB).revision == 3  # a key is its author's
    assert [row.revision for row in parts.reviews.of_result("j" * 40, "clinic")] == [1, 2, 3]
    assert len(said) == 2  # nothing is recorded of what was there


def test_of_many_at_once_one_is_first(parts: Parts) -> None:
    def attempt(_: int) -> bool:
        try:
            add(parts, entry("accept"), 0)
        except StaleReviewError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [False] * 7 + [True]
    assert len(parts.reviews.of_result("j" * 40, "clinic")) == 1


def test_what_can_be_undone(parts: Parts) -> None:
    for number, said in enumerate((entry("accept"), entry("undo", None, undoes=1), entry("sign", None))):
        add(parts, said, number)
    for undoes in (2, 3, 4, 99):
        with pytest.raises(UsageError, match=f"revision {undoes} is nothing that can be undone"):
            add(parts, entry("undo", None, undoes=undoes), 3)
    add(parts, entry("edit"), 3)
    assert add(parts, entry("undo", None, undoes=4), 4).revision == 5


def test_nothing_is_said_of_what_is_gone_or_anothers(parts: Parts) -> None:
    """It would outlive the deletion, and stand again when the same is asked once more."""
    with pytest.raises(JobNotFoundError):
        add(parts, entry("accept"), 0, tenant="other")
    parts.within(lambda connection: connection.execute(jobs.delete()))
    for said in (entry("accept"), entry("sign", None)):
        with pytest.raises(JobNotFoundError):
            add(parts, said, 0)
    assert parts.reviews.of_tenant("clinic") == []


def test_an_entry_that_cannot_be_recorded_is_not_there(parts: Parts) -> None:
    def broken(connection: object) -> None:
        raise OSError("the audit log is away")

    with pytest.raises(OSError, match="audit log"):
        parts.reviews.add("j" * 40, "clinic", entry("accept"), seen=0, reviewer=ANN, then=broken)
    assert parts.reviews.of_result("j" * 40, "clinic") == []

"""Events as entries of the review: pure, and in a service's review."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from medground.client.client import Client
from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.serving.access.scope import Scope
from medground.serving.reviews import Reason, ReviewEntry
from medground.viewer.memory import memory_of
from medground.viewer.reviewing import REASONS, STALE, add_entry, do_events, entry_of, last_entry
from medground.viewer.stage_data import Event
from tests.serving.running import EFFUSION, NODULE, Running
from tests.viewer.conftest import Ask
from tests.viewer.made import entry, review
from tests.viewer.people import People

SOP, BOX = "1.2.3", [10.0, 20.0, 30.0, 40.0]
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def event(kind: str, number: int = 1, study: str = "s", **more: Any) -> Event:
    return _EVENT.validate_python({"kind": kind, "number": number, "study": study, **more})


EVENTS = {
    "accept": event("accept", finding="f1"),
    "reject": event("reject", finding="f1", reason="artefact"),
    "edit": event("edit", finding="f1", box_xyxy_px=BOX, sop=SOP, frame=2),
    "relabel": event("relabel", finding="f1", concept="mass"),
    "add": event("add", concept="nodule", box_xyxy_px=BOX, sop=SOP, frame=2),
    "undo": event("undo"),
}


def test_an_event_makes_an_entry() -> None:
    state = review(entries=(entry(1, "accept"), entry(2, "reject")))
    made = {kind: entry_of(one, state) for kind, one in EVENTS.items()}
    assert made == {
        "accept": {"action": "accept", "finding_id": "f1", "reason": "confirmed"},
        "reject": {"action": "reject", "finding_id": "f1", "reason": "artefact"},
        "edit": {"action": "edit", "finding_id": "f1", "reason": "wrong_place", "box_xyxy_px": BOX},
        "relabel": {"action": "edit", "finding_id": "f1", "reason": "wrong_finding", "concept": "mass"},
        "add": {
            "action": "add",
            "reason": "missed",
            "concept": "nodule",
            "box_xyxy_px": BOX,
            "sop_instance_uid": SOP,
            "frame": 2,
        },
        "undo": {"action": "undo", "undoes": 2},
    }
    assert entry_of(event("select", finding="f1"), state) is None


@pytest.mark.parametrize("kind", list(EVENTS))
def test_every_entry_is_one_of_the_services_schema(kind: str) -> None:
    made = entry_of(EVENTS[kind], review(entries=(entry(1, "accept"),)))
    assert made is not None
    kept = ReviewEntry.model_validate(made).model_dump(mode="json", exclude_unset=True)
    assert kept == made


def test_every_reason_that_is_offered_is_one_of_the_service() -> None:
    assert {one.key for one in REASONS} <= {str(one) for one in Reason}
    assert len(REASONS) <= 9  # one for each digit
    assert len({one.name for one in REASONS}) == len(REASONS)


@pytest.mark.parametrize(
    ("entries", "last"),
    [
        ((), None),
        ((entry(1, "accept"),), 1),
        ((entry(1, "accept"), entry(2, "reject")), 2),
        ((entry(1, "accept"), entry(2, "reject"), entry(3, "undo", undoes=2)), 1),
        ((entry(1, "accept"), entry(2, "undo", undoes=1)), None),
        ((entry(1, "accept"), entry(2, "undo", undoes=1), entry(3, "add")), 3),
        ((entry(1, "accept"), entry(2, "sign")), None),
        ((entry(1, "accept"), entry(2, "sign"), entry(3, "edit")), 3),
        ((entry(1, "accept"), entry(2, "sign"), entry(3, "edit"), entry(4, "undo", undoes=3)), None),
    ],
)
def test_the_last_entry_that_can_be_taken_back(entries: tuple[dict[str, Any], ...], last: int | None) -> None:
    if last is None:
        with pytest.raises(LookupError, match=r"There is nothing to take back\."):
            last_entry(entries)
    else:
        assert last_entry(entries) == last


def test_events_are_done_in_order(client: Client, ask: Ask) -> None:
    asked = ask(NODULE, EFFUSION, questions=("is there a nodule?", "左侧有胸腔积液吗"))
    before = client.review(asked.job)
    first, second = before.findings
    assert first.finding is not None
    sop = first.finding.sop_instance_uid
    events = [
        event("accept", 10, finding=first.finding_id),
        event("edit", 11, finding=second.finding_id, box_xyxy_px=[1, 2, 30, 40], sop=sop, frame=1),
        event("relabel", 12, finding=second.finding_id, concept="nodule"),
        event("add", 13, concept="pneumothorax", box_xyxy_px=[5, 6, 70, 80], sop=sop, frame=1),
        event("reject", 14, finding=first.finding_id, reason="duplicate"),
        event("undo", 15),
    ]
    after, done, refused, waits = do_events(client, asked.job, before, 0, events)
    assert (done, refused, waits) == (6, [], None)
    assert after == client.review(asked.job)
    assert [one["entry"]["action"] for one in after.entries] == ["accept", "edit", "edit", "add", "reject", "undo"]
    nodule, effusion, added = after.findings
    assert nodule.status == "accepted"
    assert effusion.entry is not None
    assert (effusion.status, effusion.entry["box_xyxy_px"], effusion.entry["concept"]) == (
        "edited",
        [1, 2, 30, 40],
        "nodule",
    )
    assert added.entry is not None
    assert added.finding_id.startswith("added-")
    assert (added.status, added.entry["concept"], added.entry["box_xyxy_px"]) == (
        "added",
        "pneumothorax",
        [5, 6, 70, 80],
    )
    assert (added.entry["sop_instance_uid"], added.entry["frame"]) == (sop, 1)


def test_an_event_that_cannot_be_done_keeps_no_other_from_being_done(client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    state = client.review(asked.job)
    (one,) = state.findings
    events = [
        event("undo", 20),
        event("accept", 21, finding="nobody"),
        event("edit", 22, finding=one.finding_id, box_xyxy_px=[1, 2, 3, 400], sop=SOP, frame=1),
        event("add", 23, concept="nodule", box_xyxy_px=[1, 2, 3, 4], sop="9.9", frame=1),
        event("accept", 24, finding=one.finding_id),
    ]
    after, done, refused, waits = do_events(client, asked.job, state, 0, events)
    assert (after.revision, after.findings[0].status, done, waits) == (1, "accepted", 5, None)
    assert [one.number for one in refused] == [20, 21, 22, 23]
    for one, words in zip(
        refused,
        (
            "There is nothing to take back.",
            "entry.finding_id is no finding of this result or its review",
            "entry.box_xyxy_px leaves its image, which has 256 x 256 pixels",
            "entry.sop_instance_uid is no image of this result",
        ),
        strict=True,
    ):
        assert words in one.words


def test_what_rests_on_an_older_state_is_refused(client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    (one,) = client.review(asked.job).findings
    later = client.add_review(asked.job, 0, {"action": "accept", "finding_id": one.finding_id})
    events = [event("reject", number, finding=one.finding_id, reason="other") for number in (30, 31)]
    after, done, refused, waits = do_events(client, asked.job, later, 0, events)
    assert (after, done, waits) == (later, 2, None)
    assert [(one.number, one.words) for one in refused] == [(30, STALE), (31, STALE)]
    assert client.review(asked.job).revision == 1


def test_somebody_who_is_faster_while_events_are_done(client: Client, ask: Ask) -> None:
    """The state was read at revision 0; another entry comes before the event's own."""
    asked = ask(NODULE)
    state = client.review(asked.job)
    (one,) = state.findings
    client.add_review(asked.job, 0, {"action": "accept", "finding_id": one.finding_id})
    _, done, refused, waits = do_events(
        client, asked.job, state, 0, [event("reject", 40, finding=one.finding_id, reason="other")]
    )
    assert (done, waits) == (1, None)
    assert [(one.number, one.words) for one in refused] == [(40, STALE)]
    assert client.review(asked.job).findings[0].status == "accepted"


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_what_can_still_be_done_later_waits(client: Client, ask: Ask, status: int) -> None:
    asked = ask(NODULE)
    state = client.review(asked.job)
    (one,) = state.findings
    faulty = Faulty(client, ServiceError(status, "x", "not now"), after=1)
    events = [
        event("accept", 50, finding=one.finding_id),
        event("reject", 51, finding=one.finding_id, reason="other"),
        event("undo", 52),
    ]
    after, done, refused, waits = do_events(faulty, asked.job, state, 0, events)
    assert (after.revision, done, refused, str(waits)) == (1, 1, [], "not now")
    after, done, refused, waits = do_events(client, asked.job, after, after.revision, events[1:])
    assert (after.revision, done, refused, waits) == (3, 2, [], None)
    assert after.findings[0].status == "accepted"


def test_a_service_that_goes_away_between_two_events(client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    state = client.review(asked.job)
    (one,) = state.findings
    faulty = Faulty(client, ServiceUnreachableError("gone"), after=1)
    events = [event("accept", n, finding=one.finding_id) for n in (60, 61)]
    after, done, refused, waits = do_events(faulty, asked.job, state, 0, events)
    assert (after.revision, done, refused, str(waits)) == (1, 1, [], "gone")


class Faulty(Client):
    """A real client until so many entries were added; then each raises the same error."""

    def __init__(self, client: Client, error: Exception, *, after: int) -> None:
        self._client, self._error, self._left = client, error, after

    def add_review(self, *args: Any, **more: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return self._client.add_review(*args, **more)


def test_an_entry_from_the_page(people: People, ask: Ask) -> None:
    asked, session = ask(NODULE), people.session()
    memory = memory_of(session)
    memory.told = "something went wrong before"
    (one,) = session.client.review(asked.job).findings
    said = {"action": "accept", "finding_id": one.finding_id, "reason": "confirmed"}
    add_entry(session, memory, asked.job, 0, said)
    assert (memory.told, memory.seen) == ("", {asked.job: 1})
    assert session.client.review(asked.job).findings[0].status == "accepted"
    add_entry(session, memory, asked.job, 0, said)
    assert (memory.told, memory.seen) == (STALE, {asked.job: 1})
    assert session.client.review(asked.job).revision == 1


def test_an_entry_that_is_not_kept(people: People, ask: Ask, house: Running) -> None:
    asked, session = ask(NODULE), people.session()
    memory = memory_of(session)
    (one,) = session.client.review(asked.job).findings
    said = {"action": "accept", "finding_id": one.finding_id}
    add_entry(people.away(session), memory, asked.job, 0, said)
    assert memory.told.startswith("That was not kept. The service does not answer.")
    add_entry(people.session(Scope.READ), memory, asked.job, 0, said)
    assert memory.told.startswith("That was not kept. You may not do this: ")
    add_entry(session, memory, asked.job, 0, {**said, "finding_id": "nobody"})
    assert memory.told == "That was not kept. entry.finding_id is no finding of this result or its review"
    assert session.client.review(asked.job).revision == 0

"""What a person does with findings, from the stage or from the page, as entries of the review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medground.client.client import Client
from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.client.parts import ReviewState
from medground.schema.errors import MedgroundError
from medground.viewer.memory import Memory
from medground.viewer.sessions import Session
from medground.viewer.stage_data import Accept, Add, Choice, Edit, Event, Refused, Reject, Relabel, Select, Undo
from medground.viewer.words import fault_words

REASONS = (
    Choice(key="not_a_lesion", name="not a lesion"),
    Choice(key="artefact", name="artefact"),
    Choice(key="normal_variant", name="normal variant"),
    Choice(key="wrong_finding", name="another finding"),
    Choice(key="wrong_place", name="wrong place"),
    Choice(key="wrong_size", name="wrong size"),
    Choice(key="wrong_description", name="wrong description"),
    Choice(key="duplicate", name="duplicate"),
    Choice(key="other", name="other"),
)
STALE = (
    "Somebody else has reviewed this result meanwhile. What they did is shown now; do yours again if it still holds."
)
GONE = "The service does not answer; nothing is lost. This is tried again by itself."
_LATER = (401, 429, 500, 502, 503, 504)  # it can still be done, by the same entry
_NO_WAY_BACK = "There is nothing to take back."


def entry_of(event: Event, state: ReviewState) -> Mapping[str, Any] | None:
    """The entry of the review that an event makes; None where it makes none.

    Args:
        event: of the stage.
        state: of the review.

    Raises:
        LookupError: an undo, and nothing is left to take back.
    """
    match event:
        case Accept():
            return {"action": "accept", "finding_id": event.finding, "reason": "confirmed"}
        case Reject():
            return {"action": "reject", "finding_id": event.finding, "reason": event.reason}
        case Edit():
            return {
                "action": "edit",
                "finding_id": event.finding,
                "reason": "wrong_place",
                "box_xyxy_px": list(event.box_xyxy_px),
            }
        case Relabel():
            return {"action": "edit", "finding_id": event.finding, "reason": "wrong_finding", "concept": event.concept}
        case Add():
            return {
                "action": "add",
                "reason": "missed",
                "concept": event.concept,
                "box_xyxy_px": list(event.box_xyxy_px),
                "sop_instance_uid": event.sop,
                "frame": event.frame,
            }
        case Undo():
            return {"action": "undo", "undoes": last_entry(state.entries)}
        case Select():
            return None


def last_entry(entries: Sequence[Mapping[str, Any]]) -> int:
    """Revision of the last entry that can be taken back.

    Args:
        entries: of a review, oldest first.

    Raises:
        LookupError: there is none.
    """
    undone = {one["entry"]["undoes"] for one in entries if one["entry"]["action"] == "undo"}
    for one in reversed(entries):
        if one["entry"]["action"] == "sign":
            break  # what was signed is changed by a new entry, never by taking one back
        if one["entry"]["action"] != "undo" and one["revision"] not in undone:
            return int(one["revision"])
    raise LookupError(_NO_WAY_BACK)


def _key(event: Event) -> str:
    """By which the service knows an entry that it is sent again."""
    return f"{event.tab}-{event.number}" if event.tab else str(event.number)


def do_events(
    client: Client, job: str, state: ReviewState, seen: int, events: Sequence[Event]
) -> tuple[ReviewState, int, list[Refused], MedgroundError | None]:
    """Put events into the review, in order.

    Args:
        client: of the person.
        job: whose result.
        state: of the review now.
        seen: revision that the person saw. If there are later ones all events are refused: they rest on an older state.
        events: not yet dealt with, oldest first.

    Returns:
        The new state; how many of the events were dealt with, from the first on; those that were refused; and the error
        that kept the rest waiting, None if nothing waits.
    """
    done, refused = 0, list[Refused]()
    kept = {one["entry"].get("key"): one["revision"] for one in state.entries}
    ours = {kept[key] for key in map(_key, events) if key in kept}  # an answer was lost, not what it answered
    if any(one["revision"] > seen and one["revision"] not in ours for one in state.entries):
        stale = [_refused(event, STALE) for event in events if _key(event) not in kept]
        return state, len(events), stale, None
    for event in events:
        try:
            entry = entry_of(event, state)
            if entry is not None and _key(event) not in kept:
                state = client.add_review(job, state.revision, {**entry, "key": _key(event)})
        except LookupError as error:
            refused.append(_refused(event, str(error)))
        except ServiceUnreachableError as error:
            return state, done, refused, error
        except ServiceError as error:
            if error.status in _LATER:
                return state, done, refused, error
            is_stale = error.kind == "stale-review"
            refused.append(_refused(event, STALE if is_stale else str(error)))
        done += 1
    return state, done, refused, None


def _refused(event: Event, words: str) -> Refused:
    return Refused(tab=event.tab, number=event.number, words=words)


def add_entry(session: Session, memory: Memory, job: str, seen: int, entry: Mapping[str, object]) -> None:
    """Add an entry from the page; what goes wrong is told on the page that follows.

    Args:
        session: of the person.
        memory: of the person.
        job: whose result.
        seen: revision that the person saw.
        entry: what is said.
    """
    try:
        with memory.turn:
            memory.saw(job, session.client.add_review(job, seen, entry).revision)
        memory.told = ""
    except ServiceError as error:
        memory.told = STALE if error.kind == "stale-review" else f"That was not kept. {fault_words(error)}"
    except MedgroundError as error:
        memory.told = f"That was not kept. {fault_words(error)}"

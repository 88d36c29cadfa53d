"""Hearing: what a person did on the stage is done once, however often the browser says it."""

from __future__ import annotations

from collections.abc import Sequence

from medground.schema.errors import MedgroundError
from medground.viewer.memory import Memory
from medground.viewer.reviewing import GONE, do_events
from medground.viewer.sessions import Session
from medground.viewer.stage_data import Event, Select
from medground.viewer.words import fault_words


def hear(session: Session, memory: Memory, place: str, job: str, events: Sequence[Event]) -> None:
    """Do what the stage says was done.

    The browser sends every event until it is told that it was dealt with; those up to `memory.dealt_with` are left
    aside. What cannot be done for now is neither dealt with nor lost: the browser sends it again.

    Args:
        session: of the person.
        memory: of the person.
        place: `StageData.study` of the stage that is shown; events of another one wait until that is shown again.
        job: whose result is shown; empty if there is none.
        events: oldest first.
    """
    with memory.turn:
        _hear(session, memory, place, job, events)


def _hear(session: Session, memory: Memory, place: str, job: str, events: Sequence[Event]) -> None:
    memory.waiting = ""
    last = memory.dealt_with.get(job, 0)
    new = [event for event in events if event.study == place and event.number > last]
    if not new or not job:
        return
    chosen = [event for event in new if isinstance(event, Select)]
    if chosen:
        memory.selected[job] = chosen[-1].finding
    said = [event for event in new if not isinstance(event, Select)]
    if said:
        try:
            state = session.client.review(job)
            seen = memory.seen.get(job, state.revision)
            after, done, refused, waits = do_events(session.client, job, state, seen, said)
        except MedgroundError as error:
            memory.waiting = f"{GONE} {fault_words(error)}"
            return
        memory.saw(job, after.revision)
        memory.refused[job] = refused
        if waits is not None:
            memory.dealt_with[job] = max(last, done)
            memory.waiting = f"{GONE} {fault_words(waits)}"
            return
    memory.dealt_with[job] = new[-1].number

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

    The browser sends every event until it is told that it was dealt with; those up to `memory.dealt_with`, which has a
    count for each tab, are left aside. What cannot be done for now is neither dealt with nor lost: the browser sends it
    again.

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
    last = dict(memory.dealt_with.get(job, {}))
    new = [event for event in events if event.study == place and event.number > last.get(event.tab, 0)]
    if not new or not job:
        return
    chosen = [event for event in new if isinstance(event, Select)]
    if chosen:
        memory.selected[job] = chosen[-1].finding
    said = [event for event in new if not isinstance(event, Select)]
    dealt_with: Sequence[Event] = new
    if said:
        try:
            state = session.client.review(job)
            seen = memory.seen.get(job, state.revision)
            after, done, refused, waits = do_events(session.client, job, state, seen, said)
        except MedgroundError as error:
            memory.waiting = f"{GONE} {fault_words(error)}"
            return
        memory.saw(job, after.revision)
        tabs = {event.tab for event in said}
        memory.refused[job] = [*(one for one in memory.refused.get(job, ()) if one.tab not in tabs), *refused]
        if waits is not None:
            dealt_with = said[:done]
            memory.waiting = f"{GONE} {fault_words(waits)}"
    for event in dealt_with:
        last[event.tab] = max(event.number, last.get(event.tab, 0))
    memory.dealt_with[job] = last

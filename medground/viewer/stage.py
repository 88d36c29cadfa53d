"""The stage as Streamlit sees it: a component in the browser that shows images and boxes and hears keys and mouse."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from streamlit.components.v2 import component

from medground.viewer.stage_data import EVENTS, Event, StageData

_STATIC = Path(__file__).with_name("static")
NAME = "medground_stage"


@cache
def _component() -> Callable[..., Any]:
    return component(
        NAME,
        js=(_STATIC / "viewer.js").read_text(encoding="utf-8"),
        css=(_STATIC / "viewer.css").read_text(encoding="utf-8"),
        html='<div class="stage-root"></div>',
    )


def show_stage(data: StageData, *, key: str, on_events: Callable[[], None]) -> None:
    """Put the stage on the page.

    Args:
        data: what it shows.
        key: of this stage; its state stands under it in `st.session_state`.
        on_events: called before the page is made anew, once there are events.
    """
    _component()(
        key=key,
        data=data.model_dump(mode="json"),
        default={"events": []},
        on_events_change=on_events,
        height="content",
    )


def events_of(state: Any) -> list[Event]:
    """The events in the state of a stage, oldest first; what is none is left aside.

    Args:
        state: as it stands in `st.session_state`.
    """
    sent = state.get("events") if hasattr(state, "get") else None
    if not isinstance(sent, list):
        return []
    events: list[Event] = []
    for one in sent[:1000]:
        try:
            events += EVENTS.validate_python([one])
        except ValidationError:
            continue
    return sorted(events, key=lambda event: event.number)

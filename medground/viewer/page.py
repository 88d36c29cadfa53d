"""The page: Streamlit runs this script anew at each step of each person."""

from __future__ import annotations

import streamlit as st

from medground.schema.errors import MedgroundError
from medground.viewer.banner import show_banner
from medground.viewer.memory import Memory, memory_of
from medground.viewer.opening import show_opening
from medground.viewer.renewal import SignInEndedError
from medground.viewer.running import running
from medground.viewer.sessions import Session
from medground.viewer.sign_in import OUT, PAGE
from medground.viewer.study_room import show_study
from medground.viewer.words import fault_words
from medground.viewer.worklist import show_worklist

_STYLE = (  # an image wants the room that Streamlit leaves free; a slider's value in the theme's blue is too dark
    "<style>[data-testid=stMainBlockContainer]{padding:2.2rem 1.2rem 1rem}"
    "[data-testid=stSidebarHeader]{padding:.5rem 1rem 0;height:2.5rem}"
    "[data-testid=stSidebarUserContent]{padding:0 1rem 1rem}"
    "[data-testid=stSlider] p{color:#f2f4f8}</style>"
)


def show_page() -> None:
    """Everything, for who is signed in."""
    st.set_page_config(page_title="medground", layout="wide", initial_sidebar_state="expanded")
    st.html(_STYLE)
    session = running().session_of()
    if session is None:
        st.error(f"Your session has ended. [Sign in again]({PAGE})")
        st.stop()
    memory = memory_of(session)
    try:
        show_banner(session)
        if memory.study is None:
            show_worklist(session, memory)
            show_opening(session, memory)
        else:
            show_study(session, memory, memory.study, running().config.pixels_mib)
    except SignInEndedError as error:
        running().sessions.drop(session)
        st.error(f"{error} [Sign in again]({PAGE})")
        st.stop()
    except MedgroundError as error:
        _show_fault(error, memory)
    _show_who(session)


def _show_fault(error: MedgroundError, memory: Memory) -> None:
    def leave() -> None:
        memory.study = None

    st.error(fault_words(error))
    st.button("Try again", key="try-again")  # pressing it runs the page anew
    if memory.study is not None:
        st.button("← Work list", key="leave", on_click=leave)  # a study that was deleted stays away however often


def _show_who(session: Session) -> None:
    with st.sidebar:
        st.divider()
        st.caption(f"Signed in as {session.me.name} ({', '.join(session.me.scopes)})")
        st.html(
            f'<form method="post" action="{OUT}"><button style="font:inherit;padding:.4em 1em">Sign out</button></form>'
        )


show_page()

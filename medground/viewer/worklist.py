"""The work list: studies with their status, to be found and opened."""

from __future__ import annotations

import streamlit as st

from medground.client.parts import Study
from medground.viewer.memory import Memory
from medground.viewer.sessions import Session

_PAGE = 25
_ALL = "all"
STATUSES = ("new", "working", "answered", "in_review", "signed", "receiving")


def show_worklist(session: Session, memory: Memory) -> None:
    """The list with its search.

    Raises:
        MedgroundError: the service does not give it.
    """
    st.header("Work list")
    search_column, status_column, again_column = st.columns([3, 2, 1], vertical_alignment="bottom")
    words = search_column.text_input(
        "Search", key="worklist-search", placeholder="Name, patient ID or accession number"
    )
    status = status_column.selectbox(
        "Status", (_ALL, *STATUSES), key="worklist-status", format_func=lambda s: s.replace("_", " ")
    )
    again_column.button("Refresh", key="worklist-refresh", width="stretch")
    place = (words, status)
    if st.session_state.get("worklist-of") != place:
        st.session_state["worklist-of"], st.session_state["worklist-pages"] = place, [None]
    pages: list[str | None] = st.session_state["worklist-pages"]
    page = session.client.studies(search=words.strip(), after=pages[-1], limit=_PAGE)
    shown = [study for study in page.studies if status in (_ALL, study.status)]
    if not shown:
        st.info(_nothing(words, status, is_first=len(pages) == 1))
    for study in shown:
        _show_row(study, memory)
    _show_pages(pages, page.next)


def _nothing(words: str, status: str, *, is_first: bool) -> str:
    if words or status != _ALL:
        return "No study here fits. Change the search or the status, or look on the next page."
    if is_first:
        return "There is no study yet. Open files or fetch a study from an archive below."
    return "There are no more studies."


def _show_row(study: Study, memory: Memory) -> None:
    with st.container(border=True):
        name, about, status, button = st.columns([3, 4, 1.3, 1.2], vertical_alignment="center")
        name.markdown(
            f"**{_plain(study.patient_name.replace('^', ' ').strip() or 'no name')}**  \n{_plain(study.patient_id)}"
        )
        about.markdown(_plain(words_of(study)))
        status.markdown(_plain(study.status.replace("_", " ")))
        if button.button(
            "Open study",
            key=f"open-{study.study}",
            width="stretch",
            help=f"Open the study of {_plain(study.patient_name)}",
        ):
            memory.study = study.study
            st.rerun()


def words_of(study: Study) -> str:
    """A study in one line, for example `CT, 2026-11-30, Chest, 120 images`."""
    date = date_words(study.study_date) if study.study_date else ""
    count = f"{study.images} image{'' if study.images == 1 else 's'}"
    return ", ".join(part for part in ("/".join(study.modalities), date, study.description, count) if part)


def date_words(date: str) -> str:
    """A date of DICOM (PS3.5 6.2, DA) for people: `2026-11-30`."""
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else date or "unknown date"


def _show_pages(pages: list[str | None], following: str | None) -> None:
    if following is None and len(pages) == 1:
        return
    back, where, onward = st.columns([1, 4, 1], vertical_alignment="center")
    if back.button("Newer", key="worklist-newer", disabled=len(pages) == 1, width="stretch"):
        pages.pop()
        st.rerun()
    where.caption(f"Page {len(pages)}")
    if onward.button("Older", key="worklist-older", disabled=following is None, width="stretch"):
        pages.append(following)
        st.rerun()


def _plain(words: str) -> str:
    """Words of a header as they are: nothing in them is Markdown."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()<>#+-.!|~$:&" else c for c in words)

"""Opening studies that are not in the work list: files, a folder or a ZIP, or what an archive has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import IO, cast

import streamlit as st

from medground.client.errors import ServiceError
from medground.client.parts import FoundStudy, Stored
from medground.schema.errors import MedgroundError, UsageError
from medground.viewer.memory import Memory
from medground.viewer.sessions import Session
from medground.viewer.uploads import LIMIT_WORDS, let_go
from medground.viewer.words import fault_words

_SOURCES_LIFE_S = 60.0
_TURN = "open-turn"


def show_opening(session: Session, memory: Memory) -> None:
    """The ways to bring a study here.

    Raises:
        MedgroundError: the service does not say which archives there are.
    """
    if "ground" not in session.me.scopes:
        return
    with st.expander("Open files", expanded=False):
        _show_files(session, memory)
    sources = session.kept("sources", _SOURCES_LIFE_S, session.client.sources)
    if sources:
        with st.expander("Fetch from an archive", expanded=False):
            _show_archive(session, memory, sources)


def _show_files(session: Session, memory: Memory) -> None:
    as_folder, turn = st.toggle("Choose a whole folder", key="open-folder"), st.session_state.setdefault(_TURN, 0)
    chosen = st.file_uploader(
        "DICOM files of one study, or a ZIP of them",
        accept_multiple_files="directory" if as_folder else True,
        key=f"open-files-{as_folder}-{turn}",
        help="The files are sent to the service and stored there. They may have any name.",
    )
    st.caption(LIMIT_WORDS)
    if chosen and st.button(
        f"Send {len(chosen)} file{'' if len(chosen) == 1 else 's'}", key="open-send", type="primary"
    ):
        with st.spinner("Sending"):
            try:
                stored = session.client.store_files(cast(Sequence[IO[bytes]], chosen))
            except MedgroundError as error:
                st.error(unsent_words(error))
                return
        let_go(chosen)
        st.session_state[_TURN] = turn + 1  # another key is another uploader, without files
        _open(stored, memory)


def _open(stored: Stored, memory: Memory) -> None:
    if stored.refused:
        st.warning(refused_words(stored.refused))
    if len(stored.studies) == 1:
        memory.study = stored.studies[0]
        if not stored.refused:
            st.rerun()
        st.button("Open what was stored", key="open-stored")
    elif stored.studies:
        st.success(
            f"{stored.accepted} images of {len(stored.studies)} studies are here now. Open one in the work list."
        )


def unsent_words(error: MedgroundError) -> str:
    """What became of files whose sending broke off, and why: they go in several requests, and some may be stored.

    Args:
        error: that ended it.
    """
    is_nothing = isinstance(error, UsageError) or (isinstance(error, ServiceError) and error.kind == "unreadable-input")
    stored = "Nothing was stored." if is_nothing else "Not everything was stored; sending it again is safe."
    return f"{stored} {fault_words(error)}"


def refused_words(refused: Mapping[str, int]) -> str:
    """What was not taken, and why, in words.

    Args:
        refused: how many files, by the kind of error.
    """
    reasons = {
        "NotAnImageError": "hold no image",
        "UnreadableFileError": "are no DICOM, or are cut short",
        "DecodeError": "have pixels that cannot be decoded",
        "LimitError": "are larger than is allowed",
        "WorkerError": "could not be read safely",
    }
    parts = [f"{count} {reasons.get(kind, 'cannot be read')}" for kind, count in sorted(refused.items())]
    return f"Not every file was taken: {'; '.join(parts)}. Check that the study was exported whole."


def _show_archive(session: Session, memory: Memory, sources: tuple[str, ...]) -> None:
    with st.form("archive"):
        source = st.selectbox("Archive", sources)
        left, right = st.columns(2)
        patient_id = left.text_input("Patient ID")
        accession = right.text_input("Accession number")
        first = left.date_input("Study date from", value=None, format="YYYY-MM-DD")
        last = left.date_input("to", value=None, format="YYYY-MM-DD")
        modality = right.text_input("Modality", placeholder="CT, DX, CR, ...")
        is_asked = st.form_submit_button("Search")
    if is_asked:
        try:
            st.session_state["archive-found"] = (
                source,
                session.client.search_archive(
                    source,
                    patient_id=patient_id.strip() or None,
                    accession_number=accession.strip() or None,
                    study_date=date_range(first, last),
                    modality=modality.strip().upper() or None,
                ),
            )
        except MedgroundError as error:
            st.session_state.pop("archive-found", None)
            st.error(fault_words(error))
    source, found = st.session_state.get("archive-found", ("", ()))
    if is_asked and not found and source:
        st.info("The archive has no study like that. Leave fields empty to find more.")
    for one in found:
        _show_found(session, memory, source, one)


def date_range(first: date | None, last: date | None) -> str | None:
    """Days as DICOM matches them (PS3.4 C.2.2.2.5), both ends included; None for any."""
    ends = ["" if day is None else f"{day:%Y%m%d}" for day in (first, last)]
    return "-".join(ends) if any(ends) else None


def _show_found(session: Session, memory: Memory, source: str, found: FoundStudy) -> None:
    with st.container(border=True):
        words, button = st.columns([6, 1], vertical_alignment="center")
        words.text(
            ", ".join(
                part
                for part in (
                    found.patient_name.replace("^", " "),
                    found.patient_id,
                    "/".join(found.modalities),
                    found.study_date,
                    found.description,
                    "" if found.instances is None else f"{found.instances} objects",
                )
                if part
            )
        )
        if button.button("Fetch", key=f"fetch-{found.study_instance_uid}", width="stretch"):
            with st.spinner("Fetching"):
                try:
                    stored = session.client.pull(source, found.study_instance_uid)
                except MedgroundError as error:
                    st.error(fault_words(error))
                    return
            _open(stored, memory)

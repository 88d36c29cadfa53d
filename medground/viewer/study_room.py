"""The room of one study: its images, what is asked of them, and what is found and reviewed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from medground.client.parts import Result, Study
from medground.schema.result import GroundingResult
from medground.viewer.asking import show_asking
from medground.viewer.banner import model_of
from medground.viewer.findings_panel import Reviewing, show_answers
from medground.viewer.images_panel import show_images
from medground.viewer.memory import Memory
from medground.viewer.sessions import Session
from medground.viewer.shown import Shown
from medground.viewer.signing_panel import show_signing

_LIFE_S = 300.0
_STAYS = (  # the images stay in sight while the statements beside them are read
    "<style>[data-testid=stColumn]:has(> div .st-key-stage-column){position:sticky;top:0;align-self:flex-start}</style>"
)


def show_study(session: Session, memory: Memory, study_key: str, pixels_mib: int) -> None:
    """The room.

    Args:
        session: of the person.
        memory: of the person.
        study_key: of the study.
        pixels_mib: that the browser may keep.

    Raises:
        MedgroundError: the service does not give the study.
    """
    study, model = session.client.study(study_key), model_of(session)
    listed = session.kept(f"series-{study_key}-{study.images}", _LIFE_S, lambda: session.client.series(study_key))
    _show_head(study, memory)
    if not any(one.instances for one in listed):
        st.error("This study has no image that can be shown. Go back to the work list and send its images.")
        return
    with st.sidebar:
        show_asking(session, memory, study, model)
        shown = _choose_answer(session, memory, study_key, session.client.results(study_key))
    stage_column, panel_column = st.columns([2.5, 1], gap="small")
    st.html(_STAYS)
    with stage_column, st.container(key="stage-column"):
        show_images(session, memory, study, listed, shown, model, pixels_mib)
    with panel_column:
        if shown.job is None or shown.result is None or shown.review is None:
            st.info("Nothing was asked of this study yet. Write a question on the left.")
            return
        reviewing = Reviewing(session, memory, model, study, shown.job, shown.result, shown.review, tuple(listed))
        show_answers(reviewing)
        show_signing(reviewing)
        memory.saw(shown.job, shown.review.revision)  # at the end: a page that was broken off showed nothing


def _show_head(study: Study, memory: Memory) -> None:
    back, words = st.columns([1, 6], vertical_alignment="center")
    if back.button("← Work list", key="back", width="stretch"):
        memory.study = None
        st.rerun()
    name = study.patient_name.replace("^", " ").strip() or "no name"
    parts = (name, study.patient_id, study.study_date, study.description, study.status.replace("_", " "))
    words.text("   ·   ".join(part for part in parts if part))


def first_finding(result: GroundingResult) -> str | None:
    """The most probable finding of the first question that has one, to be shown first."""
    answers = [answer for study in result.studies for answer in study.answers if answer.findings]
    return max(answers[0].findings, key=lambda finding: finding.score).id if answers else None


def _choose_answer(session: Session, memory: Memory, study: str, results: Sequence[Result]) -> Shown:
    """The result that a person chose, else the newest."""
    if not results:
        return Shown()
    by_job = {one.job: one for one in results}
    current = memory.jobs.get(study)
    current = current if current in by_job else results[0].job
    chosen = st.selectbox(
        "Answers",
        list(by_job),
        index=list(by_job).index(current),
        format_func=lambda job: f"{'; '.join(by_job[job].queries)[:60]} ({by_job[job].created:%m-%d %H:%M})",
        key=f"answers-{study}-{current}-{len(by_job)}",
    )
    memory.jobs[study] = chosen
    result = session.kept(f"result-{chosen}", _LIFE_S, lambda: session.client.result(chosen))
    first = first_finding(result)
    if first is not None:
        memory.selected.setdefault(chosen, first)
    return Shown(chosen, result, session.client.review(chosen))

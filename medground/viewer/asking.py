"""Asking: questions in words, one a line, and the wait for their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from medground.client.errors import ServiceError
from medground.client.parts import Model, Study
from medground.schema.errors import MedgroundError
from medground.viewer.memory import Memory
from medground.viewer.renewal import SignInEndedError
from medground.viewer.sessions import Session
from medground.viewer.words import fault_words

MOST_QUESTIONS = 8  # as many as there are colours
_SUGGESTED = 6
_POLL_S = 0.5
_KINDS = {
    "CT": ("chest CT",),
    "DX": ("chest radiograph", "limb radiograph"),
    "CR": ("chest radiograph", "limb radiograph"),
}


def show_asking(session: Session, memory: Memory, study: Study, model: Model) -> None:
    """The form, with suggested and recent questions, and how far the answer is.

    Args:
        session: of the person.
        memory: of the person.
        study: that is asked about.
        model: that answers.
    """
    if "ground" not in session.me.scopes:
        st.caption("You may look at answers but not ask: your credentials lack the scope ground.")
        return
    key = f"question-{study.study}"
    with st.form(f"ask-{study.study}", border=False):
        st.text_area(
            "Questions, one a line, in English or Chinese",
            key=key,
            height=96,
            placeholder="is there a nodule?\n左肺有结节吗",
        )
        is_asked = st.form_submit_button("Ask", type="primary", width="stretch")
    _show_choices("Recent", memory.recent, key)
    _show_choices("Suggested", suggested(model, study.modalities), key)
    if is_asked:
        _ask(session, memory, study.study, lines_of(st.session_state.get(key, "")))
    if study.study in memory.asked:
        _show_waiting(session, memory, study.study)
    elif study.study in memory.unanswered:
        st.error(f"There is no answer: {memory.unanswered[study.study]}")


def lines_of(words: str) -> list[str]:
    """The questions of a text, each once, without empty lines."""
    return list(dict.fromkeys(line.strip() for line in words.splitlines() if line.strip()))


def suggested(model: Model, modalities: Sequence[str]) -> list[str]:
    """Questions that the model can answer about such images, those it saw most of first, some in Chinese.

    Args:
        model: its scope and names.
        modalities: of the study.
    """
    kinds = {kind for modality in modalities for kind in _KINDS.get(modality, ())}
    seen: dict[str, int] = {}
    for one in model.scope.trained:
        if not kinds or one.domain in kinds:
            seen[one.concept] = seen.get(one.concept, 0) + one.boxes
    best = sorted(seen, key=lambda concept: -seen[concept])[:_SUGGESTED]
    names: Mapping[str, dict[str, tuple[str, ...]]] = {one.key: one.names for one in model.concepts}
    questions = []
    for number, concept in enumerate(best):
        chinese = names[concept].get("zh", ())
        is_chinese = number % 3 == 2 and chinese
        questions.append(f"有{chinese[0]}吗" if is_chinese else f"find {names[concept]['en'][0]}")
    return questions


def _show_choices(title: str, questions: Sequence[str], key: str) -> None:
    if not questions:
        return

    def add(question: str) -> None:
        lines = lines_of(st.session_state.get(key, ""))
        st.session_state[key] = "\n".join([*(line for line in lines if line != question), question])

    with st.expander(title, expanded=title == "Suggested"):
        for number, question in enumerate(questions):
            st.button(question, key=f"{title}-{number}-{key}", on_click=add, args=(question,), width="stretch")


def _ask(session: Session, memory: Memory, study: str, questions: Sequence[str]) -> None:
    if not questions:
        st.warning("Write a question first, for example: is there a nodule?")
        return
    if len(questions) > MOST_QUESTIONS:
        st.warning(f"Ask at most {MOST_QUESTIONS} questions at once: each has a colour of its own.")
        return
    try:
        job = session.client.submit(study, questions)
    except MedgroundError as error:
        st.error(f"The question was not taken. {fault_words(error)}")
        return
    for question in reversed(questions):
        memory.remember_question(question)
    memory.asked[study] = job.id
    memory.unanswered.pop(study, None)


@st.fragment(run_every=_POLL_S)
def _show_waiting(session: Session, memory: Memory, study: str) -> None:
    job_id = memory.asked.get(study)
    if job_id is None:
        return
    try:
        job = session.client.job(job_id)
        if job.state in ("queued", "running"):
            done = job.images_done / job.images if job.images else 0.0
            st.progress(done, f"Looking: {job.images_done} of {job.images} images" if job.images else "Waiting")
            if not st.button("Stop", key=f"stop-{job_id}"):
                return
            job = session.client.cancel(job_id)
    except SignInEndedError:
        st.rerun()  # the whole page says it
    except MedgroundError as error:
        if not isinstance(error, ServiceError) or error.status != 404:
            st.warning(f"{fault_words(error)} The question goes on being answered.")
            return
        memory.unanswered[study] = fault_words(error)
    else:
        if job.state == "done":
            memory.jobs[study] = job_id
        else:
            memory.unanswered[study] = job.problem.detail if job.problem else "it was stopped."
    memory.asked.pop(study, None)
    st.rerun()  # the whole page: a fragment that runs again would wipe out what it said

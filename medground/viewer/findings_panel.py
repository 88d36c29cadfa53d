"""The answers: what was found or not, finding by finding and statement by statement, and what a person says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from medground.client.parts import Model, ReviewedFinding, ReviewState, Series, Study
from medground.schema.result import Answer, GroundingResult, Origin
from medground.viewer.banner import synthetic_only
from medground.viewer.colours import colour_of
from medground.viewer.memory import Memory
from medground.viewer.overlay import axes_mm, box_of, name_of, place_of
from medground.viewer.reviewing import REASONS, add_entry
from medground.viewer.sessions import Session
from medground.viewer.similar_cases import show_similar
from medground.viewer.words import ORIGINS, VERDICTS, grounds_words, names_of

_STATUS = {
    "unreviewed": "○ not reviewed",
    "accepted": "✓ accepted",
    "edited": "✎ edited",
    "rejected": "✗ rejected",
    "added": "+ added",
}


@dataclass(frozen=True, slots=True)
class Reviewing:
    """A result in review, and who reviews it.

    Attributes:
        session: of the person.
        memory: of the person.
        model: of the service now; the one that answered stands in `result`.
        study: of the result.
        job: of the result.
        result: the answers.
        review: what stands now.
        series: of the study.
    """

    session: Session
    memory: Memory
    model: Model
    study: Study
    job: str
    result: GroundingResult
    review: ReviewState
    series: tuple[Series, ...]

    @property
    def may_review(self) -> bool:
        """Whether the person may say anything."""
        return "review" in self.session.me.scopes

    def spacing_of(self, place: tuple[str, int] | None) -> tuple[tuple[float, float] | None, str]:
        """Spacing of an image between rows and columns, mm, and where it comes from."""
        for one in self.series:
            for instance in one.instances:
                if place is not None and instance.sop_instance_uid == place[0]:
                    return instance.spacing_mm, instance.spacing_source or ""
        return None, ""


def show_answers(reviewing: Reviewing) -> None:
    """All answers, then what was added, then the chosen finding."""
    by_id = {one.finding_id: one for one in reviewing.review.findings}
    if reviewing.memory.told:
        st.error(reviewing.memory.told)
    number = 0
    for study in reviewing.result.studies:
        for answer in study.answers:
            _show_answer(reviewing, number, answer, by_id)
            number += 1
    for one in reviewing.review.findings:
        if one.finding is None:
            _show_choice(reviewing, one)
    chosen = by_id.get(reviewing.memory.selected.get(reviewing.job, ""))
    if chosen is not None:
        show_finding(reviewing, chosen)


def _show_answer(reviewing: Reviewing, number: int, answer: Answer, by_id: dict[str, ReviewedFinding]) -> None:
    colour = colour_of(number)
    st.html(f'<div style="border-top:4px solid {colour};margin-top:.4em"></div>')
    st.text(f"{number + 1}. {answer.query}")
    st.markdown(f"**{VERDICTS[answer.verdict]}**")
    for words in (grounds_words(answer, reviewing.model), *answer.warnings):
        if words:
            st.caption(words)
    for finding in answer.findings:
        one = by_id.get(finding.id)
        if one is not None and (one.status != "unreviewed" or finding.score >= reviewing.memory.min_score):
            _show_choice(reviewing, one)


def _show_choice(reviewing: Reviewing, one: ReviewedFinding) -> None:
    memory, job = reviewing.memory, reviewing.job
    score = "" if one.finding is None else f" {one.finding.score:.2f}"
    label = f"{name_of(one, names_of(reviewing.model))}{score}  {_STATUS.get(one.status, one.status)}"

    def choose() -> None:
        memory.selected[job] = one.finding_id

    is_chosen = memory.selected.get(job) == one.finding_id
    st.button(
        label,
        key=f"finding-{one.finding_id}",
        on_click=choose,
        type="primary" if is_chosen else "secondary",
        width="stretch",
    )


def show_finding(reviewing: Reviewing, one: ReviewedFinding) -> None:
    """One finding: its size, its statements each with its origin, and what may be said of it."""
    with st.container(border=True):
        st.subheader(name_of(one, names_of(reviewing.model)), anchor=False)
        place = place_of(one)
        spacing, source = reviewing.spacing_of(place)
        box = box_of(one)
        axes = axes_mm(box, spacing) if box is not None else None
        if axes is None:
            st.caption("No millimetres: the header gives no spacing.")
        else:
            st.text(f"Long axis {axes.long_mm:.1f} mm, short axis {axes.short_mm:.1f} mm")
            st.caption(f"Measured on the {axes.taken_from}; spacing from {source or 'the header'}.")
        if one.finding is not None and synthetic_only(reviewing.model).get(one.finding.concept.key, False):
            st.warning("The model learned this finding from synthetic images only.")
        if one.finding is not None and one.finding.similar:
            show_similar(reviewing.session, one.finding, names_of(reviewing.model))
        if reviewing.may_review:
            _show_review(reviewing, one)
        else:
            for words, origin in statements_of(one):
                st.text(words)
                st.caption(f"{origin}: {ORIGINS[origin]}")


def statements_of(one: ReviewedFinding) -> list[tuple[str, Origin]]:
    """The statements that stand, each with its origin: the reviewer's where there are any, else the model's."""
    theirs = (one.entry or {}).get("statements")
    own = [] if one.finding is None else [(s.text, s.origin) for s in one.finding.description.statements]
    if theirs is None:
        return own
    known = dict(own)
    return [(str(words), known.get(str(words), Origin.REVIEWER)) for words in theirs]


def _show_review(reviewing: Reviewing, one: ReviewedFinding) -> None:
    session, memory, job = reviewing.session, reviewing.memory, reviewing.job
    key, revision = one.finding_id, reviewing.review.revision

    def say(entry: dict[str, object]) -> None:
        add_entry(session, memory, job, revision, {"finding_id": key, **entry})

    accept, reject = st.columns(2)
    accept.button(
        "Accept (a)",
        key=f"accept-{key}",
        on_click=say,
        args=({"action": "accept", "reason": "confirmed"},),
        width="stretch",
    )
    with reject.popover("Reject (r)", width="stretch"):
        for reason in REASONS:
            entry: dict[str, object] = {"action": "reject", "reason": reason.key}
            st.button(reason.name, key=f"reject-{key}-{reason.key}", on_click=say, args=(entry,), width="stretch")
    _show_statements(f"{key}-{revision}", statements_of(one), say)


def _show_statements(key: str, stood: Sequence[tuple[str, Origin]], say: Callable[[dict[str, object]], None]) -> None:
    fields = [f"said-{key}-{number}" for number in range(len(stood) + 1)]

    def keep() -> None:  # called before the page is made anew: what is kept rests on what was seen
        written = (str(st.session_state.get(field, "")).strip() for field in fields)
        kept = [words for words in written if words]
        if kept != [words for words, _ in stood]:
            say({"action": "edit", "reason": "wrong_description", "statements": kept})

    with st.form(f"statements-{key}", border=False):
        for field, (words, origin) in zip(fields, stood, strict=False):
            st.text_area(f"{origin}: {ORIGINS[origin]}", words, key=field, height=68)
        st.text_area("A statement of your own", "", key=fields[-1], height=68)
        st.caption("Empty a statement to take it out. What you change is marked as yours.")
        st.form_submit_button("Keep these statements", on_click=keep, width="stretch")

"""The images of a study: which series is shown, which older study beside it, and the stage that shows them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import streamlit as st

from medground.client.parts import Model, Study
from medground.client.parts import Series as ListedSeries
from medground.viewer.hearing import hear
from medground.viewer.images import key_of, label_of, presets, stage_series
from medground.viewer.memory import Memory
from medground.viewer.overlay import place_of, stage_boxes
from medground.viewer.reviewing import REASONS
from medground.viewer.sessions import Session
from medground.viewer.shown import Shown
from medground.viewer.stage import events_of, show_stage
from medground.viewer.stage_data import Choice, Series, StageBox, StageData
from medground.viewer.words import RESEARCH_ONLY, names_of
from medground.viewer.worklist import date_words, words_of

_PRIORS_LIFE_S = 300.0
_MOST_PRIORS = 20


def show_images(
    session: Session,
    memory: Memory,
    study: Study,
    listed: Sequence[ListedSeries],
    shown: Shown,
    model: Model,
    pixels_mib: int,
) -> None:
    """The stage, with what is to be chosen above it.

    Args:
        session: of the person.
        memory: of the person.
        study: that is open.
        listed: its series; at least one has images.
        shown: the result whose boxes are drawn.
        model: for the names of findings.
        pixels_mib: that the browser may keep.

    Raises:
        MedgroundError: the service does not give an older study.
    """
    series_column, prior_column, score_column = st.columns(3, vertical_alignment="bottom")
    with series_column:
        series = _choose_series(memory, study.study, listed, shown)
    with prior_column:
        prior = _choose_prior(session, memory, study, series)
    with score_column:
        memory.min_score = st.slider("Lowest score shown", 0.0, 1.0, memory.min_score, 0.01, key="min-score")
    job = shown.job or ""
    place, stage_key = place_of_stage(session, study.study, job), f"stage-{study.study}"
    data = _data(memory, study, series, prior, shown, model, place)
    data = data.model_copy(update={"pixels_mib": pixels_mib, "may_review": _may_review(session, shown)})

    def heard() -> None:
        hear(session, memory, place, job, events_of(st.session_state.get(stage_key)))

    show_stage(data, key=stage_key, on_events=heard)
    if memory.waiting:
        st.warning(memory.waiting)
        st.button("Try again", key="stage-again", on_click=heard)


def place_of_stage(session: Session, study: str, job: str) -> str:
    """What events of the stage are about: an answer about a study, and who says it.

    A browser keeps events until they are dealt with, also past a sign-out: who signs in next there must not say them.
    """
    who = hashlib.sha256(f"{session.me.tenant}\n{session.me.kind}\n{session.me.name}".encode()).hexdigest()[:12]
    return f"{study}.{job}.{who}"


def _may_review(session: Session, shown: Shown) -> bool:
    return "review" in session.me.scopes and shown.result is not None


def _data(
    memory: Memory,
    study: Study,
    series: ListedSeries,
    prior: Series | None,
    shown: Shown,
    model: Model,
    place: str,
) -> StageData:
    names = names_of(model)
    job = shown.job or ""
    here = {one.sop_instance_uid for one in series.instances}
    boxes: tuple[StageBox, ...] = ()
    if shown.result is not None and shown.review is not None:
        boxes = stage_boxes(shown.result, shown.review.findings, names, min_score=memory.min_score)
    return StageData(
        study=place,
        series=stage_series(study.study, series),
        prior=prior,
        boxes=tuple(box for box in boxes if box.sop in here),
        selected=memory.selected.get(job),
        presets=presets(series),
        concepts=tuple(Choice(key=key, name=name) for key, name in names.items()),
        reasons=REASONS,
        acknowledged=memory.dealt_with.get(job, {}),
        refused=tuple(memory.refused.get(job, ())),
        notice=f"{RESEARCH_ONLY} {model.info.name} {model.info.version}, {model.info.sha256[:12]}",
    )


def _choose_series(memory: Memory, study: str, listed: Sequence[ListedSeries], shown: Shown) -> ListedSeries:
    """The series that a person chose, else the one that has the chosen or first finding, else the largest."""
    by_key = {key_of(one): one for one in listed if one.instances}
    pointed = f"{shown.job}/{memory.selected.get(shown.job or '')}"
    if memory.pointed.get(study) != pointed:  # another finding was chosen: go where it is
        memory.pointed[study] = pointed
        found = series_of_finding(list(by_key.values()), shown, memory.selected.get(shown.job or ""))
        if found is not None:
            memory.series[study] = key_of(found)
    largest = max(by_key.values(), key=lambda one: sum(instance.frames for instance in one.instances))
    current = memory.series.get(study)
    current = current if current in by_key else key_of(largest)
    chosen = st.selectbox(
        "Series",
        list(by_key),
        index=list(by_key).index(current),
        format_func=lambda key: label_of(by_key[key]),
        key=f"series-{study}-{current}",
    )
    memory.series[study] = chosen
    return by_key[chosen]


def series_of_finding(listed: Sequence[ListedSeries], shown: Shown, selected: str | None) -> ListedSeries | None:
    """The series that a finding is in.

    Args:
        listed: of the study.
        shown: the result.
        selected: id of the finding; the first one where None.
    """
    findings = shown.review.findings if shown.review is not None else ()
    places = [place_of(one) for one in findings if selected in (None, one.finding_id)]
    for place in places:
        for one in listed:
            if place is not None and any(instance.sop_instance_uid == place[0] for instance in one.instances):
                return one
    return None


def _choose_prior(session: Session, memory: Memory, study: Study, series: ListedSeries) -> Series | None:
    """A series of another study of the same patient, to be shown beside."""
    if not study.patient_id:
        return None
    page = session.kept(
        f"priors-{study.study}",
        _PRIORS_LIFE_S,
        lambda: session.client.studies(search=study.patient_id, limit=_MOST_PRIORS),
    )
    others = {one.study: one for one in page.studies if one.patient_id == study.patient_id and one.study != study.study}
    if not others:
        return None
    keys = ["", *others]
    current = memory.prior.get(study.study, "")
    chosen = st.selectbox(
        "Beside it",
        keys,
        index=keys.index(current) if current in keys else 0,
        format_func=lambda key: words_of(others[key]) if key else "nothing",
        key=f"prior-{study.study}",
    )
    memory.prior[study.study] = chosen
    if not chosen:
        return None
    theirs = session.kept(f"series-{chosen}", _PRIORS_LIFE_S, lambda: session.client.series(chosen))
    alike = most_alike(series, [one for one in theirs if one.instances])
    if alike is None:
        return None
    shown, other = stage_series(chosen, alike), others[chosen]
    when = "Other study"
    if other.study_date and study.study_date:
        when = "Prior" if other.study_date <= study.study_date else "Later study"
    return shown.model_copy(update={"label": f"{when} of {date_words(other.study_date)}: {shown.label}"})


def most_alike(series: ListedSeries, others: Sequence[ListedSeries]) -> ListedSeries | None:
    """The series of another study that is best compared with one: same modality, same sides, most images.

    Args:
        series: that is shown.
        others: of the other study.
    """

    def likeness(other: ListedSeries) -> tuple[bool, bool, bool, int]:
        same_edges = bool(other.instances) and other.instances[0].edges == series.instances[0].edges
        return (
            other.modality == series.modality,
            other.is_volume == series.is_volume,
            same_edges,
            sum(one.frames for one in other.instances),
        )

    return max(others, key=likeness, default=None)

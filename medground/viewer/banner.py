"""What is always visible: which model answers, what it is for, and where its limits are."""

from __future__ import annotations

import streamlit as st

from medground.client.parts import Model
from medground.viewer.sessions import Session
from medground.viewer.words import RESEARCH_ONLY, names_of

_MODEL_LIFE_S = 60.0


def show_banner(session: Session) -> None:
    """The line at the top of every page, with the limits one click away.

    Raises:
        MedgroundError: the service does not say which model it has.
    """
    model = model_of(session)
    left, right = st.columns([6, 1.1], vertical_alignment="center")
    with left:
        st.markdown(f"**{RESEARCH_ONLY}** {model.info.name} {model.info.version}, bundle `{model.info.sha256[:12]}`")
    with right, st.popover("Model limits", width="stretch"):
        st.markdown(model.intended_use)
        _show_limits(model)


def model_of(session: Session) -> Model:
    """The model of the service, asked for once a minute.

    Raises:
        MedgroundError: the service does not say.
    """
    return session.kept("model", _MODEL_LIFE_S, session.client.model)


def synthetic_only(model: Model) -> dict[str, bool]:
    """By concept, whether all its training boxes on every kind of image were synthetic."""
    found: dict[str, bool] = {}
    for one in model.scope.trained:
        found[one.concept] = found.get(one.concept, True) and one.synthetic_only
    return found


def _show_limits(model: Model) -> None:
    names = names_of(model)
    lines = ["| finding | kind of image | training boxes | of them real |", "|---|---|--:|--:|"]
    for one in sorted(model.scope.trained, key=lambda t: (t.domain, t.concept)):
        real = str(one.real_boxes) if one.real_boxes else "none: learned from synthetic images only"
        lines.append(f"| {names.get(one.concept, one.concept)} | {one.domain} | {one.boxes} | {real} |")
    st.markdown(
        "The model answers about these findings on these kinds of image and no others. What it never saw it cannot "
        "find; a finding with few real boxes is found less reliably."
    )
    st.markdown("\n".join(lines))
    st.caption(f"Learned from: {', '.join(model.info.trained_on)}. Digest of the bundle: {model.info.sha256}")

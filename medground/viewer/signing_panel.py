"""Signing: what was reviewed becomes a verified report; what nobody reviewed is not signed by accident."""

from __future__ import annotations

import streamlit as st

from medground.client.errors import ServiceError
from medground.client.parts import ReviewState, Signed
from medground.schema.errors import MedgroundError
from medground.viewer.findings_panel import Reviewing
from medground.viewer.reviewing import STALE, add_entry, last_entry
from medground.viewer.words import fault_words

_ARCHIVES_LIFE_S = 60.0


def show_signing(reviewing: Reviewing) -> None:
    """How far the review is, what can be undone, the form to sign, and what can be taken away."""
    review = reviewing.review
    left = unreviewed(review)
    st.divider()
    st.markdown(f"**{progress_words(review)}**")
    if reviewing.may_review:
        _show_undo(reviewing)
    if "sign" in reviewing.session.me.scopes:
        _show_form(reviewing, left)
    signed = st.session_state.get(f"signature-{reviewing.job}")
    if isinstance(signed, Signed):
        where = f" It goes to {', '.join(signed.destinations)}." if signed.destinations else ""
        st.success(f"Signed: report {signed.sop_instance_uid} with {signed.findings} finding(s).{where}")
    _show_files(reviewing)


def unreviewed(review: ReviewState) -> int:
    """How many findings nobody has said anything of."""
    return sum(one.status == "unreviewed" for one in review.findings)


def progress_words(review: ReviewState) -> str:
    """How far a review is, in words."""
    left, count = unreviewed(review), len(review.findings)
    if review.is_signed:
        return "Signed." + (f" {left} finding(s) were not reviewed." if left else "")
    if not count:
        return "No finding to review."
    return f"{count - left} of {count} findings reviewed." + (" All can be signed." if not left else "")


def _show_undo(reviewing: Reviewing) -> None:
    try:
        revision = last_entry(reviewing.review.entries)
    except LookupError:
        return
    entry = next(one for one in reviewing.review.entries if one["revision"] == revision)
    words = f"Undo: {entry['entry']['action']} by {entry['reviewer_name']}"
    args = (reviewing.session, reviewing.memory, reviewing.job, reviewing.review.revision)
    st.button(
        words, key="undo", on_click=add_entry, args=(*args, {"action": "undo", "undoes": revision}), width="stretch"
    )


def _show_form(reviewing: Reviewing, left: int) -> None:
    with st.form(f"sign-{reviewing.job}"):
        st.text_input("Signed by (Family^Given)", reviewing.session.me.name, key=f"signer-{reviewing.job}")
        if left:
            st.checkbox(
                f"Sign although {left} finding(s) were not reviewed: the report keeps them and says so at each",
                key=f"allow-{reviewing.job}",
            )
        session = reviewing.session
        archives = session.kept("destinations", _ARCHIVES_LIFE_S, session.client.destinations)
        if archives:
            st.multiselect("Send the report to", archives, default=archives, key=f"send-{reviewing.job}")
        # Called before the page is made anew: what is signed is what was seen.
        st.form_submit_button("Sign", on_click=_sign, args=(reviewing, left), type="primary", width="stretch")
    words = reviewing.memory.unsigned.pop(reviewing.job, "")
    if words:
        st.error(words)


def _sign(reviewing: Reviewing, left: int) -> None:
    signed = _signed(reviewing, left)
    if isinstance(signed, Signed):
        st.session_state[f"signature-{reviewing.job}"] = signed
    else:
        reviewing.memory.unsigned[reviewing.job] = signed


def _signed(reviewing: Reviewing, left: int) -> Signed | str:
    """The signed report, or why there is none."""
    name = str(st.session_state.get(f"signer-{reviewing.job}", "")).strip()
    allows_unreviewed = bool(left and st.session_state.get(f"allow-{reviewing.job}", False))
    if not name:
        return "Write your name: a report without one cannot be signed."
    if left and not allows_unreviewed:
        return f"{left} finding(s) were not reviewed. Review them, or tick the box to sign without them."
    try:
        return reviewing.session.client.sign(
            reviewing.study.study,
            reviewing.job,
            reviewing.review.revision,
            name,
            allow_unreviewed=allows_unreviewed,
            deliver_to=st.session_state.get(f"send-{reviewing.job}", ()),
        )
    except ServiceError as error:
        return STALE if error.kind == "stale-review" else f"Nothing was signed. {fault_words(error)}"
    except MedgroundError as error:
        return f"It is not known whether that was signed. {fault_words(error)}"


def _show_files(reviewing: Reviewing) -> None:
    """Reports to take away; each is fetched when it is asked for."""
    client, study, job = reviewing.session.client, reviewing.study.study, reviewing.job
    st.download_button(
        "Report (HTML)",
        lambda: client.report(study, job).encode(),
        file_name="report.html",
        mime="text/html",
        key=f"html-{job}",
        width="stretch",
    )
    kind, label = ("signed", "Signed report (DICOM SR)") if reviewing.review.is_signed else ("sr", "Report (DICOM SR)")
    st.download_button(
        label,
        lambda: client.file(job, kind),
        file_name=f"{kind}.dcm",
        mime="application/dicom",
        key=f"{kind}-{job}",
        width="stretch",
    )

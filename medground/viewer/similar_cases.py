"""Similar cases: what the model learnt a rare finding from, nearest first, with a picture where one is kept."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Mapping
from typing import TypeVar

import streamlit as st

from medground.client.errors import ServiceError
from medground.client.parts import Case
from medground.schema.errors import MedgroundError
from medground.schema.result import Finding
from medground.viewer.renewal import SignInEndedError
from medground.viewer.sessions import Session

Answered = TypeVar("Answered")

_LIFE_S = 3600.0  # a case never changes; whether the service still has it is looked up again
_PICTURE_PX = 96
_PNG = b"\x89PNG\r\n\x1a\n"


def show_similar(session: Session, finding: Finding, names: Mapping[str, str]) -> None:
    """The cases of a finding, closed until somebody opens them.

    Args:
        session: of the person.
        finding: with cases.
        names: of findings, by key.

    Raises:
        MedgroundError: the person's credentials count no more.
    """
    with st.expander("Similar cases the model learnt from"):
        st.caption(
            f"The model learnt {finding.concept.name} from few or no real images. To it, these of its examples are "
            "most like this region (1: the same). They prove nothing about this patient."
        )
        fault: MedgroundError | None = None
        for one in finding.similar:
            try:
                st.html(_shown(session, one.case, one.similarity, names, fault))
            except MedgroundError as error:
                if isinstance(error, SignInEndedError) or _status(error) == 401:
                    raise
                if _status(error) is None:
                    fault = error
                st.caption(f"A case cannot be shown: {error}")


def _status(error: MedgroundError) -> int | None:
    """What the service answered; None where it did not."""
    return error.status if isinstance(error, ServiceError) else None


def _shown(
    session: Session, key: str, similarity: float, names: Mapping[str, str], fault: MedgroundError | None
) -> str:
    """A case as HTML, from what is kept; what is not is asked for, unless there was a fault.

    Raises:
        MedgroundError: the service does not give it.
    """

    def asked(ask: Callable[[str], Answered]) -> Answered:
        if fault is not None:  # each try would take as long as the one before
            raise fault
        return ask(key)

    case = session.kept(f"case-{key}", _LIFE_S, lambda: asked(session.client.case))
    picture = None
    if case.has_thumbnail:
        picture = session.kept(f"case-picture-{key}", _LIFE_S, lambda: asked(session.client.case_thumbnail))
    return case_html(case, similarity, names, picture)


def case_html(case: Case, similarity: float, names: Mapping[str, str], picture: bytes | None) -> str:
    """A case with its picture, its box outlined on it, and its words; where no picture is kept, why.

    Args:
        case: what is known of it.
        similarity: to the finding, 0..1.
        names: of findings, by key.
        picture: PNG; None where none is kept.
    """
    tag = (
        '<span style="border:1px solid currentColor;border-radius:4px;padding:0 .35em;font-size:.8em">synthetic</span> '
        if case.synthetic
        else ""
    )
    words = html.escape(words_of(case))
    beside = "" if picture is not None else f'<div style="opacity:.8">{html.escape(case.why_no_thumbnail)}</div>'
    return (
        '<figure style="display:flex;gap:.6em;margin:.4em 0;align-items:flex-start">'
        f"{_picture(case, names, picture)}"
        '<figcaption style="font-size:.85rem;line-height:1.35;min-width:0;overflow-wrap:anywhere">'
        f"<div><strong>Similarity {similarity:.2f}</strong> {tag}</div><div>{words}</div>{beside}"
        "</figcaption></figure>"
    )


def words_of(case: Case) -> str:
    """What is known of a case besides its finding: kind of image, place, size, look, source."""
    side = {"bilateral": "both sides"}.get(case.side or "", f"{case.side} side") if case.side else ""
    size = "" if case.longest_mm is None else f"{case.longest_mm:.0f} mm"
    if size and case.domain.endswith("radiograph"):
        size += " at the detector"
    parts = (f"{case.domain[:1].upper()}{case.domain[1:]}", side, case.zone or "", size, ", ".join(case.appearance))
    source = "" if case.synthetic and case.source == "phantom" else f"From: {case.source}."
    return f"{'; '.join(part for part in parts if part)}. {source}".strip()


def _picture(case: Case, names: Mapping[str, str], picture: bytes | None) -> str:
    """The picture as wide and as high as it is, scaled, and the box as an outline over it."""
    if picture is None:
        return ""
    size = _size(picture)
    if size is None:
        return ""
    width, height = size
    scale = _PICTURE_PX / max(size)
    name = names.get(case.concept, case.concept.replace("_", " "))
    alt = html.escape(f"{'Synthetic image' if case.synthetic else 'Image'} of a case of {name}, its box outlined")
    outline = ""
    if case.box_xyxy_px is not None:
        x1, y1, x2, y2 = case.box_xyxy_px
        outline = (
            f'<div style="position:absolute;left:{x1 / width:.1%};top:{y1 / height:.1%};width:{(x2 - x1) / width:.1%};'
            f'height:{(y2 - y1) / height:.1%};outline:2px solid #ffd23f;box-shadow:0 0 0 3px rgba(0,0,0,.6)"></div>'
        )
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    frame = f"width:{scale * width:.0f}px;height:{scale * height:.0f}px"
    return (
        f'<div style="position:relative;flex:none;overflow:hidden;{frame}">'
        f'<img alt="{alt}" src="{source}" style="width:100%;height:100%;display:block">{outline}</div>'
    )


def _size(picture: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG by its header (ISO/IEC 15948, 11.2.2); None of anything else."""
    if len(picture) < 24 or not picture.startswith(_PNG) or picture[12:16] != b"IHDR":
        return None
    width, height = int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")
    return (width, height) if 0 < width <= 1024 and 0 < height <= 1024 else None

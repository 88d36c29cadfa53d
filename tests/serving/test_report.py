"""The page for people: nothing from outside is markup, and what nobody reviewed is said to be so."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from medground.data.vocabulary import load_vocabulary
from medground.schema.result import GroundingResult
from medground.serving.intake import Accepted
from medground.serving.report import NOTICE, ReportedResult, report_html
from medground.serving.reviews import ReviewEntry, ReviewRow, standing
from tests.dicom.sr_results import BOXES, MODEL, SETTINGS, finding, image, study
from tests.serving.parts import Parts

EVIL = '<script>alert("x")</script>&'
FILM = image()
CREATED = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


class Reading(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data + " "


def read(page: str) -> Reading:
    reading = Reading()
    reading.feed(page)
    reading.words = re.sub(r"\s+", " ", reading.words)
    return reading


@pytest.fixture
def stored(parts: Parts) -> Accepted:
    return parts.accept(
        parts.film(1, PatientName="<b>Doe</b>^Jane", PatientID=EVIL, StudyDescription=EVIL, AccessionNumber="<i>7")
    )


def result(**changes: Any) -> GroundingResult:
    about = study(FILM, [finding(FILM, number, box, **changes) for number, box in enumerate(BOXES[:2])])
    return GroundingResult(result_id="r", model=MODEL, settings=SETTINGS, studies=(about,))


def page(parts: Parts, stored: Accepted, about: GroundingResult | None, *entries: ReviewEntry) -> Reading:
    listed = parts.worklist.get("clinic", stored.study_key)
    shown = []
    if about is not None:
        rows = [ReviewRow("j", n, one, "token:1", f"Ann {EVIL}", 0) for n, one in enumerate(entries, start=1)]
        shown = [ReportedResult(about, standing(about, rows), tuple(rows), CREATED)]
    return read(report_html(listed, shown, load_vocabulary()))


def entry(action: str, finding_id: str | None = None, **content: Any) -> ReviewEntry:
    return ReviewEntry(action=action, finding_id=finding_id, **content)


def test_an_unanswered_study(parts: Parts, stored: Accepted) -> None:
    found = page(parts, stored, None)
    assert NOTICE in found.words
    assert "Nothing was asked of this study yet." in found.words
    assert "Patient <b>Doe</b> Jane" in found.words
    assert set(found.tags) <= {"html", "head", "meta", "title", "style", "body", "p", "h1", "table", "tr", "th", "td"}


def test_nothing_from_outside_is_markup(parts: Parts, stored: Accepted) -> None:
    about = result()
    (one,) = about.studies
    evil = [
        answer.model_copy(update={"query": EVIL, "warnings": (EVIL,)}) if answer.id == "a1" else answer
        for answer in one.answers
    ]
    about = about.model_copy(
        update={
            "studies": (one.model_copy(update={"answers": tuple(evil)}),),
            "model": MODEL.model_copy(update={"name": EVIL, "version": EVIL}),
        }
    )
    said = (
        entry("edit", "f0", text=EVIL, statements=[EVIL], reason="other"),
        entry("sign", text="1.2"),
    )
    found = page(parts, stored, about, *said)
    assert not {"script", "b", "i"} & set(found.tags)
    assert found.words.count("<script>alert(") >= 8


def test_what_nobody_reviewed_is_said_to_be_so(parts: Parts, stored: Accepted) -> None:
    nothing = page(parts, stored, result()).words
    assert "Not reviewed: everything below is the model's alone. 2 finding(s) were not reviewed." in nothing
    some = page(parts, stored, result(), entry("accept", "f0", reason="confirmed")).words
    assert "In review, not signed. 1 finding(s) were not reviewed." in some
    assert "accepted: confirmed" in some
    assert "unreviewed" in some
    signed = page(parts, stored, result(), entry("accept", "f0"), entry("sign", text="1.2")).words
    assert "1970-01-01 00:00 UTC. 1 finding(s) were not reviewed." in signed
    whole = page(parts, stored, result(), entry("accept", "f0"), entry("accept", "f1"), entry("sign", text="1.2")).words
    assert "Signed by Ann" in whole
    assert "not reviewed" not in whole.lower()


def test_what_was_said_after_signing_is_told_apart(parts: Parts, stored: Accepted) -> None:
    said = (entry("accept", "f0"), entry("accept", "f1"), entry("sign", text="1.2"))
    since = "Reviewed again since: what stands below is not what was signed."
    assert since not in page(parts, stored, result(), *said).words
    assert since in page(parts, stored, result(), *said, entry("reject", "f1", reason="artefact")).words


def test_corrections_and_additions_are_shown(parts: Parts, stored: Accepted) -> None:
    box = (1.0, 2.0, 3.4, 4.0)
    said = (
        entry(
            "edit", "f0", concept="mass", box_xyxy_px=box, statements=["Large."], text="see CT", reason="wrong_finding"
        ),
        entry("add", "added-1", concept="fracture", box_xyxy_px=box, sop_instance_uid="1.2", statements=["Old."]),
    )
    words = page(parts, stored, result(), *said).words
    assert "edited: wrong finding. Corrected to mass. Corrected to the box 1, 2, 3, 4. see CT. Large." in words
    assert "Added by the reviewer Finding Review fracture added. Old." in words


def test_it_tells_which_model_answered_what(parts: Parts, stored: Accepted) -> None:
    words = page(parts, stored, result()).words
    assert "compact 1.0, 2026-01-02 03:04 UTC" in words
    assert "Model abababababab." in words
    assert "左肺有结节吗 Found (presence 0.90)." in words
    assert "fracture? Unsupported." in words
    assert "trained on phantoms only" in words
    assert "nodule, score 0.80 left upper zone, 12 x 9 mm (detector)" in words
    assert "Nodule. (model)" in words

"""Signing: a result as its reviewer leaves it, and the verified report of it.

What was accepted stays, what was rejected goes, what was edited or added is measured anew and said to be the
reviewer's. What nobody looked at stays too, and says so.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import pydicom
from pydicom import Dataset

from medground.dicom.found import Found
from medground.dicom.header import ImageHeader
from medground.dicom.image import DicomImage
from medground.dicom.series import Opener
from medground.dicom.sr import write_sr
from medground.dicom.sr.review import Review
from medground.dicom.untrusted import UntrustedReader
from medground.inference.describe import Place, describe
from medground.inference.gather import gather
from medground.inference.location import side_of, size_of, tells_side, zone_of
from medground.inference.rules import load_rules, recommend
from medground.inference.views import Study, View
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.errors import UsageError
from medground.schema.result import (
    Answer,
    BoxPx,
    Description,
    Finding,
    FindingConcept,
    GroundingResult,
    Origin,
    Report,
    SizeMm,
    Statement,
    StatementKind,
    StudyResult,
    Verdict,
)
from medground.schema.vocabulary import Concept, Vocabulary
from medground.serving.result_file import part10
from medground.serving.reviews import FindingStatus, ReviewedFinding, ReviewEntry

NOT_REVIEWED = "Nobody has reviewed this finding."
ADDED, CORRECTED = "Added by the reviewer.", "Corrected by the reviewer."


class UnreviewedError(UsageError):
    """Findings that nobody has reviewed; they are signed only if that is asked for in so many words."""


Views = Mapping[tuple[str, int], View]
"""Views by SOP Instance UID and frame."""


def reviewed_study(
    answered: StudyResult, reviewed: Sequence[ReviewedFinding], views: Views, vocabulary: Vocabulary
) -> StudyResult:
    """A study's answers as the reviewer leaves them.

    Args:
        answered: the model's.
        reviewed: what became of each finding.
        views: of the study.
        vocabulary: names and codes of the findings.

    Raises:
        UsageError: an image or a concept that is not there.
    """
    by_id = {one.finding_id: one for one in reviewed}
    added = [one for one in reviewed if one.finding is None and one.status is not FindingStatus.REJECTED]
    answers = []
    for answer in answered.answers:
        mine = [one for one in added if _home(one, answered.answers) == answer.id]
        kept = [
            _left(finding, by_id[finding.id], views, vocabulary)
            for finding in answer.findings
            if by_id[finding.id].status is not FindingStatus.REJECTED
        ]
        kept += [_added(one, views, vocabulary) for one in mine]
        looked_at = [one for one in (*mine, *(by_id[f.id] for f in answer.findings)) if one.status in _DECIDED]
        answers.append(
            answer.model_copy(update={"findings": tuple(kept), "verdict": _verdict(answer, kept, looked_at)})
        )
    findings = [finding for answer in answers for finding in answer.findings]
    said = {one.finding_id: one for one in answered.report.recommendations}
    changed = {one.finding_id for one in reviewed if one.finding is None or one.status is FindingStatus.EDITED}
    said |= {one.id: recommend(one, load_rules()) for one in findings if one.id in changed}
    report = Report(
        number_of_findings=len(findings),
        nothing_above_threshold=not findings,
        recommendations=tuple(said[finding.id] for finding in findings if finding.id in said),
    )
    return answered.model_copy(update={"answers": tuple(answers), "report": report})


_DECIDED = frozenset({FindingStatus.ACCEPTED, FindingStatus.EDITED, FindingStatus.ADDED})


def _verdict(answer: Answer, kept: Sequence[Finding], decided: Sequence[ReviewedFinding]) -> Verdict:
    if decided:
        return Verdict.FOUND
    return Verdict.NOT_FOUND if answer.findings and not kept else answer.verdict


def _home(added: ReviewedFinding, answers: Sequence[Answer]) -> str:
    """The answer that an added finding belongs to: one about its concept if there is one, else the first."""
    concept = added.entry.concept if added.entry else None
    fitting = [answer.id for answer in answers if concept in answer.understood.concepts]
    return (fitting or [answers[0].id])[0]


def _left(finding: Finding, reviewed: ReviewedFinding, views: Views, vocabulary: Vocabulary) -> Finding:
    """A finding of the model as it is left."""
    entry = reviewed.entry
    if reviewed.status is FindingStatus.UNREVIEWED or entry is None:
        said = Statement(kind=StatementKind.CERTAINTY, text=NOT_REVIEWED, origin=Origin.REVIEWER)
        return finding.model_copy(update={"description": _described((*finding.description.statements, said))})
    if reviewed.status is FindingStatus.ACCEPTED:
        return finding
    concept = vocabulary[entry.concept or finding.concept.key]
    view = _view(views, finding.sop_instance_uid or "", finding.frame)
    box = entry.box_xyxy_px or finding.box_xyxy_px
    is_moved = entry.box_xyxy_px is not None
    size_mm = size_of(view, box) if is_moved else finding.size_mm
    placed = _placed(concept, view, box, size_mm, _described_by(entry, concept, CORRECTED), finding.score)
    return finding.model_copy(update={**placed, "extent": None if is_moved else finding.extent, "also": ()})


def _added(reviewed: ReviewedFinding, views: Views, vocabulary: Vocabulary) -> Finding:
    """A finding of the reviewer's own: its score is 1, since he says that it is there."""
    entry = reviewed.entry
    if entry is None or entry.concept is None or entry.box_xyxy_px is None or entry.sop_instance_uid is None:
        raise UsageError("an added finding has a box, a concept and an image")
    concept = vocabulary[entry.concept]
    view = _view(views, entry.sop_instance_uid, entry.frame)
    box = entry.box_xyxy_px
    return Finding(
        id=reviewed.finding_id,
        source=view.source,
        series_instance_uid=view.series_instance_uid,
        sop_instance_uid=view.sop_instance_uid,
        frame=view.frame,
        score=1.0,
        **_placed(concept, view, box, size_of(view, box), _described_by(entry, concept, ADDED), 1.0),
    )


def _described_by(entry: ReviewEntry, concept: Concept, otherwise: str) -> list[Statement]:
    """The reviewer's words, or where he gave none, the finding's name and what he did."""
    words = entry.statements if entry.statements is not None else (f"{concept.name.capitalize()}.", otherwise)
    return [Statement(kind=StatementKind.FINDING, text=text, origin=Origin.REVIEWER) for text in words if text.strip()]


def _placed(
    concept: Concept, view: View, box: BoxPx, size_mm: SizeMm | None, own: Sequence[Statement], score: float
) -> dict[str, Any]:
    """What follows from a finding's name and box, measured anew."""
    header = view.header
    if header is None or not (box[2] <= header.columns and box[3] <= header.rows):
        raise UsageError("the box of a review leaves its image")
    domain = domain_of(header, concept)
    place = Place(
        domain=domain,
        box=Box(x1=box[0], y1=box[1], x2=box[2], y2=box[3]),
        rows=header.rows,
        columns=header.columns,
        side=side_of(header, domain, box),
        header_tells_side=tells_side(header, domain),
        zone=zone_of(header, domain, box),
        size_mm=size_mm,
    )
    measured = [one for one in describe(concept, place, score).statements if one.origin is not Origin.MODEL]
    return {
        "box_xyxy_px": box,
        "concept": FindingConcept(key=concept.key, name=concept.name, code=concept.code),
        "size_mm": size_mm,
        "laterality": place.side,
        "zone": place.zone,
        "description": _described((*own, *measured)),
    }


def _described(statements: Sequence[Statement]) -> Description:
    return Description(text=" ".join(one.text for one in statements), statements=tuple(statements))


def domain_of(header: ImageHeader, concept: Concept) -> Domain:
    """The kind of image, of those on which the finding can be seen."""
    if header.modality == "CT":
        return Domain.CHEST_CT
    radiographs = [one for one in concept.domains if one is not Domain.CHEST_CT]
    return radiographs[0] if radiographs else Domain.OTHER


def _view(views: Views, sop_uid: str, frame: int) -> View:
    view = views.get((sop_uid, frame))
    if view is None:
        raise UsageError("a finding of the review lies on no image of this result")
    return view


def open_study(found: list[Found], untrusted: UntrustedReader) -> Study:
    """The images of a result, one study."""
    (study,) = gather(found, opener=cast(Opener, untrusted.open)).studies
    return study


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signs, when.

    Attributes:
        person_name: of the reviewer, Family^Given.
        organization: that the reviewer answers to.
        at: with its zone.
    """

    person_name: str
    organization: str
    at: datetime


def check_reviewed(reviewed: Sequence[ReviewedFinding]) -> None:
    """Refuse to sign what nobody has looked at.

    Raises:
        UnreviewedError: findings were not reviewed.
    """
    open_ones = sum(one.status is FindingStatus.UNREVIEWED for one in reviewed)
    if open_ones:
        raise UnreviewedError(f"{open_ones} finding(s) were not reviewed; review them, or set allow_unreviewed")


def signed_report(
    result: GroundingResult,
    reviewed: Sequence[ReviewedFinding],
    study: Study,
    before: bytes,
    vocabulary: Vocabulary,
    signature: Signature,
) -> tuple[StudyResult, bytes, str]:
    """The verified report of a review.

    Args:
        result: the model's, of one study.
        reviewed: what became of each finding.
        study: its images.
        before: the report that was reviewed, as a DICOM file.
        vocabulary: names and codes of the findings.
        signature: who signs.

    Returns:
        The study's answers as signed, the report as a DICOM file, and its SOP Instance UID.

    Raises:
        UsageError: a name that DICOM cannot hold, or a review of what is not there.
    """
    views = {(view.sop_instance_uid or "", view.frame): view for view in study.views}
    answered = reviewed_study(result.studies[0], reviewed, views, vocabulary)
    used = {one.sop_instance_uid for answer in answered.answers for one in answer.examined}
    used |= {finding.sop_instance_uid for answer in answered.answers for finding in answer.findings}
    images: dict[str, DicomImage] = {
        one.header.sop_instance_uid: one.open() for one in study.instances if one.header.sop_instance_uid in used
    }
    predecessor: Dataset = pydicom.dcmread(io.BytesIO(before))  # our own file, by its digest
    review = Review(predecessor, signature.person_name, signature.organization, signature.at)
    document = write_sr(answered, result.model, result.settings, images, review=review)
    return answered, part10(document), str(document.SOPInstanceUID)

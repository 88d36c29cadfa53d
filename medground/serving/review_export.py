"""Reviews as training data: what people left of a result, image by image, in the form that training reads."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from medground.data.reviewed import DATA_SET, RejectedBox, review_attributes
from medground.dicom.geometry import columns_toward_left, toward_feet
from medground.inference.views import Study, View
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region
from medground.schema.result import BoxPx, GroundingResult
from medground.schema.vocabulary import Vocabulary
from medground.serving.reviews import FindingStatus, Reason, ReviewedFinding
from medground.serving.signing import domain_of

_KEPT = frozenset({FindingStatus.ACCEPTED, FindingStatus.EDITED, FindingStatus.ADDED})


def reviewed_records(
    result: GroundingResult,
    reviewed: Sequence[ReviewedFinding],
    study: Study,
    digests: Mapping[str, str],
    vocabulary: Vocabulary,
    *,
    patient: str,
    is_signed: bool,
) -> Iterator[ImageRecord]:
    """The examined images of a result with what people confirmed, corrected or added, and what became of each finding.

    An image is exhaustive for a finding only if the result is signed and nothing of it was left unreviewed: then what
    is not boxed is not there, as far as that was asked.

    Args:
        result: the model's, of one study.
        reviewed: what became of each finding.
        study: its images.
        digests: SHA-256 of the files by SOP Instance UID.
        vocabulary: names of the findings.
        patient: a pseudonym.
        is_signed: whether somebody signed for it.
    """
    (answered,) = result.studies
    examined = {(one.sop_instance_uid, frame) for a in answered.answers for one in a.examined for frame in one.frames}
    asked = frozenset(concept for answer in answered.answers for concept in answer.understood.concepts)
    complete = is_signed and all(one.status is not FindingStatus.UNREVIEWED for one in reviewed)
    kept = [one for one in reviewed if one.status in _KEPT]
    for view in study.views:
        uid, header = view.sop_instance_uid or "", view.header
        if (uid, view.frame) not in examined or header is None:
            continue
        regions = tuple(region for one in kept if (region := _region(one, view)) is not None)
        outcomes, rejected = _outcomes(reviewed, view)
        concept = regions[0].concept if regions else min(asked | {box.concept for box in rejected}, default=None)
        if concept is None:
            continue  # "any abnormality?" with nothing confirmed says nothing that could be learned
        down = toward_feet(header)
        across = columns_toward_left(header)
        yield ImageRecord(
            record_id=f"{digests[uid][:24]}-{view.frame}",
            patient_id=patient,
            frame=view.frame,
            columns=header.columns,
            rows=header.rows,
            domain=domain_of(header, vocabulary[concept]),
            dataset=DATA_SET,
            regions=regions,
            exhaustive_for=asked if complete else frozenset(),
            columns_toward_left=None if across is None else (1 if across > 0 else -1),
            rows_toward_feet=None if down is None or down[0] != 1 else (1 if down[1] > 0 else -1),
            spacing_mm=header.spacing_mm,
            readers=1,
            attributes=review_attributes(outcomes, rejected),
            sha256=digests[uid],
        )


def pseudonym(tenant: str, patient_id: str, salt: bytes) -> str:
    """What a patient is called in one export, and in no other."""
    return hashlib.sha256(salt + f"{tenant}\n{patient_id}".encode()).hexdigest()[:16]


def _outcomes(reviewed: Sequence[ReviewedFinding], view: View) -> tuple[dict[str, Counter[str]], list[RejectedBox]]:
    """What became of the findings on an image, by what the model called them; and those that were rejected."""
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    rejected = []
    for one in reviewed:
        finding, entry = one.finding, one.entry
        about = finding or entry
        if about is None or (about.sop_instance_uid, about.frame) != (view.sop_instance_uid, view.frame):
            continue
        if finding is not None:
            outcomes[finding.concept.key][one.status.value] += 1
        elif entry is not None and entry.concept is not None and one.status is not FindingStatus.REJECTED:
            outcomes[entry.concept][FindingStatus.ADDED.value] += 1
        if finding is not None and one.status is FindingStatus.REJECTED:
            reason = entry.reason.value if entry and entry.reason else Reason.OTHER.value
            rejected.append(RejectedBox(concept=finding.concept.key, box_xyxy_px=finding.box_xyxy_px, reason=reason))
    return outcomes, rejected


def _region(reviewed: ReviewedFinding, view: View) -> Region | None:
    """What is left of a finding on an image; None where it lies on another."""
    finding, entry = reviewed.finding, reviewed.entry
    if finding is None:
        if entry is None or entry.box_xyxy_px is None or entry.concept is None:
            return None
        is_here = (entry.sop_instance_uid, entry.frame) == (view.sop_instance_uid, view.frame)
        return _drawn(entry.concept, entry.box_xyxy_px, reviewed) if is_here else None
    if (finding.sop_instance_uid, finding.frame) == (view.sop_instance_uid, view.frame):
        box = entry.box_xyxy_px if entry and entry.box_xyxy_px else finding.box_xyxy_px
        concept = entry.concept if entry and entry.concept else finding.concept.key
        return _drawn(concept, box, reviewed)
    return None


def _drawn(concept: str, box: BoxPx, reviewed: ReviewedFinding) -> Region:
    x1, y1, x2, y2 = box
    source = "model, accepted" if reviewed.status is FindingStatus.ACCEPTED else "reviewer"
    return Region(concept=concept, box=Box(x1=x1, y1=y1, x2=x2, y2=y2), source=source)

"""A person's review of a report: who verified it, when, and which report it follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from pydicom import Dataset
from pydicom.uid import UID

from medground.dicom.elements import text, whole
from medground.dicom.sr import codes
from medground.dicom.sr.items import HAS_OBS_CONTEXT, code_item, person_item, text_item
from medground.schema.errors import UsageError

_GROUP = r"[^\x00-\x1f\x7f\\^=]*(?:\^[^\x00-\x1f\x7f\\^=]*){0,4}"  # five components (PS3.5 6.2.1)
_NAME = re.compile(rf"{_GROUP}(?:={_GROUP}){{0,2}}")
_ORGANIZATION = re.compile(r"[^\x00-\x1f\x7f\\]*")
_LONGEST = 64  # characters of a component group, and of an organization
_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


@dataclass(frozen=True)
class Review:
    """What makes a reviewed report of a first one.

    Attributes:
        predecessor: the report that was reviewed.
        person_name: of the reviewer, in the form of DICOM (Family^Given).
        organization: that the reviewer answers to.
        reviewed_at: with or without a time zone.

    Raises:
        UsageError: a name or organization that DICOM cannot hold, or a predecessor that cannot be named.
    """

    predecessor: Dataset
    person_name: str
    organization: str
    reviewed_at: datetime

    def __post_init__(self) -> None:
        for what, words, form in (
            ("name", self.person_name, _NAME),
            ("organization", self.organization, _ORGANIZATION),
        ):
            if not words.strip("^= ") or not form.fullmatch(words) or max(map(len, words.split("="))) > _LONGEST:
                raise UsageError(
                    f"a report is verified by a person with a {what} in printable characters, got {words!r}"
                )
        for keyword in _UIDS:
            if not UID(text(self.predecessor, keyword) or "").is_valid:
                raise UsageError(f"the report that was reviewed has no valid {keyword}, so none can follow it")

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells this review from every other."""
        uid = text(self.predecessor, "SOPInstanceUID") or ""
        return uid, self.person_name, self.organization, self.reviewed_at.isoformat()

    @property
    def moment(self) -> str:
        """The time of the review as a DICOM date time, with its zone where it has one."""
        return self.reviewed_at.strftime("%Y%m%d%H%M%S.%f%z")[:26]


def observer(review: Review) -> list[Dataset]:
    """The reviewer as a person observer (TID 1003)."""
    return [
        code_item(codes.OBSERVER_TYPE, codes.PERSON, HAS_OBS_CONTEXT),
        person_item(codes.PERSON_NAME, review.person_name, HAS_OBS_CONTEXT),
        text_item(codes.PERSON_ORGANIZATION, review.organization, HAS_OBS_CONTEXT),
    ]


def verify(document: Dataset, review: Review) -> None:
    """Mark a document as verified by the reviewer and following its predecessor (PS3.3 C.17.2).

    Raises:
        UsageError: the predecessor is about another study.
    """
    before = review.predecessor
    name_predecessor(document, before)
    verifying = Dataset()
    verifying.VerifyingOrganization, verifying.VerifyingObserverName = review.organization, review.person_name
    verifying.VerificationDateTime = review.moment
    verifying.VerifyingObserverIdentificationCodeSequence = []
    document.VerifyingObserverSequence = [verifying]
    document.VerificationFlag, document.PreliminaryFlag = "VERIFIED", "FINAL"
    document.InstanceNumber = (whole(before, "InstanceNumber") or 1) + 1
    document.ContentDate = document.InstanceCreationDate = review.moment[:8]
    document.ContentTime = document.InstanceCreationTime = review.moment[8:21]


def name_predecessor(document: Dataset, before: Dataset) -> None:
    """Name the report that a document follows (Predecessor Documents Sequence, PS3.3 C.17.2).

    Args:
        document: a report.
        before: the one that it goes beyond.

    Raises:
        UsageError: the two are about different studies.
    """
    if text(before, "StudyInstanceUID") != document.StudyInstanceUID:
        raise UsageError(
            f"the report that was reviewed is about study {text(before, 'StudyInstanceUID')}, "
            f"this one about {document.StudyInstanceUID}"
        )
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = text(before, "SOPClassUID")
    instance.ReferencedSOPInstanceUID = text(before, "SOPInstanceUID")
    series.SeriesInstanceUID, series.ReferencedSOPSequence = text(before, "SeriesInstanceUID"), [instance]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = document.StudyInstanceUID, [series]
    document.PredecessorDocumentsSequence = [study]

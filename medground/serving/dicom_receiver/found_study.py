"""Studies as an archive is asked for them and tells of them (PS3.18 section 10.6, DICOM JSON of annex F)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from medground.schema.config import StrictConfig
from medground.schema.errors import PeerError
from medground.serving.dicom_receiver.commands import is_uid


class StudyFilter(StrictConfig):
    """Which studies are wanted; what is None does not matter.

    Attributes:
        study_instance_uid: of one study.
        patient_id: as the archive has it; `*` and `?` stand for any letters.
        accession_number: likewise.
        study_date: `20260131`, or a range `20260101-20260131`.
        modality: of one of its series, e.g. `DX`.
        at_most: studies in the answer.
    """

    study_instance_uid: str | None = None
    patient_id: str | None = None
    accession_number: str | None = None
    study_date: str | None = Field(default=None, pattern=r"^(\d{8}(-\d{8})?|\d{8}-|-\d{8})$")
    modality: str | None = None
    at_most: int = Field(default=200, ge=1, le=10_000)

    def query(self) -> list[tuple[str, str]]:
        """Parameters of QIDO-RS."""
        matches = {
            "StudyInstanceUID": self.study_instance_uid,
            "PatientID": self.patient_id,
            "AccessionNumber": self.accession_number,
            "StudyDate": self.study_date,
            "ModalitiesInStudy": self.modality,
        }
        return [(key, value) for key, value in matches.items() if value is not None] + [("limit", str(self.at_most))]


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study that an archive has; what it does not tell is empty.

    Attributes:
        study_instance_uid: always there.
        patient_id, patient_name, accession_number, study_date, description: as the archive has them.
        modalities: of its series.
        instances: how many; None where it is not told.
    """

    study_instance_uid: str
    patient_id: str
    patient_name: str
    accession_number: str
    study_date: str
    description: str
    modalities: tuple[str, ...]
    instances: int | None


def read_studies(content: bytes) -> tuple[FoundStudy, ...]:
    """Studies from the answer to a search; whatever has no UID is left out.

    Raises:
        PeerError: it is no DICOM JSON.
    """
    entries = read_json(content)
    if not isinstance(entries, list):
        raise PeerError("the archive answers a search with something else than a list in DICOM JSON")
    studies = []
    for entry in entries:
        uid = text_at(entry, "0020000D")
        if is_uid(uid):
            count = text_at(entry, "00201208")
            studies.append(
                FoundStudy(
                    study_instance_uid=uid,
                    patient_id=text_at(entry, "00100020"),
                    patient_name=text_at(entry, "00100010"),
                    accession_number=text_at(entry, "00080050"),
                    study_date=text_at(entry, "00080020"),
                    description=text_at(entry, "00081030"),
                    modalities=tuple(str(one) for one in values_at(entry, "00080061") if isinstance(one, str)),
                    instances=int(count) if count.isdecimal() else None,
                )
            )
    return tuple(studies)


def read_json(content: bytes) -> Any:
    """What is in an answer in JSON; None if it is empty.

    Raises:
        PeerError: it is no JSON.
    """
    try:
        return json.loads(content) if content.strip() else None
    except (ValueError, RecursionError) as cause:
        raise PeerError("the archive answers with something else than JSON") from cause


def values_at(entry: Any, tag: str) -> list[Any]:
    """The values of an element in DICOM JSON; none where anything is not as it should be."""
    element = entry.get(tag) if isinstance(entry, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def text_at(entry: Any, tag: str) -> str:
    """The first value of an element as text; of a name the alphabetic form. Empty where there is none."""
    first = next(iter(values_at(entry, tag)), None)
    if isinstance(first, dict):
        first = first.get("Alphabetic")
    return str(first) if isinstance(first, str | int | float) else ""

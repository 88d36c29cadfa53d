"""What an object derived from an image takes over from its header: the patient and the study."""

from __future__ import annotations

import re

from pydicom import Dataset

from medground.dicom.elements import text
from medground.dicom.image import DicomImage

# Type 2 in every composite object; absent in some images.
_PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
_STUDY = ("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName")
_DATE, _TIME = r"\d{8}", r"\d{6}(\.\d{1,6})?"
_FORMS = {"PatientBirthDate": _DATE, "StudyDate": _DATE, "StudyTime": _TIME}


def evidence_of(image: DicomImage) -> Dataset:
    """Patient and study elements of an image in UTF-8, empty where absent, unreadable, or a date that is none.

    Args:
        image: any image of the study.
    """
    evidence = Dataset()
    evidence.SpecificCharacterSet = "ISO_IR 192"
    evidence.StudyInstanceUID = image.header.study_instance_uid
    for keyword in (*_PATIENT, *_STUDY):
        found = text(image.dataset, keyword)
        keeps_form = found is None or re.fullmatch(_FORMS.get(keyword, r".*"), found, re.DOTALL)
        setattr(evidence, keyword, found if keeps_form else None)
    return evidence

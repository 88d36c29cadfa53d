"""The images a report is about, listed by study, series and instance (PS3.3 C.17.2.1)."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom import Dataset

from medground.dicom.elements import items, text
from medground.dicom.image import DicomImage

_EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")


def evidence(images: Mapping[str, DicomImage]) -> Dataset:
    """The item of the evidence sequence for images of one study, by SOP Instance UID."""
    by_series: dict[str, list[Dataset]] = {}
    study = Dataset()
    for uid in sorted(images):
        header = images[uid].header
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = header.sop_class_uid, uid
        by_series.setdefault(header.series_instance_uid, []).append(reference)
        study.StudyInstanceUID = header.study_instance_uid
    listed = []
    for series_uid, references in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = series_uid, references
        listed.append(series)
    study.ReferencedSeriesSequence = listed
    return study


def series_of_instances(report: Dataset) -> dict[str, str]:
    """SOP Instance UID to Series Instance UID of every instance that a report lists as evidence."""
    found = {}
    for keyword in _EVIDENCE:
        for study in items(report, keyword):
            for series in items(study, "ReferencedSeriesSequence"):
                for reference in items(series, "ReferencedSOPSequence"):
                    instance, uid = text(reference, "ReferencedSOPInstanceUID"), text(series, "SeriesInstanceUID")
                    if instance and uid:
                        found[instance] = uid
    return found

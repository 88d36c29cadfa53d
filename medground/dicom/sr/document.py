"""The modules around the content tree: whose report it is, about which study, from which images (PS3.3 A.35)."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom import Dataset
from pydicom.uid import UID

from medground.dicom.derived import Kind, derived_object, name_private_scheme
from medground.dicom.image import DicomImage
from medground.dicom.sr.evidence import evidence
from medground.schema.result import ModelInfo, Settings

_SERIES_NUMBER = 9900


def document_around(
    root: Dataset,
    sop_class_uid: UID,
    uids: tuple[str, str],
    images: Mapping[str, DicomImage],
    model: ModelInfo,
    settings: Settings,
) -> Dataset:
    """A data set of the modules of an SR document and the content tree, unverified and preliminary.

    Args:
        root: of the content tree.
        sop_class_uid: kind of report.
        uids: Series and SOP Instance UID.
        images: what the report is about, of one study; patient and study are those of the first.
        model: named as the equipment that made the report.
        settings: its code version is named too.
    """
    kind = Kind(sop_class_uid, "SR", _SERIES_NUMBER)
    document = derived_object(kind, uids, 1, images[min(images)], model, settings)
    name_private_scheme(document)
    document.ContentDate, document.ContentTime = document.SeriesDate, document.SeriesTime
    document.CompletionFlag, document.VerificationFlag, document.PreliminaryFlag = (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    document.ReferencedPerformedProcedureStepSequence = []
    document.PerformedProcedureCodeSequence = []
    document.CurrentRequestedProcedureEvidenceSequence = [evidence(images)]
    document.update(root)
    return document

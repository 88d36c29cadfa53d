from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, UltrasoundImageStorage

from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.refusal import reason_to_refuse

CT = "1.2.840.10008.5.1.4.1.1.2"


def reason(sop_class: str, modality: str, burned: str | None, **options: bool) -> str | None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality = sop_class, modality
    if burned is not None:
        dataset.BurnedInAnnotation = burned
    return reason_to_refuse(dataset, Options(**options), has_pixels=True)


@pytest.mark.parametrize(
    ("sop_class", "modality", "burned", "refused"),
    [
        (CT, "CT", None, False),
        (CT, "CT", "NO", False),
        (CT, "CT", "YES", True),
        (CT, "CT", "yes ", True),
        (UltrasoundImageStorage, "US", None, True),
        (UltrasoundImageStorage, "US", "", True),
        (UltrasoundImageStorage, "US", "NO", False),
        (SecondaryCaptureImageStorage, "OT", None, True),
        (CT, "XA", None, True),
        ("1.2.840.10008.5.1.4.1.1.12.1", "", None, True),
    ],
)
def test_text_in_pixels(sop_class: str, modality: str, burned: str | None, refused: bool) -> None:
    assert (reason(sop_class, modality, burned) is not None) is refused
    assert reason(sop_class, modality, burned, allow_burned_in=True) is None


def test_documents_are_never_taken() -> None:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    assert reason_to_refuse(dataset, Options(allow_burned_in=True), has_pixels=False) is not None
    dataset = Dataset()
    dataset.EncapsulatedDocument = b"%PDF"
    assert reason_to_refuse(dataset, Options(), has_pixels=False) is not None

"""An object of a patient who does not exist, and the file it makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.report import Report
from medground.dicom.deidentify.run import deidentify

KEY = bytes(range(32))
IDENTITY: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "Müller-Ostrowski^Annegret=王^小东",
    "PatientID": "K-4711-0815",
    "PatientBirthDate": "19530417",
    "PatientSex": "F",
    "PatientAge": "093Y",
    "PatientSize": "1.68",
    "StudyDate": "20250102",
    "SeriesDate": "20250103",
    "StudyTime": "101112",
    "AccessionNumber": "9900112233",
    "InstitutionName": "Kreiskrankenhaus Xanten",
    "DeviceSerialNumber": "SN-55443322",
    "StationName": "XANCT07",
    "ReferringPhysicianName": "Quacksalber^Ottokar",
    "StudyInstanceUID": "1.2.826.0.1.3680043.77.1.1",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.77.1.2",
    "SOPInstanceUID": "1.2.826.0.1.3680043.77.1.3",
    "Manufacturer": "medground",
    "BurnedInAnnotation": "NO",
}


@pytest.fixture
def patient(make_dataset: Callable[..., Dataset]) -> Dataset:
    return make_dataset(np.arange(64, dtype=np.uint16).reshape(8, 8), **IDENTITY)


@pytest.fixture
def patient_file(make_file: Callable[..., bytes]) -> Callable[..., bytes]:
    """The file of that patient; elements and transfer syntax can be changed."""

    def make(**changed: Any) -> bytes:
        return make_file(np.arange(64, dtype=np.uint16).reshape(8, 8), **(IDENTITY | changed))

    return make


@pytest.fixture
def deidentified(tmp_path: Path) -> Callable[..., tuple[Report, list[Path]]]:
    """De-identify contents; the report and the files that were written, in the order of the report."""

    def run(*contents: bytes, out: str = "out", **options: bool) -> tuple[Report, list[Path]]:
        source = tmp_path / f"source of {out}"
        source.mkdir()
        for number, content in enumerate(contents):
            (source / f"{number:03d}.dcm").write_bytes(content)
        report = deidentify(source, tmp_path / out, Options(**options), KEY)
        return report, [tmp_path / out / file.output for file in report.files if file.output]

    return run

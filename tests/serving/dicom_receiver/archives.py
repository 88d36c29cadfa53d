"""Archives that are asked by DICOMweb, and what is sent to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from medground.serving.dicom_receiver.archive_config import ArchiveConfig
from medground.serving.dicom_receiver.delivery import Delivery, Outcome
from medground.serving.dicom_receiver.dicom_web import DicomWebArchive
from tests.serving.dicom_receiver.running import write_image

ARRIVED: Final = Outcome(Delivery.ARRIVED, 0)
STUDY: Final = "1.2.826.0.1.3680043.8.498.900"


def web_archive(url: str, **changes: Any) -> DicomWebArchive:
    return DicomWebArchive(ArchiveConfig(url=url, **{"silence_seconds": 20, **changes}))


def images(folder: Path, study: str, *syntaxes: str, **elements: Any) -> list[Path]:
    folder.mkdir(exist_ok=True)
    number = int(study.rsplit(".", maxsplit=1)[1]) * 100
    own = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", **elements}
    return [
        write_image(folder / f"{one}.dcm", number + one, syntax=syntax, **own) for one, syntax in enumerate(syntaxes, 1)
    ]

"""Ways into an archive and out again, each by a client that is not ours: storescu, pynetdicom, dicomweb-client."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE

from tests.archive.orthanc import ARCHIVE_AET, CALLER_AET, Orthanc

# storescu proposes the uncompressed syntaxes and at most one other, by its option.
_STORESCU = {
    ExplicitVRLittleEndian: (),
    ImplicitVRLittleEndian: (),
    ExplicitVRBigEndian: ("--propose-big",),
    DeflatedExplicitVRLittleEndian: ("--propose-deflated",),
    JPEGBaseline8Bit: ("--propose-jpeg8",),
    JPEGLSLossless: ("--propose-jls-lossless",),
    JPEG2000Lossless: ("--propose-j2k-lossless",),
    RLELossless: ("--propose-rle",),
}


def _program() -> str:
    """DCMTK's own: pynetdicom puts a program of the same name into the virtual environment."""
    found = shutil.which("storescu", path="/usr/local/bin:/usr/bin:/bin")
    assert found is not None, "storescu of the Debian package dcmtk is not installed"
    return found


def by_storescu(archive: Orthanc, path: Path) -> None:
    """C-STORE by DCMTK; fails unless the archive reports success."""
    syntax = UID(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
    titles = ("--aetitle", CALLER_AET, "--call", ARCHIVE_AET)
    command = [_program(), *titles, *_STORESCU[syntax], "127.0.0.1", str(archive.dicom_port), str(path)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)


def by_pynetdicom(archive: Orthanc, path: Path) -> None:
    """C-STORE by pynetdicom; fails unless the archive reports success."""
    dataset = pydicom.dcmread(path)
    entity = AE(ae_title=CALLER_AET)
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", archive.dicom_port, ae_title=ARCHIVE_AET)
    assert association.is_established
    try:
        assert association.send_c_store(dataset).Status == 0x0000
    finally:
        association.release()


def by_stow(archive: Orthanc, path: Path) -> None:
    """STOW-RS; fails unless the archive lists the instance as stored."""
    dataset = pydicom.dcmread(path)
    with web(archive) as client:
        answer = client.store_instances([dataset])
    assert not answer.get("FailedSOPSequence")
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [dataset.SOPInstanceUID]


@contextmanager
def web(archive: Orthanc) -> Iterator[DICOMwebClient]:
    """A DICOMweb client of the archive that knows no proxy."""
    with requests.Session() as session:
        session.trust_env = False
        yield DICOMwebClient(archive.dicomweb_url, session=session)


def fetched(archive: Orthanc, sent: Dataset, syntax: str = "*") -> bytes:
    """An instance by WADO-RS; `*` asks for the transfer syntax in which it is kept."""
    with web(archive) as client:
        instance = client.retrieve_instance(*_uids(sent), media_types=(("application/dicom", syntax),))
    stream = io.BytesIO()
    instance.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def fetched_frames(
    archive: Orthanc, sent: Dataset, frames: Sequence[int], media_types: Any = ("application/octet-stream",)
) -> list[bytes]:
    """Frames, 1-based, by WADO-RS; Orthanc refuses to choose (400), so plain bytes are asked for."""
    with web(archive) as client:
        return list(client.retrieve_instance_frames(*_uids(sent), list(frames), media_types=media_types))


def _uids(dataset: Dataset) -> tuple[str, str, str]:
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID

"""Other people's programs that send an image, and what of a file is sent."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pydicom
from pynetdicom import AE

from tests.serving.dicom_receiver.running import CALLER, LOOPBACK, MEDGROUND


def storescu(port: int, path: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """DCMTK's own: pynetdicom puts a program of the same name into the virtual environment."""
    program = shutil.which("storescu", path="/usr/local/bin:/usr/bin:/bin")
    assert program is not None
    command = [program, "-aet", CALLER, "-aec", MEDGROUND, *options, LOOPBACK, str(port), path]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def data_set_bytes(path: Path) -> bytes:
    """What follows the file meta information."""
    content = path.read_bytes()
    return content[144 + pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength :]


def pynetdicom_stores(port: int, path: Path, **tls: object) -> int:
    """Status that pynetdicom gets for a file."""
    dataset = pydicom.dcmread(path)
    entity = AE(ae_title=CALLER)
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("localhost" if tls else LOOPBACK, port, ae_title=MEDGROUND, **tls)
    assert association.is_established
    status = association.send_c_store(dataset).Status
    association.release()
    assert association.is_released
    return int(status)

"""What stands before a data set, written and read."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.uid import CTImageStorage, JPEG2000Lossless

from medground.dicom.image import open_image
from medground.schema.errors import UnreadableFileError
from medground.serving.dicom_receiver.implementation import implementation_class_uid
from medground.serving.dicom_receiver.part10 import Part10Head, part10_head, read_part10_head
from tests.serving.dicom_receiver.running import write_image
from tests.serving.dicom_receiver.senders import data_set_bytes


@pytest.mark.parametrize("instance", ["1.2.3", "1.2.34", "2.25.abc-d"])
def test_pydicom_reads_what_is_written(tmp_path: Path, instance: str) -> None:
    content = part10_head(CTImageStorage, instance, JPEG2000Lossless)
    path = tmp_path / "head.dcm"
    path.write_bytes(content)
    meta = pydicom.filereader.read_file_meta_info(path)
    assert meta.FileMetaInformationGroupLength == len(content) - 144
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (CTImageStorage, instance)
    assert meta.TransferSyntaxUID == JPEG2000Lossless
    assert meta.ImplementationClassUID == implementation_class_uid()
    assert read_part10_head(path) == Part10Head(CTImageStorage, instance, JPEG2000Lossless, len(content))


def test_it_fits_before_a_data_set(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.dcm")
    head = read_part10_head(path)
    again = tmp_path / "again.dcm"
    uids = (head.sop_class_uid, head.sop_instance_uid, head.transfer_syntax_uid)
    again.write_bytes(part10_head(*uids) + data_set_bytes(path))
    assert path.read_bytes()[head.size_bytes :] == data_set_bytes(path)
    assert open_image(again).header == open_image(path).header


def test_files_without_one(tmp_path: Path) -> None:
    whole = write_image(tmp_path / "image.dcm").read_bytes()
    path = tmp_path / "broken.dcm"
    uid = pydicom.dcmread(tmp_path / "image.dcm").SOPInstanceUID.encode()
    for content in (
        b"",
        b"no DICOM",
        whole[:140],
        whole[132:],
        whole[:132] + whole[144:],
        whole.replace(uid, b"/" * len(uid)),
        whole[:140] + b"\xff\xff\xff\xff" + whole[144:],
    ):
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError):
            read_part10_head(path)
    with pytest.raises(UnreadableFileError):
        read_part10_head(tmp_path / "absent.dcm")

"""The SOP UIDs of a data set, from its first bytes."""

from __future__ import annotations

import io
import warnings
import zlib
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from medground.schema.errors import InputError
from medground.serving.dicom_receiver.identity import HEAD_BYTES, is_announced, raw_uid, sop_uids

UIDS = ("1.2.840.10008.5.1.4.1.1.2", "1.2.3.4")


def encoded(syntax: str, **elements: object) -> bytes:
    dataset = Dataset()
    dataset.SpecificCharacterSet, dataset.ImageType = "ISO_IR 192", ["ORIGINAL", "PRIMARY"]
    dataset.SOPClassUID, dataset.SOPInstanceUID = UIDS
    dataset.PatientName, dataset.PixelData = "Doe^Jane", b"\1\2" * 100_000
    dataset["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    write_dataset(stream, dataset)
    content = stream.getvalue()
    if syntax == DeflatedExplicitVRLittleEndian:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = packer.compress(content) + packer.flush()
    return content


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        JPEG2000Lossless,
    ],
)
def test_in_each_encoding(syntax: str) -> None:
    head = encoded(syntax)[:HEAD_BYTES]
    assert sop_uids(head, syntax) == UIDS
    assert is_announced(head, syntax, UIDS)
    assert not is_announced(head, syntax, (UIDS[0], "1.2.3.5"))


def test_odd_uids_are_compared_as_they_are_and_quoted_nowhere() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = encoded(ExplicitVRLittleEndian, SOPInstanceUID="2.25.0abc")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sop_uids(head, ExplicitVRLittleEndian) == (UIDS[0], "2.25.0abc")


def test_what_lacks_them_is_refused() -> None:
    late = b"\x08\0\x05\0UN\0\0" + HEAD_BYTES.to_bytes(4, "little") + bytes(HEAD_BYTES)
    late += encoded(ExplicitVRLittleEndian)
    bomb = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    inflating = bomb.compress(bytes(10**8)) + bomb.flush()
    nested = b"\x08\0\x06\0SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 2000
    for content, syntax in (
        (b"", ExplicitVRLittleEndian),
        (b"\x08\0\x16\0UI\x04\x001.2", ExplicitVRLittleEndian),
        (late, ExplicitVRLittleEndian),
        (inflating[:HEAD_BYTES], DeflatedExplicitVRLittleEndian),
        (nested, ExplicitVRLittleEndian),
    ):
        with pytest.raises(InputError):
            sop_uids(content[:HEAD_BYTES], syntax)


@given(st.binary(max_size=300), st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]))
def test_anything_is_read_or_refused(content: bytes, syntax: str) -> None:
    try:
        sop_class, sop_instance = sop_uids(content, syntax)
    except InputError:
        return
    assert sop_class
    assert sop_instance


def test_raw_uids(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(io.BytesIO(encoded(ExplicitVRLittleEndian)), force=True)
    assert raw_uid(dataset, 0x00080018) == "1.2.3.4"
    assert raw_uid(dataset, 0x0020000D) == ""
    dataset.StudyInstanceUID = "1.2"
    assert raw_uid(dataset, 0x0020000D) == "1.2"

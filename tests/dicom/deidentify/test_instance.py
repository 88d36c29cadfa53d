from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from pydicom import dcmread

from medground.dicom.deidentify.cleaning import Cleaner
from medground.dicom.deidentify.instance import deidentified, read_source
from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.pseudonyms import Pseudonyms
from medground.dicom.limits import Limits
from medground.schema.errors import LimitError, UnreadableFileError

CLEANER = Cleaner(Options(), Pseudonyms(bytes(32)))


def test_an_object_without_pixels_is_read_cleaned_and_written(
    patient_file: Callable[..., bytes], write_bytes: Any
) -> None:
    dataset = dcmread(io.BytesIO(patient_file(Modality="SR")))
    del dataset.PixelData
    source = read_source(write_bytes(dataset), Limits())
    assert source.parsed is None
    written, content, counts = deidentified(source, CLEANER, Limits())
    again = dcmread(io.BytesIO(content))
    assert again.SOPInstanceUID == written.SOPInstanceUID == again.file_meta.MediaStorageSOPInstanceUID
    assert again.Modality == "SR"
    assert sum(counts.values()) > 10
    with pytest.raises(LimitError, match="max_header_bytes"):
        read_source(write_bytes(dataset), Limits(max_header_bytes=100))


def test_an_object_without_an_instance_uid_cannot_be_written(patient_file: Callable[..., bytes]) -> None:
    source = read_source(patient_file(), Limits())
    del source.dataset.SOPInstanceUID
    with pytest.raises(UnreadableFileError, match="SOPInstanceUID is absent"):
        deidentified(source, CLEANER, Limits())

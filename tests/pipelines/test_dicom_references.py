"""The table of references: one file that all of them read, one that none does, and how a majority is found."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from pipelines.dicom_references import COLUMNS, Ours, compared, main, majority
from pipelines.judges.stored_pixels import Pixels, native_frames

STORED = np.arange(-6, 6, dtype=np.int16).reshape(1, 3, 4)


def _write(path: Path, **elements: object) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, "1.2.3", "CT"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 3, 4, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 1
    dataset.PhotometricInterpretation, dataset.RescaleSlope, dataset.RescaleIntercept = "MONOCHROME2", 2, -1000
    dataset.PixelData = (STORED & 0x0FFF).tobytes()  # the bits that are not stored are not the sign
    dataset["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.judge("dcmtk")
@pytest.mark.judge("libgdcm-tools")
def test_the_table(tmp_path: Path) -> None:
    _write(tmp_path / "a.dcm")
    (tmp_path / "b.dcm").write_text("no DICOM")
    assert main(["--data", str(tmp_path), "--write", str(tmp_path / "table.csv")]) == 0
    read, refused = csv.DictReader((tmp_path / "table.csv").read_text().splitlines())
    assert tuple(read) == COLUMNS
    assert [read[name] for name in COLUMNS[1:8]] == [
        *["decoded", "equal", "equal", "equal", "equal"],
        "pydicom+simpleitk+dcmtk+gdcm",
        "equal",
    ]
    assert [refused[name] for name in COLUMNS[1:8]] == ["UnreadableFileError", *["cannot"] * 4, "", "none can"]


def test_the_native_reader_by_hand(tmp_path: Path) -> None:
    _write(tmp_path / "a.dcm")
    assert np.array_equal(native_frames(tmp_path / "a.dcm"), STORED)
    _write(tmp_path / "short.dcm", Rows=30)
    assert native_frames(tmp_path / "short.dcm") is None
    colour = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    layout = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "SamplesPerPixel": 3}
    _write(
        tmp_path / "planes.dcm",
        **layout,
        Rows=2,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=1,
        PixelData=colour.tobytes(),
    )
    assert np.array_equal(native_frames(tmp_path / "planes.dcm"), np.moveaxis(colour, 0, -1)[np.newaxis])


def test_the_majority() -> None:
    def read(values: NDArray[np.int16], *, is_modality: bool = False) -> Pixels:
        return Pixels(values, is_modality)

    mine = Ours(STORED, STORED * 2.0 - 1000, 0)
    same, other, rescaled = read(STORED), read(STORED + 1), read(STORED * 2 - 1000, is_modality=True)
    nothing = Pixels(None)
    everyone = {"pydicom": same, "simpleitk": rescaled, "dcmtk": same, "gdcm": same}
    assert majority(mine, everyone) == ("pydicom", "simpleitk", "dcmtk", "gdcm")
    assert majority(mine, everyone | {"pydicom": other}) == ("simpleitk", "dcmtk", "gdcm")
    # GDCM twice is one vote, so two others who agree outvote it
    by_gdcm = {"simpleitk": read(STORED * 2 - 998, is_modality=True), "gdcm": other}
    assert majority(mine, everyone | by_gdcm) == ("pydicom", "dcmtk")
    assert majority(mine, dict.fromkeys(everyone, nothing)) == ()


def test_the_comparison() -> None:
    assert compared(STORED, STORED) == 0
    assert compared(STORED, STORED + np.int16(3)) == 3
    assert compared(STORED, STORED[:, :2]) == "shape 1x2x4"

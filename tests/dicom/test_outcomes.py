"""Every file of the development data comes to what the committed tables say, and to what four references make of it.

The tables are written by `python -m pipelines dicom-outcomes` and `dicom-references` (see there); a change of the first
is a change of behaviour, and the second names what pydicom, SimpleITK, DCMTK and GDCM made of the same pixels.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from medground.dicom.image import open_image
from pipelines.dicom_outcomes import main, outcomes
from pipelines.dicom_references import VERDICTS, reference_row
from pipelines.judges.stored_pixels import REFERENCES

TABLE, REFERENCE_TABLE = (
    Path(__file__).with_name(name) for name in ("expected_outcomes.csv", "reference_outcomes.csv")
)
SAMPLE = [
    "pydicom/SC_rgb_dcmtk_+eb+cy+s2.dcm",  # lossy, YBR_FULL_422
    "pydicom/JPEG-lossy.dcm",  # 12 bits
    "pydicom/SC_rgb_rle_16bit.dcm",  # GDCM stands alone
    "pydicom/badVR.dcm",
    "pydicom__pydicom-data/HTJ2K_08_RGB.dcm",
    "pydicom__pydicom-data/JLSL_16_15_1_1F.dcm",
    "pydicom__pydicom-data/OBXXXX1A_expb.dcm",  # a big endian palette
]


def _rows(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text().splitlines()))


@pytest.mark.real_data
def test_every_file_comes_to_what_the_table_says(shared_data: Path) -> None:
    expected = _rows(TABLE)
    assert len(expected) == 97
    assert outcomes(shared_data / "dicom") == expected


def test_whatever_a_reference_decodes_is_decoded_and_equal() -> None:
    """The pixels whose digest `expected_outcomes.csv` holds are those that the references were compared with."""
    ours = {row["file"]: row for row in _rows(TABLE)}
    rows = _rows(REFERENCE_TABLE)
    assert [row["file"] for row in rows] == list(ours)
    for row in rows:
        assert row["sha256"] == ours[row["file"]]["sha256"]
        assert row["ours"] == ours[row["file"]]["outcome"]
        assert row["verdict"] == VERDICTS.get(row["file"], "")
        able = [row[reference] for reference in REFERENCES if row[reference] != "cannot"]
        if row["verdict"] == "":
            assert all(cell in ("equal", "differs by 1") for cell in able), row
            assert (row["ours"] == "decoded") == bool(able), row
            assert row["agreement"] in ("equal", "within 1", "none can"), row
    assert sum(row["agreement"] == "equal" for row in rows) == 75


def test_every_verdict_stands_for_a_difference() -> None:
    by_file = {row["file"]: row for row in _rows(REFERENCE_TABLE)}
    for name in VERDICTS:
        cells = {by_file[name][reference] for reference in REFERENCES}
        assert any(cell.startswith("differs") or cell == "decoded" for cell in cells) or cells == {"cannot"}, name


@pytest.mark.parametrize(
    ("judged", "plain"),
    [
        ("pydicom/SC_rgb_rle_16bit", "pydicom__pydicom-data/SC_rgb_expb_16bit"),
        ("pydicom/SC_rgb_rle_16bit_2frame", "pydicom__pydicom-data/SC_rgb_expb_16bit_2frame"),
        ("pydicom/SC_rgb_rle_32bit", "pydicom__pydicom-data/SC_rgb_expb_32bit"),
        ("pydicom/SC_rgb_rle_32bit_2frame", "pydicom__pydicom-data/SC_rgb_expb_32bit_2frame"),
        ("pydicom/rtdose_expb", "pydicom/rtdose"),
        ("pydicom/rtdose_expb_1frame", "pydicom/rtdose_1frame"),
        (
            "pydicom__pydicom-data/emri_small_jpeg_2k_lossless_too_short",
            "pydicom__pydicom-data/emri_small_big_endian",
        ),
        ("pydicom__pydicom-data/liver_deflate", "pydicom__pydicom-data/liver_expb"),
        ("pydicom__pydicom-data/liver_rle", "pydicom__pydicom-data/liver_expb"),
    ],
)
def test_the_witness_of_a_verdict_holds_the_same_pixels(judged: str, plain: str) -> None:
    """Where references differ, the same picture in another file, on which they agree, tells who is right."""
    by_file = {row["file"]: row for row in _rows(REFERENCE_TABLE)}
    witness = by_file[f"{plain}.dcm"]
    assert witness["agreement"] == "equal"
    assert by_file[f"{judged}.dcm"]["sha256"] == witness["sha256"]


@pytest.mark.real_data
@pytest.mark.judge("dcmtk")
@pytest.mark.judge("libgdcm-tools")
@pytest.mark.parametrize("name", SAMPLE)
def test_the_references_say_today_what_the_table_says(shared_data: Path, name: str) -> None:
    committed = next(row for row in _rows(REFERENCE_TABLE) if row["file"] == name)
    assert reference_row(shared_data / "dicom" / name, name) == committed


@pytest.mark.real_data
def test_display_equals_pydicom_where_there_is_a_window_or_table(shared_data: Path) -> None:
    compared = []
    decoded = [row["file"] for row in _rows(TABLE) if row["outcome"] == "decoded"]
    for path in (shared_data / "dicom" / name for name in decoded):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True)
            has_voi = dataset.get("WindowWidth") is not None or dataset.get("VOILUTSequence")
            if not has_voi or dataset.get("PixelPaddingValue") is not None or "PixelData" not in dataset:
                continue
            if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
                continue
            image = open_image(path)
            modality = apply_modality_lut(image.stored(), dataset)
            seen = apply_voi_lut(modality, dataset).astype(np.float64)
        if dataset.get("VOILUTSequence"):
            low, high = 0, 2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
        elif dataset.get("ModalityLUTSequence"):
            low, high = 0, 2 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
        else:
            signed, bits = dataset.PixelRepresentation, dataset.BitsStored
            ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1], float)
            low, high = ends * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))
        expected = (seen - low) / (high - low)
        expected = 1 - expected if dataset.PhotometricInterpretation == "MONOCHROME1" else expected
        assert np.allclose(image.display(), expected, rtol=0, atol=1e-6), path.name
        compared.append(path.name)
    assert len(compared) >= 13


def test_the_table_is_written(tmp_path: Path) -> None:
    (tmp_path / "text.dcm").write_text("no DICOM")
    assert main(["--data", str(tmp_path), "--write", str(tmp_path / "table.csv")]) == 0
    assert (tmp_path / "table.csv").read_text().splitlines()[1] == "text.dcm,UnreadableFileError,,,,"

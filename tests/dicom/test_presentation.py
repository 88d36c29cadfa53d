"""What images look like under a presentation state: DCMTK shows them as our own display does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian

from medground.dicom.image import open_image
from medground.schema.errors import MedgroundError
from tests.dicom.judged import errors
from tests.dicom.sr_results import finding, stored, study
from tests.dicom.states import BOX, COLUMNS, GREY, GREY_STATE, ROWS, content, outlines, state, states

CT = {"SOPClassUID": CTImageStorage, "Modality": "CT", "BitsStored": 12, "HighBit": 11}
FRAMES = np.random.default_rng(6).integers(0, 256, (3, ROWS, COLUMNS)).astype(np.uint8)


def lut(entries: int, first: int, bits: int, **more: Any) -> DicomSequence:
    """A lookup table that runs backwards, so that it cannot be mistaken for none."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [entries, first, bits])
    item.add_new("LUTData", "OW", np.linspace(2**bits - 1, 0, entries).astype("<u2").tobytes())
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return DicomSequence([item])


def by_dcmtk(film: bytes, dataset: Dataset, folder: Path, frame: int = 1) -> tuple[NDArray[Any], Dataset]:
    """What dcmp2pgm shows of an image with a presentation state, 0..1, and the state as DCMTK writes it again."""
    (folder / "film.dcm").write_bytes(film)
    (folder / "gsps.dcm").write_bytes(stored(dataset))
    names = {name: str(folder / name) for name in ("film.dcm", "gsps.dcm", "shown.pgm", "again.dcm")}
    run = subprocess.run(
        [
            "dcmp2pgm",
            *("-f", str(frame)),
            *("-p", names["gsps.dcm"]),
            *("+S", names["again.dcm"]),
            names["film.dcm"],
            names["shown.pgm"],
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")
    with Image.open(names["shown.pgm"]) as picture:
        return np.asarray(picture) / 255, pydicom.dcmread(names["again.dcm"])


CASES: dict[str, dict[str, Any]] = {
    "no window": {},
    "no window, and padding": {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 500},
    "no window, rescaled": {**CT, "RescaleSlope": 0.5, "RescaleIntercept": -1024},
    "window": {"WindowCenter": 2000, "WindowWidth": 1000},
    "first of two windows": {"WindowCenter": [2000, 100], "WindowWidth": [1000, 50]},
    "MONOCHROME1": {"WindowCenter": 2000, "WindowWidth": 1000, "PhotometricInterpretation": "MONOCHROME1"},
    "inverse": {"WindowCenter": 2000, "WindowWidth": 1000, "PresentationLUTShape": "INVERSE"},
    "rescaled": {
        **CT,
        "RescaleSlope": 2.5,
        "RescaleIntercept": -1024,
        "RescaleType": "HU",
        "WindowCenter": 40,
        "WindowWidth": 400,
    },
    "VOI LUT": {"VOILUTSequence": lut(4096, 0, 16), "BitsStored": 12, "HighBit": 11},
    "VOI LUT of negative values": {
        **CT,
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "VOILUTSequence": lut(4096, -1024, 12),
    },
    "modality LUT": {
        "ModalityLUTSequence": lut(4096, 0, 16, ModalityLUTType="OD"),
        "BitsStored": 12,
        "HighBit": 11,
        "WindowCenter": 30000,
        "WindowWidth": 20000,
    },
}


@pytest.mark.judge("dcmtk", "dicom3tools")
@pytest.mark.parametrize("case", list(CASES))
def test_dcmtk_shows_it_as_we_do(case: str, tmp_path: Path) -> None:
    film = content(GREY, **CASES[case])
    ours = open_image(film)
    dataset = state(ours, BOX)
    assert errors(dataset, tmp_path, GREY_STATE) == []
    shown, again = by_dcmtk(film, dataset, tmp_path)
    expected = ours.display()
    assert expected.std() > 0.1
    if "PixelPaddingValue" in CASES[case]:  # DCMTK shows padding like all else, and we black
        shown = np.where(GREY <= 500, 0, shown)
    assert np.abs(shown - expected).max() < 1.5 / 255  # DCMTK cuts to 8 bits, and tables to fewer steps
    assert outlines(again) == outlines(dataset)
    check = subprocess.run(["dcmpschk", str(tmp_path / "gsps.dcm")], capture_output=True, text=True, check=False)
    assert "Test passed" in check.stdout + check.stderr


def test_the_window_keeps_its_function() -> None:
    """DCMTK knows none but LINEAR."""
    film = open_image(content(GREY, WindowCenter=2000.5, WindowWidth=1000, VOILUTFunction="SIGMOID"))
    (window,) = state(film, BOX).SoftcopyVOILUTSequence
    assert (window.WindowCenter, window.WindowWidth, window.VOILUTFunction) == (2000.5, 1000, "SIGMOID")
    flat = open_image(content(np.full((ROWS, COLUMNS), 7, np.uint16)))
    assert "SoftcopyVOILUTSequence" not in state(flat, BOX)


@pytest.mark.judge("dcmtk")
def test_the_picture_follows_the_state_and_not_the_image(tmp_path: Path) -> None:
    """That the comparison above can fail: another window or polarity in the state is another picture."""
    film = content(GREY, WindowCenter=2000, WindowWidth=1000)
    dataset = state(open_image(film), BOX)
    right, _ = by_dcmtk(film, dataset, tmp_path)
    dataset.PresentationLUTShape = "INVERSE"
    inverted, _ = by_dcmtk(film, dataset, tmp_path)
    assert np.allclose(inverted, 1 - right, atol=1 / 255)
    dataset.SoftcopyVOILUTSequence[0].WindowCenter = "1000"
    assert np.abs(by_dcmtk(film, dataset, tmp_path)[0] - inverted).max() > 0.5


@pytest.mark.judge("dcmtk", "dicom3tools")
def test_a_frame_of_several(tmp_path: Path) -> None:
    film = content(
        FRAMES, frames=3, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.2", Modality="OT", WindowCenter=90, WindowWidth=60
    )
    ours = open_image(film)
    found = [finding(ours, 1, BOX, frame=3), finding(ours, 2, (1, 2, 3, 4), frame=2)]
    (dataset,) = states([ours], study(ours, found))
    assert errors(dataset, tmp_path, GREY_STATE) == []
    for frame in (2, 3):
        shown, _ = by_dcmtk(film, dataset, tmp_path, frame)
        assert np.abs(shown - ours.display(frame)).max() < 1.5 / 255
    references = [annotation.ReferencedImageSequence[0] for annotation in dataset.GraphicAnnotationSequence]
    assert [one.ReferencedFrameNumber for one in references] == [2, 3]
    assert outlines(dataset)[0][0] == (1, 2)
    assert dataset.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedFrameNumber == [2, 3]


@pytest.mark.judge("dcmtk")
@pytest.mark.real_data
def test_dcmtk_shows_real_images_as_we_do(shared_data: Path, tmp_path: Path) -> None:
    """Every grey image that DCMTK renders; most have no window, and a state that names none would show them dark."""
    compared = 0
    for path in sorted((shared_data / "dicom").rglob("*.dcm")):
        try:
            one = open_image(path)
            expected = one.display()
            (dataset,) = states([one], study(one, [finding(one, 1, (0, 0, 1, 1))]))
        except MedgroundError:
            continue
        header = one.header
        of_32_bits_big_endian = header.bits_allocated == 32 and header.transfer_syntax_uid == ExplicitVRBigEndian
        if expected.ndim == 3 or expected.size > 2**21 or of_32_bits_big_endian:  # which DCMTK reads as noise
            continue
        try:
            shown, _ = by_dcmtk(path.read_bytes(), dataset, tmp_path)
        except AssertionError:
            continue  # DCMTK does not know the image
        assert np.abs(shown - expected).max() < 1.5 / 255, path.name
        compared += 1
    assert compared >= 15

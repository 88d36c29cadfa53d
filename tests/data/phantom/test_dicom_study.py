from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from medground.data.phantom.chest_ct import chest_ct
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import Photometric, write_ct_study, write_radiograph_study

PHOTOMETRIC: tuple[Photometric, ...] = ("MONOCHROME1", "MONOCHROME2")


@pytest.mark.parametrize("photometric", PHOTOMETRIC)
def test_displayed_film_is_the_phantom(tmp_path: Path, photometric: Photometric) -> None:
    image = chest_radiograph(7, size_px=128)
    (path,) = write_radiograph_study(image, tmp_path, photometric=photometric)
    dataset = dcmread(path)
    assert dataset.PhotometricInterpretation == photometric
    shown = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset) / 4095
    if photometric == "MONOCHROME1":
        shown = 1 - shown
    assert np.abs(shown - image.pixels).max() <= 0.5 / (float(dataset.WindowWidth) - 1) + 1e-4


def test_film_header_says_what_it_is(tmp_path: Path) -> None:
    image = chest_radiograph(8, size_px=128)
    dataset = dcmread(write_radiograph_study(image, tmp_path)[0])
    assert dataset.PatientID == "PHANTOM-8"
    assert dataset.PatientName == "PHANTOM^SEED8"
    assert (dataset.ViewPosition, dataset.BodyPartExamined) == ("PA", "CHEST")
    assert list(dataset.PatientOrientation) == ["L", "F"]
    assert [float(v) for v in dataset.ImagerPixelSpacing] == pytest.approx(image.spacing_mm, abs=1e-5)
    assert dataset.BitsStored == 12


def test_both_photometric_interpretations_come_from_seeds(tmp_path: Path) -> None:
    films = [chest_radiograph(seed, size_px=64, findings=[]) for seed in range(12)]
    kinds = {dcmread(write_radiograph_study(film, tmp_path)[0]).PhotometricInterpretation for film in films}
    assert kinds == set(PHOTOMETRIC)


def test_writing_twice_gives_the_same_file(tmp_path: Path) -> None:
    image = chest_radiograph(9, size_px=64)
    (first,) = write_radiograph_study(image, tmp_path / "a")
    (second,) = write_radiograph_study(image, tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_ct_series_holds_the_volume(tmp_path: Path) -> None:
    volume = chest_ct(5, size_px=64, slices=8)
    paths = write_ct_study(volume, tmp_path)
    series = [dcmread(path) for path in paths]
    read = np.stack([apply_modality_lut(dataset.pixel_array, dataset) for dataset in series])
    assert np.array_equal(read, volume.hu)
    heights = [float(dataset.ImagePositionPatient[2]) for dataset in series]
    assert np.diff(heights) == pytest.approx(np.full(7, volume.spacing_mm[0]), abs=1e-3)
    assert list(series[0].ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    assert [float(v) for v in series[0].PixelSpacing] == pytest.approx(volume.spacing_mm[1:], abs=1e-5)
    assert len({dataset.SOPInstanceUID for dataset in series}) == 8
    assert len({dataset.FrameOfReferenceUID for dataset in series}) == 1
    assert len({dataset.SeriesInstanceUID for dataset in series}) == 1


@pytest.mark.judge("dicom3tools")
def test_files_are_valid_dicom(tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        reason = "dciodvfy is not installed (Debian package dicom3tools)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    image = chest_radiograph(6, size_px=64)
    paths = write_ct_study(chest_ct(6, size_px=64, slices=8), tmp_path / "ct")[:2]
    for photometric in PHOTOMETRIC:
        paths += write_radiograph_study(image, tmp_path / photometric, photometric=photometric)
    for path in paths:
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        verdict = done.stdout + done.stderr
        assert "Error" not in verdict, verdict
        assert ("CTImage" in verdict) or ("DXImageForPresentation" in verdict)

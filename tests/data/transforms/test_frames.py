"""Frames in their own window are what serving would show; another window is applied to the units, before it cuts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from PIL import Image

from medground.data.phantom.chest_ct import nodule_ct
from medground.data.phantom.ct_truth import write_ct_truth
from medground.data.pixels import displayed
from medground.data.transforms.frames import Framed, hounsfield, shown, view_from
from medground.dicom.lut import Window
from medground.imaging.preprocess import prepare
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.errors import InputNotFoundError
from medground.schema.record import ImageRecord, Region
from tests.data.made_records import disc_record

SIZE = 128


@pytest.fixture(scope="module")
def ct_records(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRecord]:
    """CT as DICOM with a window, as a 16-bit picture with an offset, and as a volume."""
    folder = tmp_path_factory.mktemp("ct")
    volume = nodule_ct(3, slices=8)
    records = write_ct_truth(volume, folder / "dicom")
    number = next(number for number, record in enumerate(records) if record.regions)
    dicom, hu = records[number], volume.hu[number].astype(np.int32)
    Image.fromarray((hu + 32768).astype(np.uint16)).save(folder / "slice.png")
    bare = dicom.model_copy(update={"sha256": None})
    windowed = {"hu_offset": "32768", "DICOM_windows": "-500,300"}
    picture = bare.model_copy(update={"path": folder / "slice.png", "attributes": windowed})
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(volume.hu.astype(np.int16)), str(folder / "volume.mha"))
    return [dicom, picture, bare.model_copy(update={"path": folder / "volume.mha", "frame": number + 1})]


def test_hounsfield_units_come_back_as_they_were_written(ct_records: list[ImageRecord]) -> None:
    volume = nodule_ct(3, slices=8)
    truth = volume.hu[ct_records[2].frame - 1]
    for record in ct_records:
        frame = hounsfield(record)
        assert frame is not None
        assert frame.pixels_HW.dtype == np.int16
        np.testing.assert_array_equal(frame.pixels_HW, np.rint(truth))


def test_in_its_own_window_a_slice_is_what_serving_shows(ct_records: list[ImageRecord]) -> None:
    for record in ct_records:
        assert record.regions
        frame = hounsfield(record)
        assert frame is not None
        assert frame.window is not None
        view = shown(view_from(record, frame), frame.window, SIZE)
        served = prepare(displayed(record), SIZE)
        inner = served.pixels_HW[: served.letterbox.inner_rows, : served.letterbox.inner_columns]
        assert torch.allclose(view.pixels_HW, inner, atol=2e-4)
        expected = served.letterbox.to_frame(np.array([region.box.xyxy_px for region in record.regions]))
        np.testing.assert_allclose([region.box.xyxy_px for region in view.record.regions], expected)


def test_a_film_is_what_serving_shows_up_to_eight_bits(tmp_path: Path) -> None:
    record = disc_record(tmp_path, "film", [("nodule", 60, 90, 12)])
    view = view_from(record, Framed(SIZE)(record))
    assert record.path is not None
    served = prepare(record.path, SIZE).pixels_HW[: view.record.rows, : view.record.columns]
    assert torch.allclose(view.pixels_HW, served, atol=3 / 255 + 1e-6)
    assert view.record.regions[0].box.xyxy_px == pytest.approx((48 * 0.64, 78 * 0.64, 72 * 0.64, 102 * 0.64))
    assert view.record.spacing_mm == pytest.approx((1 / 0.64, 1 / 0.64))
    assert view.record.path is None


def test_a_window_is_applied_before_it_cuts(tmp_path: Path) -> None:
    # 1000 and 1200 HU are both white in a lung window; only a wider one, applied to the units, tells them apart.
    hu = np.full((64, 64), -800, np.int32)
    hu[20:40, 20:40], hu[20:40, 40:60] = 1000, 1200
    Image.fromarray((hu + 32768).astype(np.uint16)).save(tmp_path / "s.png")
    record = ImageRecord(
        record_id="s",
        patient_id="s",
        path=tmp_path / "s.png",
        columns=64,
        rows=64,
        domain=Domain.CHEST_CT,
        dataset="made",
        regions=(Region(concept="nodule", box=Box(x1=20, y1=20, x2=40, y2=40), source="made"),),
        attributes={"hu_offset": "32768"},
    )
    frame = Framed(64)(record)
    assert frame.window == Window(-600, 1500)
    view = view_from(record, frame)
    narrow = shown(view, frame.window, 64).pixels_HW
    assert narrow[30, 30] == narrow[30, 50]
    wide = shown(view, Window(0, 3000), 64).pixels_HW
    assert wide[30, 30] < wide[30, 50]


def test_a_record_without_a_file_is_refused() -> None:
    record = ImageRecord(
        record_id="none", patient_id="p", columns=4, rows=4, domain=Domain.CHEST_RADIOGRAPH, dataset="made"
    )
    with pytest.raises(InputNotFoundError, match="'none' names no image file"):
        Framed(64)(record)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from PIL import Image

from medground.data.pixels import displayed
from medground.schema.anatomy import Domain
from medground.schema.errors import InputNotFoundError, UnreadableFileError
from medground.schema.record import ImageRecord
from tests.dicom.conftest import dicom_file


def record(path: Path | None, frame: int = 1, **changes: object) -> ImageRecord:
    values = {"columns": 30, "rows": 20, "domain": Domain.CHEST_CT, "dataset": "d", **changes}
    return ImageRecord(record_id="r", patient_id="p", path=path, frame=frame, **values)


HU = np.linspace(-1500, 700, 600).reshape(20, 30).round()
LUNG = np.clip((HU + 1350) / 1500, 0, 1)  # centre -600, width 1500


def test_a_slice_of_a_volume_in_the_lung_window(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.stack([np.zeros_like(HU), HU]).astype(np.int16))
    path = tmp_path / "v.mhd"
    SimpleITK.WriteImage(image, str(path))
    assert np.allclose(displayed(record(path, 2)), LUNG, atol=2e-3)
    path.with_suffix(".raw").write_bytes(b"short")
    with pytest.raises(UnreadableFileError, match="cut short"):
        displayed(record(path, 2))


def test_hounsfield_units_in_a_png_in_the_window_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "s.png"
    Image.fromarray((HU + 32768).astype(np.uint16)).save(path)
    attributes = {"hu_offset": "32768", "DICOM_windows": "-175, 275"}
    expected = np.clip((HU + 175) / 450, 0, 1)
    assert np.allclose(displayed(record(path, attributes=attributes)), expected, atol=1e-6)
    assert np.allclose(displayed(record(path, attributes={"hu_offset": "32768"})), LUNG, atol=2e-3)


def test_pictures_and_dicom_as_they_are(tmp_path: Path) -> None:
    values = np.arange(600, dtype=np.uint8).reshape(20, 30)
    Image.fromarray(values).save(tmp_path / "p.png")
    assert np.allclose(displayed(record(tmp_path / "p.png")), values / 255)
    (tmp_path / "d.dcm").write_bytes(dicom_file(np.stack([values, 255 - values]), frames=2))
    two = displayed(record(tmp_path / "d.dcm", 2))
    assert np.corrcoef(two.ravel(), (255 - values).ravel())[0, 1] > 0.999
    with pytest.raises(UnreadableFileError, match="30x20"):
        displayed(record(tmp_path / "p.png", rows=21))
    with pytest.raises(InputNotFoundError, match="names no image"):
        displayed(record(None))

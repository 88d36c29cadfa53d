from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.transforms import Compose
from PIL import Image

from medground.imaging.preprocess import BLACK, DisplayReader, prepare, preprocessing, standardise
from medground.schema.errors import InputError


def ramp(rows: int, columns: int) -> np.ndarray:
    return np.linspace(0, 1, rows * columns, dtype=np.float32).reshape(rows, columns)


def test_it_is_a_monai_chain_over_a_monai_reader():
    from monai.data import ImageReader

    assert isinstance(preprocessing(64), Compose)
    assert isinstance(DisplayReader(), ImageReader)


def test_percentiles_go_to_two():
    image = ramp(100, 100)
    out = standardise(image)
    low, high = np.percentile(image, [0.5, 99.5])
    expected = np.clip((image - low) / (high - low) * 4 - 2, -3, 3)
    assert out == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("gain", "offset"), [(0.3, 0.1), (0.5, 0.5)])
def test_exposure_does_not_matter(gain, offset):
    image = ramp(64, 80)
    assert standardise(image * gain + offset) == pytest.approx(standardise(image), abs=1e-3)


def test_a_flat_image_is_black_and_finite():
    assert (prepare(np.full((50, 60), 0.7, np.float32), 64).pixels_HW == BLACK).all()


def test_a_file_and_its_pixels_give_the_same(tmp_path):
    pixels = (ramp(120, 90) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    from_file = prepare(tmp_path / "a.png", 64)
    from_array = prepare(pixels.astype(np.float32) / 255, 64)
    assert torch.equal(from_file.pixels_HW, from_array.pixels_HW)
    assert from_file.letterbox == from_array.letterbox


def test_colour_is_measured_and_turned_grey():
    red = np.zeros((40, 40, 3), np.float32)
    red[..., 0] = 1.0
    assert prepare(red, 64).colourfulness == pytest.approx(1.0)
    grey = np.repeat(ramp(40, 40)[..., None], 3, 2)
    assert prepare(grey, 64).colourfulness == 0.0


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "a.dcm").write_text("not an image")
    with pytest.raises(InputError):
        prepare(tmp_path / "a.dcm", 64)

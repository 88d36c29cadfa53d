from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medground.dicom.image import open_image
from pipelines.films import wrap_film


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_wrapped_film_displays_as_the_picture_did(tmp_path, photometric):
    pixels = np.random.default_rng(0).integers(0, 256, (51, 33), dtype=np.uint8)
    pixels[0, :2] = 0, 255  # a display without a window stretches to the full range
    Image.fromarray(pixels).save(tmp_path / "film.png")
    image = open_image(wrap_film(tmp_path / "film.png", tmp_path, body_part="CHEST", photometric=photometric))
    assert image.display() == pytest.approx(pixels / 255, abs=1 / 500)
    assert (image.header.modality, image.header.body_part) == ("DX", "CHEST")
    assert image.header.spacing_mm is None
    assert image.header.patient_orientation is None

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from medground.data.importers.stored_image import StoredImage, inspect
from medground.schema.box import Box

WriteJpeg = Callable[..., None]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_on_the_shown_picture_finds_its_stored_pixels(orientation: int, tmp_path: Path) -> None:
    """A rectangle painted into the stored pixels, found again in what Pillow shows, maps back onto itself."""
    pixels = np.zeros((40, 60), dtype=np.uint8)
    pixels[5:12, 20:50] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    stored = inspect(tmp_path / "a.png")
    assert stored == StoredImage(60, 40, orientation)
    with Image.open(tmp_path / "a.png") as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    assert stored.shown_size == (shown.shape[1], shown.shape[0])
    ys, xs = np.nonzero(shown)
    box = Box(x1=xs.min(), y1=ys.min(), x2=xs.max() + 1, y2=ys.max() + 1)
    assert stored.to_stored(box).xyxy_px == (20, 5, 50, 12)


def test_files_cut_short_absent_or_of_another_kind_raise(tmp_path: Path, write_jpeg: WriteJpeg) -> None:
    write_jpeg(tmp_path / "cut.jpg", cut=True)
    (tmp_path / "text.jpg").write_text("no picture", encoding="utf-8")
    for name in ("cut.jpg", "text.jpg", "absent.jpg"):
        with pytest.raises(OSError, match=r".+"):
            inspect(tmp_path / name)


def test_a_senseless_orientation_is_taken_as_none(tmp_path: Path, write_jpeg: WriteJpeg) -> None:
    write_jpeg(tmp_path / "a.jpg", orientation=9)
    assert inspect(tmp_path / "a.jpg").orientation == 1

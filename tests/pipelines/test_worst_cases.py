"""The sheet of cases chosen by hand on three films, looked at pixel by pixel."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from medground.evaluation.worst_cases import worst_cases
from medground.schema.errors import UsageError
from pipelines.worst_cases import (
    HEAD_PX,
    PREDICTED,
    TILE_PX,
    TRUTH,
    WORDS_PX,
    draw_cases,
    write_worst_cases,
)
from tests.evaluation.test_worst_cases import BOXES, IMAGES
from tests.full_disk import no_file_longer_than

GREY = (96, 96, 96)


def tile_of(sheet: Image.Image, number: int) -> Image.Image:
    left, top = number % 6 * TILE_PX, HEAD_PX + number // 6 * (TILE_PX + WORDS_PX)
    return sheet.crop((left, top, left + TILE_PX, top + TILE_PX))


def test_the_png_opens_and_holds_the_geometry_on_grey_without_pixels(tmp_path):
    path = tmp_path / "worst.png"
    cases = write_worst_cases(IMAGES, BOXES, path)
    assert len(cases) == 8
    with Image.open(path) as sheet:
        assert (sheet.format, sheet.size) == ("PNG", (6 * TILE_PX, HEAD_PX + 2 * (TILE_PX + WORDS_PX)))
        sheet.load()
        # The image is 100 px square and drawn 316 px wide, 2 px from the tile's edge.
        late, false = tile_of(sheet, 1), tile_of(sheet, 2)
    assert late.getpixel((2 + 63, 2 + 63)) == GREY  # inside the box
    assert late.getpixel((2 + 31, 2 + 63)) == TRUTH  # 10 px of 100: truth lies on top of its equal box
    assert {colour for _, colour in false.getcolors()} == {GREY, TRUTH, PREDICTED, (24, 24, 27)}
    assert false.getpixel((2 + round(3.16 * 60) - 1, 2 + 31)) == PREDICTED
    first = path.read_bytes()
    write_worst_cases(IMAGES[::-1], BOXES, path)
    assert path.read_bytes() == first


def test_pixels_lie_under_the_boxes_in_the_frame_of_the_stored_image():
    ramp = np.tile(np.linspace(0, 1, 50, dtype=np.float32), (50, 1))  # half the stored size
    colour = np.zeros((100, 100, 3), dtype=np.float32)
    colour[..., 0] = np.nan
    colour[..., 2] = 2.0
    shown = {"two": ramp, "one": colour}
    sheet = draw_cases(worst_cases(IMAGES, BOXES), IMAGES, shown.get)
    at = tile_of(sheet, 1).getpixel((2 + 158, 300))
    assert at[0] == at[1] == at[2] == pytest.approx(127, abs=4)
    assert tile_of(sheet, 1).getpixel((2 + 31, 2 + 63)) == TRUTH
    assert tile_of(sheet, 0).getpixel((100, 250)) == (0, 0, 255)
    assert tile_of(sheet, 6).getpixel((10, 10)) == GREY  # "open" has no pixels


def test_an_image_of_unknown_size_is_drawn_around_its_boxes_or_as_its_pixels():
    images = [dataclasses.replace(image, columns_rows_px=None) for image in IMAGES]
    cases = worst_cases(images, BOXES)
    sheet = draw_cases(cases[:1], images, None)
    assert sheet.size == (TILE_PX, HEAD_PX + TILE_PX + WORDS_PX)
    # The box ends at 80, 20: the ground is 88 by 22.
    columns = np.array(tile_of(sheet, 0))[TILE_PX // 2]
    assert (columns == GREY).all(axis=1).sum() > 200
    wide = draw_cases(cases[:1], images, lambda _: np.ones((50, 200), dtype=np.float32))
    rows = (np.array(tile_of(wide, 0))[:, 5] == 255).all(axis=1)
    assert rows.sum() == round(316 / 4)


def test_without_cases_nothing_is_written(tmp_path):
    path = tmp_path / "worst.png"
    assert write_worst_cases(IMAGES, {}, path) == []
    assert write_worst_cases([], {"nodule": []}, path) == []
    assert not path.exists()


def test_a_sheet_that_does_not_fit_on_the_disk_is_an_error_and_the_one_before_stays(tmp_path):
    path = tmp_path / "worst.png"
    write_worst_cases(IMAGES, BOXES, path)
    before = path.read_bytes()
    with (
        no_file_longer_than(len(before) - 1),
        pytest.raises(UsageError, match=r"worst.png cannot be written \(File too"),
    ):
        write_worst_cases(IMAGES, BOXES, path)
    assert [found.read_bytes() for found in tmp_path.iterdir()] == [before]

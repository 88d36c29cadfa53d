from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose
from transformers import vision_utils

from medground.imaging.letterbox import Letterbox
from medground.model.backbones.qwen_frame import (
    SPOKEN,
    FrameMap,
    PatchGrid,
    Spoken,
    level_of,
    patches_of,
    window_order,
)
from medground.schema.errors import UsageError

GRIDS = (PatchGrid(14, 2), PatchGrid(16, 2))


def sizes(count: int, longest: int) -> list[tuple[int, int]]:
    rng = np.random.default_rng(0)
    drawn = np.exp(rng.uniform(np.log(20), np.log(longest), (4 * count, 2))).astype(int)
    return [(int(w), int(h)) for w, h in drawn if max(w, h) < 200 * min(w, h)][:count]


def boxes_on(columns: int, rows: int) -> np.ndarray:
    return np.array([[0, 0, columns, rows], [0.25 * columns, 0.5 * rows, 0.3 * columns, 0.75 * rows]], dtype=np.float64)


def processor(grid: PatchGrid, low: int, high: int):
    return transformers.Qwen2VLImageProcessorPil(
        patch_size=grid.patch_px, size={"shortest_edge": low, "longest_edge": high}
    )


@pytest.mark.parametrize("grid", GRIDS)
def test_a_thousand_sizes_have_the_processors_grid_and_come_back_exactly(grid):
    """Each image goes through the real processor; both areas, too small and too large, are met."""
    low, high = 16 * grid.multiple_px**2, 64 * grid.multiple_px**2
    real = processor(grid, low, high)
    grown = shrunk = 0
    for columns, rows in sizes(1000, 700):
        frame = FrameMap.of_processor(columns, rows, grid, low, high)
        out = real(images=[np.zeros((rows, columns, 3), np.uint8)], return_tensors="pt")
        assert out["image_grid_thw"].tolist() == [list(frame.grid_thw(grid.patch_px))]
        grown += frame.frame_columns > columns
        shrunk += frame.frame_columns < columns
        box = boxes_on(columns, rows)
        in_frame = frame.to_frame(box)
        assert_allclose(in_frame[0], [0, 0, frame.frame_columns, frame.frame_rows], atol=1e-6)
        assert_allclose(frame.to_stored(in_frame), box, atol=1e-6)
        for stride in grid.strides_px:
            cells = frame.to_cells(box, stride)
            assert_allclose(cells[1, 0] * stride, box[1, 0] * out["image_grid_thw"][0, 2] * grid.patch_px / columns)
            assert_allclose(frame.from_cells(cells, stride), box, atol=1e-6)
        for spoken in Spoken:
            assert_allclose(frame.from_spoken(frame.to_spoken(box, spoken), spoken), box, atol=1e-6)
    assert grown > 100
    assert shrunk > 100


@pytest.mark.parametrize("grid", GRIDS)
def test_a_bright_square_lies_where_the_map_says_after_the_real_processor(grid):
    """The centre of mass of what the processor made of a square, against the map of its centre: no half-pixel shift."""
    low, high = 16 * grid.multiple_px**2, 100 * grid.multiple_px**2
    real = processor(grid, low, high)
    for columns, rows in sizes(400, 1200)[::10]:
        frame = FrameMap.of_processor(columns, rows, grid, low, high)
        half = max(2, min(columns, rows) // 8)
        x, y = columns // 3, rows // 2
        box = np.array([[x - half, y - half, x + half, y + half]], dtype=np.float64).clip(0)
        image = np.zeros((rows, columns, 3), np.uint8)
        x1, y1, x2, y2 = box[0].astype(int)
        image[y1:y2, x1:x2] = 255
        out = real(images=[image], return_tensors="np")
        _, grid_rows, grid_columns = out["image_grid_thw"][0]
        p = grid.patch_px
        tokens = torch.from_numpy(out["pixel_values"]).reshape(-1, 3, 2, p, p)[:, 0, 0].flatten(1)
        cells = level_of(tokens, 1, int(grid_rows), int(grid_columns), 2).reshape(p, p, grid_rows, grid_columns)
        pixels = cells.permute(2, 0, 3, 1).reshape(grid_rows * p, grid_columns * p).double().numpy()
        mass = pixels - pixels[0, 0]
        middle_x = (mass.sum(0) @ (np.arange(mass.shape[1]) + 0.5)) / mass.sum()
        middle_y = (mass.sum(1) @ (np.arange(mass.shape[0]) + 0.5)) / mass.sum()
        left, top, right, bottom = frame.to_frame(box)[0]
        assert abs(middle_x - (left + right) / 2) < 0.05
        assert abs(middle_y - (top + bottom) / 2) < 0.05


@pytest.mark.parametrize("grid", GRIDS)
def test_patches_are_the_processors_own(grid):
    real = processor(grid, 1, 10**9)
    cell = grid.multiple_px
    images = np.random.default_rng(1).integers(0, 256, (2, 3 * cell, 2 * cell, 3), dtype=np.uint8)
    expected = real(images=list(images), return_tensors="pt")["pixel_values"]
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (real.image_mean, real.image_std))
    normalised = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - mean) / std
    assert torch.allclose(patches_of(normalised, grid, 2), expected, atol=1e-5)


def test_a_letterbox_only_gains_padding():
    for columns, rows in sizes(1000, 4000):
        box = Letterbox.fit(columns, rows, 512)
        frame = FrameMap.of_letterbox(box, PatchGrid(14, 2))
        corners = boxes_on(columns, rows)
        assert_allclose(frame.to_frame(corners), box.to_frame(corners), atol=1e-9)
        assert frame.frame_columns % 28 == frame.frame_rows % 28 == 0
        assert 0 <= frame.frame_columns - box.frame_columns < 28
        same = FrameMap.of_letterbox(box, PatchGrid(16, 2))
        assert (same.frame_columns, same.frame_rows) == (box.frame_columns, box.frame_rows)


def test_boxes_are_spoken_as_each_family_was_taught():
    frame = FrameMap.of_processor(1000, 500, PatchGrid(14, 2), 28 * 28, 28 * 28 * 128)
    assert (frame.frame_columns, frame.frame_rows) == (448, 224)
    box = np.array([[250.0, 125.0, 500.0, 500.0]])
    assert_allclose(frame.to_spoken(box, SPOKEN["qwen2_5_vl"]), [[112, 56, 224, 224]])
    for family in ("qwen2_vl", "qwen3_vl"):
        assert_allclose(frame.to_spoken(box, SPOKEN[family]), [[250, 250, 500, 1000]])


def test_a_strip_is_refused():
    with pytest.raises(UsageError, match="4020x20"):
        FrameMap.of_processor(4020, 20, PatchGrid(14, 2), 1, 10**6)


def test_levels_come_back_in_raster_order():
    grid = PatchGrid(14, 2)
    image = torch.arange(6 * 4.0).reshape(1, 1, 6, 4).repeat_interleave(14, 2).repeat_interleave(14, 3)
    tokens = patches_of(image, grid, 1)[:, :1]
    assert level_of(tokens, 1, 6, 4, 2).flatten().tolist() == list(range(24))


def test_windows_follow_each_other_and_are_cut_at_the_edge():
    assert window_order(3, 3, 2).tolist() == [0, 1, 3, 4, 2, 5, 6, 7, 8]
    for rows, columns, window in ((5, 7, 4), (4, 4, 4), (9, 3, 2), (1, 10, 4)):
        theirs, _ = vision_utils.get_vision_window_index(
            torch.tensor([[1, 2 * rows, 2 * columns]]), spatial_merge_size=2, window_size=window * 28, patch_size=14
        )
        assert window_order(rows, columns, window).tolist() == theirs.tolist()

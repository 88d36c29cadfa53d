"""The map from stored pixels to the cells of Qwen's tower, with the parts that answers are really made by."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose
from torch.nn import functional as F
from transformers import vision_utils

from medground.imaging.letterbox import Letterbox
from medground.model.backbones.qwen_frame import FrameMap, PatchGrid, level_of, patches_of, window_order
from medground.model.dense_head import locations
from medground.model.roi import roi_align

GRIDS = (PatchGrid(14, 2), PatchGrid(16, 2))
FILL = -7.0


def sizes(count: int, longest: int) -> list[tuple[int, int]]:
    """Columns and rows, from squares to strips."""
    rng = np.random.default_rng(0)
    drawn = np.exp(rng.uniform(np.log(20), np.log(longest), (count, 2))).astype(int)
    return [(int(w), int(h)) for w, h in drawn]


def processor(grid: PatchGrid, low: int, high: int) -> transformers.Qwen2VLImageProcessorPil:
    return transformers.Qwen2VLImageProcessorPil(
        patch_size=grid.patch_px, size={"shortest_edge": low, "longest_edge": high}
    )


def where(box: Letterbox) -> torch.Tensor:
    """A picture of the model frame whose two channels are the x and y of each pixel's middle."""
    y, x = torch.meshgrid(torch.arange(box.frame_rows) + 0.5, torch.arange(box.frame_columns) + 0.5, indexing="ij")
    return torch.stack([x, y])[None]


def cells_of(picture: torch.Tensor, frame: FrameMap) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of each patch and of each merged cell, cut and put in order as the tower's own tokens are."""
    tokens = patches_of(frame.pad(picture, FILL), frame.grid, 1)
    means = tokens.reshape(len(tokens), picture.shape[1], -1).mean(2)
    patches = level_of(means, 1, *frame.patches, frame.grid.merge)
    return patches, F.avg_pool2d(patches, frame.grid.merge)


@pytest.mark.parametrize("grid", GRIDS)
def test_cells_of_a_thousand_sizes_lie_where_heads_look_for_them_and_boxes_come_back(grid: PatchGrid) -> None:
    """Stored pixels, model frame, tower, cells and back; the real processor would cut the padded frame just so."""
    real, checked = processor(grid, 1, 10**9), 0
    for columns, rows in sizes(1000, 4000):
        box = Letterbox.fit(columns, rows, 320)
        frame = FrameMap(box.frame_columns, box.frame_rows, grid)
        right, bottom = frame.padding
        assert 0 <= right < grid.multiple_px
        assert 0 <= bottom < grid.multiple_px
        image = np.zeros((box.frame_rows + bottom, box.frame_columns + right, 3), np.uint8)
        assert real(images=[image], return_tensors="pt")["image_grid_thw"].tolist() == [[1, *frame.patches]]
        stored = np.array([[0.3 * columns, 0.4 * rows, 0.6 * columns, 0.7 * rows]])
        in_frame = torch.from_numpy(box.to_frame(stored))
        for level, stride in zip(cells_of(where(box), frame), grid.strides_px[1:], strict=True):
            centres, _ = locations([(level.shape[2], level.shape[3])], (stride,))
            own = level[0].flatten(1).T
            inside = (centres + stride / 2 <= torch.tensor([box.frame_columns, box.frame_rows])).all(1)
            outside = (centres - stride / 2 >= torch.tensor([box.frame_columns, box.frame_rows])).any(1)
            assert torch.allclose(own[inside], centres[inside], atol=1e-3)
            assert (own[outside] == FILL).all()
            low, high = in_frame[0, :2].min(), in_frame[0, 2:] + stride
            if low >= stride / 2 and (high <= torch.tensor([box.frame_columns, box.frame_rows])).all():
                seen = roi_align(level.double(), in_frame, torch.tensor([0]), stride).mean((2, 3)).numpy()
                middle = box.to_stored(np.concatenate([seen, seen], 1))[:, :2]
                assert_allclose(middle, [[0.45 * columns, 0.55 * rows]], atol=1e-3 * max(columns, rows) / 320)
                checked += 1
    assert checked > 700


@pytest.mark.parametrize("grid", GRIDS)
def test_a_bright_square_is_found_where_it_lies_in_the_stored_image(grid: PatchGrid) -> None:
    """The centre of mass over the pixels that the tower is given, back in stored pixels: no half-pixel shift."""
    for columns, rows in sizes(400, 1200)[::10]:
        half = max(2, min(columns, rows) // 8)
        x, y = columns // 3, rows // 2
        x1, y1, x2, y2 = max(0, x - half), max(0, y - half), min(columns, x + half), min(rows, y + half)
        image = torch.zeros(rows, columns)
        image[y1:y2, x1:x2] = 1
        box = Letterbox.fit(columns, rows, 320)
        frame = FrameMap(box.frame_columns, box.frame_rows, grid)
        tokens = patches_of(frame.pad(box.apply(image, fill=0.0)[None, None], 0.0), grid, 1)
        p = grid.patch_px
        cells = level_of(tokens, 1, *frame.patches, grid.merge).reshape(p, p, *frame.patches)
        mass = cells.permute(2, 0, 3, 1).reshape(frame.patches[0] * p, frame.patches[1] * p).double().numpy()
        middle_x = (mass.sum(0) @ (np.arange(mass.shape[1]) + 0.5)) / mass.sum()
        middle_y = (mass.sum(1) @ (np.arange(mass.shape[0]) + 0.5)) / mass.sum()
        found = box.to_stored(np.array([[middle_x, middle_y, middle_x, middle_y]]))[0]
        scale = box.scale_xy
        assert abs(found[0] - (x1 + x2) / 2) * scale[0] < 0.1
        assert abs(found[1] - (y1 + y2) / 2) * scale[1] < 0.1


@pytest.mark.parametrize("grid", GRIDS)
def test_patches_are_the_processors_own(grid):
    real = processor(grid, 1, 10**9)
    cell = grid.multiple_px
    images = np.random.default_rng(1).integers(0, 256, (2, 3 * cell, 2 * cell, 3), dtype=np.uint8)
    expected = real(images=list(images), return_tensors="pt")["pixel_values"]
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (real.image_mean, real.image_std))
    normalised = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - mean) / std
    assert torch.allclose(patches_of(normalised, grid, 2), expected, atol=1e-5)


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

"""RoIAlign by `grid_sample`, routed by the pyramid level a proposal came from.

Legend: B images, N regions, C channels, S samples per side.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLES = 5  # per side of a region


def roi_align(level_BCHW: Tensor, boxes_N4: Tensor, image_N: Tensor, stride_px: int, samples: int = SAMPLES) -> Tensor:
    """Samples each box on a regular grid, one bilinear sample at the centre of each cell.

    Args:
        level_BCHW: features of stride `stride_px`.
        boxes_N4: xyxy pixels of the model frame.
        image_N: which image each box belongs to.
        stride_px: pixels per feature cell.
        samples: cells per side of a box.

    Returns:
        (N, C, S, S); outside the level the border value is repeated.

    Source: Mask R-CNN, He et al., 2017, section 3 (RoIAlign, sampling ratio 1).
    """
    rows, columns = level_BCHW.shape[2:]
    step_S = (torch.arange(samples, dtype=boxes_N4.dtype) + 0.5) / samples
    x_NS = boxes_N4[:, 0, None] + (boxes_N4[:, 2] - boxes_N4[:, 0])[:, None] * step_S
    y_NS = boxes_N4[:, 1, None] + (boxes_N4[:, 3] - boxes_N4[:, 1])[:, None] * step_S
    grid_NSS2 = torch.stack(
        [
            (x_NS / (columns * stride_px) * 2 - 1)[:, None, :].expand(-1, samples, -1),
            (y_NS / (rows * stride_px) * 2 - 1)[:, :, None].expand(-1, -1, samples),
        ],
        -1,
    )
    sampled = level_BCHW.new_zeros(len(boxes_N4), level_BCHW.shape[1], samples, samples)
    for image in sorted(set(image_N.tolist())):
        mine_N = image_N == image
        grid_1MS2 = grid_NSS2[mine_N].flatten(0, 1)[None]
        values_1CMS = F.grid_sample(
            level_BCHW[image : image + 1], grid_1MS2, mode="bilinear", padding_mode="border", align_corners=False
        )
        values = torch.unflatten(values_1CMS[0], 1, (-1, samples)).transpose(0, 1)
        sampled = sampled.index_put((mine_N.nonzero().squeeze(1),), values)
    return sampled


def region_features(
    levels_BCHW: tuple[Tensor, ...], boxes_N4: Tensor, image_N: Tensor, level_N: Tensor, strides_px: tuple[int, ...]
) -> Tensor:
    """One (N, C, S, S) sample per region, read from the pyramid level that proposed it."""
    features = None
    for index, (level_BCHW, stride) in enumerate(zip(levels_BCHW, strides_px, strict=True)):
        mine_N = (level_N == index).nonzero().squeeze(1)
        part = roi_align(level_BCHW, boxes_N4[mine_N], image_N[mine_N], stride)
        if features is None:
            features = part.new_zeros(len(boxes_N4), *part.shape[1:])
        features = features.index_put((mine_N,), part)
    if features is None:
        raise ValueError("region_features needs at least one pyramid level")
    return features

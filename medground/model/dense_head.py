"""Text-conditioned dense proposals: every location scores every phrase and regresses a box.

Legend: B images, A locations of all levels, P phrases, D embedding width, K distance bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medground.model.backbones.interface import Pyramid
from medground.model.config import HeadConfig
from medground.model.layers import separable
from medground.model.shared_norm import SharedBatchNorm2d


@dataclass(frozen=True, slots=True)
class Dense:
    """What the dense head says of a batch.

    Attributes:
        logits_BAP: score of each phrase at each location (before the sigmoid).
        embedding_BAD: what the scores are products of; prototypes live in its space.
        distances_BA4K: logits of the distance distribution of each box side, in strides.
        boxes_BA4: xyxy pixels of the model frame.
        centres_A2: x, y of the locations, pixels of the model frame.
        strides_A: stride of the level of each location, pixels.
    """

    logits_BAP: Tensor
    embedding_BAD: Tensor
    distances_BA4K: Tensor
    boxes_BA4: Tensor
    centres_A2: Tensor
    strides_A: Tensor


def locations(sizes: list[tuple[int, int]], strides_px: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Centres (A, 2) as x, y pixels and strides (A,) of all locations, finest level first, row by row."""
    centres, strides = [], []
    for (rows, columns), stride in zip(sizes, strides_px, strict=True):
        y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        centres.append(torch.stack([x, y], -1).reshape(-1, 2) * stride)
        strides.append(torch.full((rows * columns,), float(stride)))
    return torch.cat(centres), torch.cat(strides)


class DenseHead(nn.Module):
    """One head shared by all levels.

    The score of a phrase is the scaled dot product of a batch-normalised location embedding and the phrase's unit
    vector (YOLO-World, Cheng et al., 2024, eq. 2); without the norm's affine part, or with a prior of a hundredth, the
    background of sixteen phrases outweighed everything and training diverged. Box sides are distributions over
    distance bins (Generalized Focal Loss, Li et al., 2020, section 3.2).
    """

    def __init__(self, width: int, text_width: int, config: HeadConfig) -> None:
        super().__init__()
        act = config.activation
        self.bins, self.single_scale = config.bins, config.single_scale
        self.score = nn.Sequential(
            separable(width, width, activation=act),
            separable(width, width, activation=act),
            nn.Conv2d(width, text_width, 1),
        )
        self.norm = SharedBatchNorm2d(text_width)
        self.box = nn.Sequential(
            separable(width, width, activation=act),
            separable(width, width, activation=act),
            nn.Conv2d(width, 4 * config.bins, 1),
        )
        self.scale = nn.Parameter(torch.tensor(0.0))
        self.bias = nn.Parameter(torch.tensor(config.prior_logit))

    def forward(self, pyramid: Pyramid, text_PD: Tensor) -> Dense:
        """Scores every phrase at every location; see `Dense`."""
        embeddings, distances, sizes = [], [], []
        used = slice(1, 2) if self.single_scale else slice(None)
        for level_BCHW in pyramid.levels_BCHW[used]:
            embeddings.append(self.norm(self.score(level_BCHW)).flatten(2))
            distances.append(self.box(level_BCHW).flatten(2))
            sizes.append((level_BCHW.shape[2], level_BCHW.shape[3]))
        embedding_BAD = torch.cat(embeddings, 2).transpose(1, 2)
        logits_BAP = embedding_BAD @ text_PD.T * self.scale.exp() + self.bias
        distances_BA4K = torch.unflatten(torch.cat(distances, 2).transpose(1, 2), 2, (4, self.bins))
        centres_A2, strides_A = locations(sizes, pyramid.strides_px[used])
        boxes_BA4 = boxes_from_distances(distances_BA4K, centres_A2, strides_A)
        return Dense(logits_BAP, embedding_BAD, distances_BA4K, boxes_BA4, centres_A2, strides_A)


def boxes_from_distances(distances_BA4K: Tensor, centres_A2: Tensor, strides_A: Tensor) -> Tensor:
    """Boxes (B, A, 4), xyxy pixels, from the expected distance of each side (left, top, right, bottom)."""
    bins = torch.arange(distances_BA4K.shape[-1], dtype=distances_BA4K.dtype)
    expected_BA4 = distances_BA4K.softmax(-1) @ bins * strides_A[:, None]
    return torch.cat([centres_A2 - expected_BA4[..., :2], centres_A2 + expected_BA4[..., 2:]], -1)

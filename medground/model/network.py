"""The grounding network: backbone, text, dense proposals, queries, presence, image kind, describer.

Legend: B images, P phrases, A locations, N image-phrase pairs, Q queries, D width, G boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medground.imaging.boxes import nms
from medground.model.backbones.compact import STRIDES_PX, CompactBackbone, Pyramid
from medground.model.config import ModelConfig
from medground.model.decoder import QueryDecoder, Refined
from medground.model.dense_head import Dense, DenseHead
from medground.model.describer import Describer
from medground.model.roi import region_features
from medground.model.text_encoder import TextEncoder
from medground.schema.anatomy import DOMAINS

PRE_NMS = 300
REGION_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Proposals:
    """The best dense boxes of each image-phrase pair, padded to Q with repeats of score -20.

    Attributes:
        boxes_NQ4: xyxy pixels of the model frame.
        logits_NQ: dense scores before the sigmoid.
        level_NQ: pyramid level each came from.
    """

    boxes_NQ4: Tensor
    logits_NQ: Tensor
    level_NQ: Tensor


class PresenceHead(nn.Module):
    """Is what is asked anywhere on the image? The image vector against the phrase, plus the best location."""

    def __init__(self, image_width: int, text_width: int) -> None:
        super().__init__()
        self.project = nn.Sequential(
            nn.Linear(image_width, text_width), nn.SiLU(), nn.Linear(text_width, text_width), nn.LayerNorm(text_width)
        )
        self.scale = nn.Parameter(torch.tensor(0.0))
        self.evidence = nn.Parameter(torch.tensor(0.5))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def forward(self, image_BC: Tensor, text_PD: Tensor, best_logit_BP: Tensor) -> Tensor:
        """Logits (B, P); `best_logit_BP` is the best dense score and receives no gradient."""
        against_BP: Tensor = self.project(image_BC) @ text_PD.T * self.scale.exp()
        return against_BP + self.evidence * best_logit_BP.detach() + self.bias


class GroundingNetwork(nn.Module):
    """All trainable parts; what they are composed into is decided by `Grounder` and by the training objective."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width, image_width = config.backbone.pyramid_width, config.backbone.channels[-1]
        self.text = TextEncoder(config.text)
        self.backbone = CompactBackbone(config.backbone)
        self.dense = DenseHead(width, config.text.width, config.head)
        self.presence = PresenceHead(image_width, config.text.width)
        self.kind = nn.Linear(image_width, len(DOMAINS))
        self.region = nn.Sequential(
            nn.Linear(width * REGION_SAMPLES**2, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )
        self.decoder = QueryDecoder(width, config.text.width, config.decoder)
        self.describer_region = nn.Sequential(
            nn.Linear(width * REGION_SAMPLES**2, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )
        self.describer = Describer(width, config.describer)

    def propose(self, dense: Dense, image_N: Tensor, phrase_N: Tensor, queries: int) -> Proposals:
        """Thins the dense boxes of each pair by NMS and keeps the best `queries`; carries no gradient."""
        boxes, logits, levels = [], [], []
        with torch.no_grad():
            for image, phrase in zip(image_N.tolist(), phrase_N.tolist(), strict=True):
                score_A = dense.logits_BAP[image, :, phrase]
                top_K = score_A.topk(min(PRE_NMS, len(score_A))).indices
                kept = nms(dense.boxes_BA4[image, top_K], score_A[top_K], self.config.decoder.proposal_nms_iou, queries)
                index_Q = top_K[kept]
                short = queries - len(index_Q)
                level = torch.stack([dense.strides_A[index_Q] == stride for stride in STRIDES_PX]).int().argmax(0)
                boxes.append(_pad(dense.boxes_BA4[image, index_Q], short))
                logits.append(F.pad(score_A[index_Q], (0, short), value=-20.0))
                levels.append(_pad(level, short))
        return Proposals(torch.stack(boxes), torch.stack(logits), torch.stack(levels))

    def sample_regions(self, pyramid: Pyramid, boxes_N4: Tensor, image_N: Tensor, level_N: Tensor) -> Tensor:
        """Flattened RoIAlign samples (N, D * 25) of each box from its own level."""
        return region_features(pyramid.levels_BCHW, boxes_N4, image_N, level_N, STRIDES_PX).flatten(1)

    def refine(
        self, pyramid: Pyramid, text_PD: Tensor, image_N: Tensor, phrase_N: Tensor, found: Proposals
    ) -> list[Refined]:
        """Runs the query decoder over proposals; one `Refined` per layer."""
        pairs, queries = found.logits_NQ.shape
        regions = self.region(
            self.sample_regions(
                pyramid, found.boxes_NQ4.flatten(0, 1), image_N.repeat_interleave(queries), found.level_NQ.flatten()
            )
        ).unflatten(0, (pairs, queries))
        size_px = float(max(pyramid.levels_BCHW[0].shape[2:]) * STRIDES_PX[0])
        outputs: list[Refined] = self.decoder(
            pyramid, image_N, text_PD[phrase_N], found.boxes_NQ4, regions, found.logits_NQ, size_px
        )
        return outputs

    def words_from(self, pyramid: Pyramid, boxes_N4: Tensor, image_N: Tensor) -> Tensor:
        """Region vectors (N, D) that the describer decodes, read from the finest level, where texture is."""
        level_N = torch.zeros(len(boxes_N4), dtype=torch.int64)
        vectors_ND: Tensor = self.describer_region(self.sample_regions(pyramid, boxes_N4, image_N, level_N))
        return vectors_ND


def _pad(rows: Tensor, short: int) -> Tensor:
    return torch.cat([rows, rows[-1:].expand(short, *rows.shape[1:])]) if short else rows


def channels_last(network: nn.Module) -> None:
    """Lays kernels out for the convolutions that CPUs run fastest."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def count_parameters(network: nn.Module) -> int:
    """Number of trainable and frozen numbers."""
    return sum(parameter.numel() for parameter in network.parameters())

"""The grounding network: backbone, text, dense proposals, queries, presence, image kind, describer.

Legend: B images, P phrases, A locations, N image-phrase pairs, Q queries, D width, G boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medground.imaging.boxes import nms
from medground.model.backbones.interface import Backbone, Pyramid
from medground.model.config import ModelConfig
from medground.model.decoder import QueryDecoder, Refined
from medground.model.dense_head import Dense, DenseHead
from medground.model.prototypes import PrototypeBank
from medground.model.roi import SAMPLES, region_features
from medground.schema.anatomy import DOMAINS

PRE_NMS = 300


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

    def __init__(self, image_width: int, text_width: int, *, gate: bool = True) -> None:
        super().__init__()
        self.gate = gate
        self.project = nn.Sequential(
            nn.Linear(image_width, text_width), nn.SiLU(), nn.Linear(text_width, text_width), nn.LayerNorm(text_width)
        )
        self.scale = nn.Parameter(torch.tensor(0.0))
        self.evidence = nn.Parameter(torch.tensor(0.5))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def forward(self, image_BC: Tensor, text_PD: Tensor, best_logit_BP: Tensor) -> Tensor:
        """Logits (B, P); `best_logit_BP` is the best dense score and receives no gradient."""
        against_BP: Tensor = self.project(image_BC) @ text_PD.T * self.scale.exp() * float(self.gate)
        return against_BP + self.evidence * best_logit_BP.detach() + self.bias


class GroundingNetwork(nn.Module):
    """All trainable parts; what they are composed into is decided by `Grounder` and by the training objective.

    Args:
        config: sizes.
        backbone: its widths are what the heads are built for.
    """

    def __init__(self, config: ModelConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        width, image_width, text_width = backbone.width, backbone.image_width, backbone.text_width
        self.dense = DenseHead(width, text_width, config.head)
        self.presence = PresenceHead(image_width, text_width, gate=config.head.presence_gate)
        self.kind = nn.Linear(image_width, len(DOMAINS))
        self.region = nn.Sequential(nn.Linear(width * SAMPLES**2, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
        self.decoder = QueryDecoder(width, text_width, config.decoder)
        self.prototypes = PrototypeBank(len(config.classes), text_width, config.prototypes)

    def learned_state(self) -> dict[str, Tensor]:
        """The state without what was given and never changes: what a checkpoint and a bundle hold."""
        given = {f"backbone.{name}" for name in self.backbone.given()}
        return {name: value for name, value in self.state_dict().items() if name not in given}

    def load_learned_state(self, state: dict[str, Tensor]) -> None:
        """Takes what `learned_state` gave.

        Raises:
            RuntimeError: if names or shapes are not those of this network.
        """
        mine = self.learned_state()
        if set(mine) != set(state):
            odd = sorted(set(mine) ^ set(state))
            raise RuntimeError(f"weights do not fit the network: {odd[0]} and {len(odd) - 1} more names differ")
        self.load_state_dict(state, strict=False)

    def weigh_prototypes(self, max_share: float) -> None:
        """Sets the share of the score that prototypes of the rarest classes have, 0..1."""
        chosen = self.config.prototypes.model_copy(update={"max_share": max_share})
        self.config = self.config.model_copy(update={"prototypes": chosen})
        self.prototypes.config = chosen

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
                strides = self.backbone.strides_px
                level = torch.stack([dense.strides_A[index_Q] == stride for stride in strides]).int().argmax(0)
                boxes.append(_pad(dense.boxes_BA4[image, index_Q], short))
                logits.append(F.pad(score_A[index_Q], (0, short), value=-20.0))
                levels.append(_pad(level, short))
        return Proposals(torch.stack(boxes), torch.stack(logits), torch.stack(levels))

    def start_from(self, dense: Dense, image_N: Tensor, phrase_N: Tensor, size_px: float) -> Proposals:
        """What the decoder's queries start from: proposals, or learned boxes where the configuration asks for them."""
        if not self.config.decoder.learned:
            return self.propose(dense, image_N, phrase_N, self.config.decoder.queries)
        boxes_NQ4 = self.decoder.learned_boxes(size_px)[None].expand(len(image_N), -1, -1)
        logits_NQ = boxes_NQ4.new_zeros(boxes_NQ4.shape[:2])
        return Proposals(boxes_NQ4, logits_NQ, torch.ones_like(logits_NQ, dtype=torch.int64))

    def regions(self, pyramid: Pyramid, boxes_N4: Tensor, image_N: Tensor, level_N: Tensor) -> Tensor:
        """RoIAlign samples (N, D, S, S) of each box from its own level."""
        return region_features(pyramid.levels_BCHW, boxes_N4, image_N, level_N, pyramid.strides_px)

    def refine(
        self,
        pyramid: Pyramid,
        text_PD: Tensor,
        image_N: Tensor,
        phrase_N: Tensor,
        found: Proposals,
        apart_QQ: Tensor | None = None,
    ) -> list[Refined]:
        """Runs the query decoder over proposals; one `Refined` per layer. For `apart_QQ` see `QueryDecoder`."""
        pairs, queries = found.logits_NQ.shape
        sampled = self.regions(
            pyramid, found.boxes_NQ4.flatten(0, 1), image_N.repeat_interleave(queries), found.level_NQ.flatten()
        )
        regions = self.region(sampled.flatten(1)).unflatten(0, (pairs, queries))
        size_px = float(max(pyramid.levels_BCHW[0].shape[2:]) * pyramid.strides_px[0])
        outputs: list[Refined] = self.decoder(
            pyramid,
            image_N,
            text_PD[phrase_N],
            found.boxes_NQ4,
            regions,
            found.logits_NQ,
            size_px,
            apart_QQ=apart_QQ,
        )
        return outputs

    def to_describe(self, pyramid: Pyramid, boxes_N4: Tensor, image_N: Tensor) -> Tensor:
        """What the describer sees of boxes: RoIAlign samples from the finest level, where texture is."""
        return self.regions(pyramid, boxes_N4, image_N, torch.zeros(len(boxes_N4), dtype=torch.int64))


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

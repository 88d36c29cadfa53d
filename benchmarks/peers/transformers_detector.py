"""RT-DETRv2 and D-FINE as transformers builds them, with random weights.

Nothing is pretrained, and several defaults of the library suit pretrained weights only. Here the norms of the backbone
learn; the prior of a score is the published hundredth whatever the number of concepts; and weights begin as in the
published code (`_as_published`): the library draws all but the backbone's with a deviation of a hundredth, the batch
norms of RT-DETRv2's neck among them, after which both hardly learn.

Losses, matching and denoising are the library's. For D-FINE those of version 5.24 are not the published ones: scores
and boxes of the last layer but one are not judged, the last layer learns where edges lie from denoising alone, and
layers are matched one by one; what is measured is D-FINE as the library trains it. Boxes and anchors of both are shares
of what they are shown, so frames are read in tiles of the size of their views. All of it runs without torchvision and
timm.

Legend: B images, L decoder layers, Q queries, C concepts, N boxes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    DFineConfig,
    DFineForObjectDetection,
    HGNetV2Config,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)

from benchmarks.peers.peer import Found, Peer, Size
from medground.training.batch import Batch

QUERIES = {Size.SMALL: 100, Size.TINY: 20}
DRAWN = (0.0075, 0.0125)  # deviation of weights that the library drew with its default of a hundredth
NEVER = -30.0  # a score that neither costs nor teaches: the varifocal loss weighs it by its square


class TransformersDetector(Peer):
    """A detection model of transformers behind the face of a peer.

    On an image whose labels say nothing of a concept the scores of that concept are not judged. The library's losses
    know no finer rule: where some boxes of a concept are drawn and others may be missing, queries off the drawn ones
    count as wrong.
    """

    any_frame = False

    def __init__(self, network: Any) -> None:
        super().__init__()
        _as_published(network)
        own = network.loss_function

        def judged_loss(logits: Tensor, labels: list[dict[str, Tensor]], *others: Any, **named: Any) -> Any:
            device, boxes, config, outputs_class, *rest = others
            judged_BC = torch.stack([label["judged"] for label in labels])
            named["enc_topk_logits"] = _judged(named["enc_topk_logits"], judged_BC)
            outputs_class = _judged(outputs_class, judged_BC)
            return own(_judged(logits, judged_BC), labels, device, boxes, config, outputs_class, *rest, **named)

        network.loss_function = judged_loss
        self.network = network

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The library's loss in one sum; its parts are many, layer by layer."""
        return {"loss": self.network(pixel_values=_colour(batch.images_BCHW), labels=labels_of(batch)).loss}

    def detect(self, images_BCHW: Tensor) -> list[Found]:
        """Every pair of query and concept of each image."""
        out = self.network(pixel_values=_colour(images_BCHW))
        rows, columns = images_BCHW.shape[2:]
        return [
            pairs(logits_QC.sigmoid(), boxes_Q4, columns=columns, rows=rows)
            for logits_QC, boxes_Q4 in zip(out.logits, out.pred_boxes, strict=True)
        ]


def labels_of(batch: Batch) -> list[dict[str, Tensor]]:
    """Truth as the library takes it: boxes as centre and size in shares of the frame, and which concepts are judged."""
    rows, columns = batch.images_BCHW.shape[2:]
    judged_BC = batch.exhaustive_BC | batch.present_BC()
    frame_4 = torch.tensor([columns, rows, columns, rows], dtype=torch.float32)
    labels = []
    for boxes_G4, concept_G, judged_C in zip(batch.boxes, batch.concepts, judged_BC, strict=True):
        middle_G2, size_G2 = (boxes_G4[:, :2] + boxes_G4[:, 2:]) / 2, boxes_G4[:, 2:] - boxes_G4[:, :2]
        boxes_cxcywh_norm_G4 = torch.cat([middle_G2, size_G2], 1) / frame_4
        labels.append({"class_labels": concept_G, "boxes": boxes_cxcywh_norm_G4, "judged": judged_C})
    return labels


def pairs(scores_QC: Tensor, boxes_cxcywh_norm_Q4: Tensor, *, columns: int, rows: int) -> Found:
    """Every pair of query and concept, surest first, with boxes in pixels of what was shown."""
    scores_N, flat_N = scores_QC.flatten().sort(descending=True, stable=True)
    query_N, concept_N = flat_N // scores_QC.shape[1], flat_N % scores_QC.shape[1]
    middle_N2, size_N2 = boxes_cxcywh_norm_Q4[query_N, :2], boxes_cxcywh_norm_Q4[query_N, 2:]
    share_N4 = torch.cat([middle_N2 - size_N2 / 2, middle_N2 + size_N2 / 2], -1)
    return Found(share_N4 * share_N4.new_tensor([columns, rows, columns, rows]), scores_N, concept_N)


def _as_published(network: nn.Module) -> None:
    """Draws weights as `_reset_parameters` of the published RT-DETR and D-FINE do, where the library draws others.

    Layers begin as torch's do; what maps queries and their positions is drawn by Glorot's rule; heads that correct an
    anchor begin by correcting nothing. What the library sets on purpose (priors, sampling points) stays.
    """
    for name, module in network.named_modules():
        drawn = isinstance(module, nn.Linear | nn.Conv2d) and "backbone" not in name and _is_drawn(module.weight)
        if drawn or isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and (".query_pos_head." in name or ".enc_output." in name):
            nn.init.xavier_uniform_(module.weight)
        if name.endswith(("enc_bbox_head", "pre_bbox_head")):
            last = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)


def _is_drawn(weight: Tensor) -> bool:
    return DRAWN[0] <= float(weight.detach().std()) <= DRAWN[1]


def rtdetr(concepts: int, size: Size) -> TransformersDetector:
    """RT-DETRv2 (Lv et al., 2024) on a basic residual network of 18 layers.

    `small` has half the width of the smallest published model (r18vd, 20 million parameters) everywhere, and its depth.
    """
    width, stages, depth, layers = (
        (128, (32, 64, 128, 256), 2, 3) if size is Size.SMALL else (32, (16, 16, 24, 32), 1, 2)
    )
    backbone = RTDetrResNetConfig(
        embedding_size=stages[0], hidden_sizes=stages, depths=[depth] * 4, layer_type="basic", out_indices=[2, 3, 4]
    )
    config = RTDetrV2Config(backbone_config=backbone, **_sizes(concepts, size, width, stages[1:], layers))
    return TransformersDetector(RTDetrV2ForObjectDetection(config))


def dfine(concepts: int, size: Size) -> TransformersDetector:
    """D-FINE (Peng et al., 2024) on HGNetV2-B0.

    `small` has the widths of the smallest published model (D-FINE-N, 4 million parameters), but looks at stride 8 too,
    as the larger ones do: the findings of radiographs are small.
    """
    small = size is Size.SMALL
    width, layers = (128, 3) if small else (32, 2)
    stem, middle, stages = (16, (16, 32, 64, 128), (64, 256, 512, 1024)) if small else (8, (8,) * 4, (16, 24, 32, 32))
    backbone = HGNetV2Config(
        stem_channels=[3, stem, stem],
        stage_in_channels=[stem, *stages[:-1]],
        stage_mid_channels=middle,
        stage_out_channels=stages,
        stage_num_blocks=[1, 1, 2, 1] if small else [1] * 4,
        stage_downsample=[False, True, True, True],
        stage_light_block=[False, False, True, True],
        stage_kernel_size=[3, 3, 5, 5],
        stage_numb_of_layers=[3 if small else 1] * 4,
        use_learnable_affine_block=True,
        hidden_sizes=stages,
        out_indices=[2, 3, 4],
    )
    config = DFineConfig(
        backbone_config=backbone,
        decoder_n_points=[3, 6, 3],
        depth_mult=0.34,
        **_sizes(concepts, size, width, stages[1:], layers),
    )
    return TransformersDetector(DFineForObjectDetection(config))


def _sizes(concepts: int, size: Size, width: int, channels: tuple[int, ...], layers: int) -> dict[str, Any]:
    """What both configurations call alike; `small` keeps the library's 100 denoising queries."""
    return {
        "num_labels": concepts,
        "num_queries": QUERIES[size],
        "num_denoising": 100 if size is Size.SMALL else 10,
        "freeze_backbone_batch_norms": False,
        "initializer_bias_prior_prob": 0.01,
        "encoder_in_channels": list(channels),
        "encoder_hidden_dim": width,
        "encoder_ffn_dim": 4 * width,
        "d_model": width,
        "decoder_in_channels": [width] * 3,
        "decoder_ffn_dim": 4 * width,
        "decoder_layers": layers,
        "encoder_attention_heads": 8 if size is Size.SMALL else 4,
        "decoder_attention_heads": 8 if size is Size.SMALL else 4,
        "hidden_expansion": 0.5,
    }


def _colour(images_BCHW: Tensor) -> Tensor:
    return images_BCHW.expand(-1, 3, -1, -1)


def _judged(logits: Tensor, judged_BC: Tensor) -> Tensor:
    """Scores (B, ..., C) with `NEVER` where an image says nothing of a concept."""
    spread = judged_BC.reshape(judged_BC.shape[0], *([1] * (logits.ndim - 2)), judged_BC.shape[1])
    return torch.where(spread, logits, logits.new_tensor(NEVER))

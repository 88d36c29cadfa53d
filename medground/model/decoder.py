"""Queries on top of dense proposals: they look at each other, at the image and at the question, and refine their boxes.

Legend: N image-phrase pairs, Q queries, T image tokens, D width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from medground.model.backbones.interface import Pyramid
from medground.model.config import DecoderConfig

TOKEN_LEVELS = (1, 2)  # strides 16 and 32: stride 8 would cost four times the tokens for features RoIAlign reads anyway


@dataclass(frozen=True, slots=True)
class Refined:
    """One layer's output: `logits_NQ` of "object" (no-object is its complement) and `boxes_NQ4`, xyxy pixels."""

    logits_NQ: Tensor
    boxes_NQ4: Tensor


def sine_embedding(values: Tensor, width: int) -> Tensor:
    """Sines and cosines of values in 0..1 (Vaswani et al., 2017, section 3.5, temperature 20 as in DAB-DETR).

    Args:
        values: any shape (..., K).
        width: numbers per value, even.

    Returns:
        (..., K * width).
    """
    frequency = 2 * math.pi * 20 ** (torch.arange(width // 2, dtype=values.dtype) / (width // 2))
    angles = values[..., None] * frequency
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention to image tokens and the question, feed-forward; pre-norm."""

    def __init__(self, width: int, config: DecoderConfig) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(width, config.feedforward), nn.SiLU(), nn.Linear(config.feedforward, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(
        self,
        x_NQD: Tensor,
        place_NQD: Tensor,
        tokens_NTD: Tensor,
        token_place_NTD: Tensor,
        apart_QQ: Tensor | None = None,
    ) -> Tensor:
        """Returns the queries, refined, same shape; those that `apart_QQ` marks do not see each other."""
        y = self.norms[0](x_NQD)
        seen = self.self_attention(y + place_NQD, y + place_NQD, y, need_weights=False, attn_mask=apart_QQ)[0]
        x_NQD = x_NQD + seen
        y = self.norms[1](x_NQD)
        keys = tokens_NTD + token_place_NTD
        x_NQD = x_NQD + self.cross_attention(y + place_NQD, keys, tokens_NTD, need_weights=False)[0]
        return cast(Tensor, x_NQD + self.feed(self.norms[2](x_NQD)))


class QueryDecoder(nn.Module):
    """Three decoder layers over proposals, each moving the boxes by a share of their size."""

    def __init__(self, width: int, text_width: int, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.from_region = nn.Linear(width, width)
        self.from_text = nn.Linear(text_width, width)
        self.place = nn.Linear(4 * 32, width)
        self.token_place = nn.Linear(2 * 32, width)
        self.layers = nn.ModuleList(DecoderLayer(width, config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.score = nn.ModuleList(nn.Linear(width + 1, 1) for _ in range(config.layers))
        self.move = nn.ModuleList(nn.Linear(width, 4) for _ in range(config.layers))
        for parameter in self.move.parameters():
            nn.init.zeros_(parameter)
        if config.learned:
            self.content = nn.Parameter(torch.randn(config.queries, width) * 0.02)
            self.places = nn.Parameter(torch.randn(config.queries, 4))

    def learned_boxes(self, size_px: float) -> Tensor:
        """Boxes (Q, 4), xyxy pixels, that queries start from where there are no proposals (DAB-DETR, Liu et al., 2022).

        Args:
            size_px: side of the model frame.
        """
        places_Q4 = self.places.sigmoid() * size_px
        middle_Q2, size_Q2 = places_Q4[:, :2], places_Q4[:, 2:]
        return torch.cat([middle_Q2 - size_Q2 / 2, middle_Q2 + size_Q2 / 2], -1)

    def forward(
        self,
        pyramid: Pyramid,
        image_N: Tensor,
        text_ND: Tensor,
        boxes_NQ4: Tensor,
        regions_NQD: Tensor,
        proposal_logits_NQ: Tensor,
        size_px: float,
        *,
        apart_QQ: Tensor | None = None,
    ) -> list[Refined]:
        """Refines proposals.

        Args:
            pyramid: features of the images.
            image_N: image of each pair.
            text_ND: phrase vector of each pair.
            boxes_NQ4: proposals, xyxy pixels.
            regions_NQD: region feature of each proposal.
            proposal_logits_NQ: dense score of each proposal; the decoder corrects it.
            size_px: long side of the model frame.
            apart_QQ: bool, True where a query (row) must not see another (column); None lets all see all.

        Returns:
            One `Refined` per layer, the last the most precise.
        """
        tokens_NTD, token_place_NTD = self._tokens(pyramid, image_N)
        question_N1D = self.from_text(text_ND)[:, None]
        tokens_NTD = torch.cat([tokens_NTD, question_N1D], 1)
        token_place_NTD = torch.cat([token_place_NTD, torch.zeros_like(question_N1D)], 1)
        x_NQD = self.from_region(regions_NQD) + question_N1D
        if self.config.learned:
            x_NQD = x_NQD + self.content
        outputs = []
        for layer, score, move in zip(self.layers, self.score, self.move, strict=True):
            place_NQD = self.place(sine_embedding(_cxcywh_norm(boxes_NQ4, size_px), 32))
            x_NQD = layer(x_NQD, place_NQD, tokens_NTD, token_place_NTD, apart_QQ)
            y_NQD = self.norm(x_NQD)
            boxes_NQ4 = moved(boxes_NQ4.detach(), move(y_NQD))
            seen_NQ = torch.cat([y_NQD, proposal_logits_NQ[..., None]], -1)
            outputs.append(Refined(score(seen_NQ).squeeze(-1), boxes_NQ4))
        return outputs

    def _tokens(self, pyramid: Pyramid, image_N: Tensor) -> tuple[Tensor, Tensor]:
        tokens, places = [], []
        for index in TOKEN_LEVELS:
            level_BCHW = pyramid.levels_BCHW[index]
            rows, columns = level_BCHW.shape[2:]
            y, x = torch.meshgrid(
                (torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij"
            )
            tokens.append(level_BCHW.flatten(2).transpose(1, 2)[image_N])
            place = self.token_place(sine_embedding(torch.stack([x, y], -1).reshape(-1, 2), 32))
            places.append(place[None].expand(len(image_N), -1, -1))
        return torch.cat(tokens, 1), torch.cat(places, 1)


def _cxcywh_norm(boxes_NQ4: Tensor, size_px: float) -> Tensor:
    middle, size = (boxes_NQ4[..., :2] + boxes_NQ4[..., 2:]) / 2, boxes_NQ4[..., 2:] - boxes_NQ4[..., :2]
    return torch.cat([middle, size], -1) / size_px


def moved(boxes: Tensor, delta: Tensor) -> Tensor:
    """Boxes shifted by delta[..., :2] and scaled by exp(delta[..., 2:]), both relative to their size."""
    size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1.0)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2 + delta[..., :2].clamp(-1, 1) * size
    half = size * delta[..., 2:].clamp(-1, 1).exp() / 2
    return torch.cat([middle - half, middle + half], -1)

"""A small transformer from token ids to one unit vector per phrase.

Legend: P phrases, T tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medground.model.config import TextConfig


class TextEncoder(nn.Module):
    """Embeddings, a pre-norm transformer, mean over tokens, unit length."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.tokens, config.width, padding_idx=0)
        self.position = nn.Parameter(torch.randn(config.max_tokens, config.width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, config.width * 2, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.project = nn.Linear(config.width, config.width)

    def forward(self, ids_PT: Tensor) -> Tensor:
        """Encodes phrases.

        Args:
            ids_PT: token ids, 0 is padding.

        Returns:
            (P, D) float tensor of unit length rows.
        """
        padding_PT = ids_PT == 0
        padding_PT = padding_PT & ~padding_PT.all(1, keepdim=True)
        x_PTD = self.embed(ids_PT) + self.position[: ids_PT.shape[1]]
        x_PTD = self.layers(x_PTD, src_key_padding_mask=padding_PT)
        keep_PT1 = (~padding_PT).unsqueeze(-1).to(x_PTD.dtype)
        mean_PD = (x_PTD * keep_PT1).sum(1) / keep_PT1.sum(1)
        return F.normalize(self.project(mean_PD), dim=-1)

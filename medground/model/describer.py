"""Appearance words decoded from a region's features, word by word to the end.

Legend: N regions, D width, T words, V word list with start and end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from medground.model.config import DescriberConfig

END = 0
IGNORE = -1


class Describer(nn.Module):
    """A gated recurrent decoder over a closed word list; it sees the region, never the name of the finding."""

    def __init__(self, region_width: int, config: DescriberConfig) -> None:
        super().__init__()
        self.words = config.words
        self.max_words = config.max_words
        self.start = nn.Sequential(nn.Linear(region_width, config.width), nn.Tanh())
        self.embed = nn.Embedding(len(config.words) + 2, config.width)
        self.cell = nn.GRUCell(config.width, config.width)
        self.out = nn.Linear(config.width, len(config.words) + 1)

    def targets(self, descriptions: Sequence[Sequence[str]]) -> Tensor:
        """Word ids (N, max_words + 1) with the end token, padded with -1.

        Raises:
            ValueError: on a word outside the list.
        """
        table = torch.full((len(descriptions), self.max_words + 1), IGNORE, dtype=torch.int64)
        for row, words in enumerate(descriptions):
            for column, word in enumerate(words[: self.max_words]):
                table[row, column] = self.words.index(word) + 1
            table[row, min(len(words), self.max_words)] = END
        return table

    def forward(self, regions_ND: Tensor, words_NT: Tensor) -> Tensor:
        """Teacher-forced logits (N, T, V) of each next word."""
        hidden = self.start(regions_ND)
        previous = torch.full((len(regions_ND),), len(self.words) + 1, dtype=torch.int64)
        logits = []
        for step in range(words_NT.shape[1]):
            hidden = self.cell(self.embed(previous), hidden)
            logits.append(self.out(hidden))
            previous = words_NT[:, step].clamp(min=0)
        return torch.stack(logits, 1)

    @torch.inference_mode()
    def decode(self, regions_ND: Tensor, *, min_probability: float = 0.5) -> list[tuple[str, ...]]:
        """Greedy decoding of all regions at once, each to its end token or `max_words`.

        A word less probable than `min_probability` is decoded over but not said: silence beats a guess.
        """
        if len(regions_ND) == 0 or not self.words:
            return [()] * len(regions_ND)
        hidden = self.start(regions_ND)
        previous = torch.full((len(regions_ND),), len(self.words) + 1, dtype=torch.int64)
        open_N = torch.ones(len(regions_ND), dtype=torch.bool)
        said: list[list[str]] = [[] for _ in range(len(regions_ND))]
        for _ in range(self.max_words):
            hidden = self.cell(self.embed(previous), hidden)
            probability, previous = self.out(hidden).softmax(-1).max(-1)
            open_N = open_N & (previous != END)
            if not bool(open_N.any()):
                break
            for row in open_N.nonzero().squeeze(1).tolist():
                if float(probability[row]) >= min_probability:
                    said[row].append(self.words[int(previous[row]) - 1])
        return [cast(tuple[str, ...], tuple(dict.fromkeys(words))) for words in said]

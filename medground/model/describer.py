"""Appearance words decoded from a region's features, word by word to the end.

Legend: N regions, D width, T words, V word list with start and end.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medground.model.backbones.interface import Statement
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
    def liken(self, regions_ND: Tensor, groups: Sequence[Sequence[str]]) -> list[Tensor]:
        """Probabilities of the words of each group for each region, one table (N, words of the group) per group.

        Each group is heard after the likeliest words of those before it, as descriptions are said.

        Raises:
            ValueError: on a word outside the list.
        """
        hidden = self.start(regions_ND)
        previous = torch.full((len(regions_ND),), len(self.words) + 1, dtype=torch.int64)
        tables = []
        for group in groups:
            ids = torch.tensor([self.words.index(word) + 1 for word in group])
            hidden = self.cell(self.embed(previous), hidden)
            tables.append(self.out(hidden)[:, ids].softmax(-1))
            previous = ids[tables[-1].argmax(-1)]
        return tables

    @torch.inference_mode()
    def decode(self, regions_ND: Tensor, *, allowed: Sequence[str] | None = None) -> list[tuple[Statement, ...]]:
        """Greedy decoding of all regions at once, each to its end token or `max_words`; a word is said once.

        Args:
            regions_ND: region vectors.
            allowed: words that may be said; all if None. The end token always may.
        """
        if len(regions_ND) == 0 or not self.words:
            return [()] * len(regions_ND)
        barred_V = torch.zeros(len(self.words) + 1)
        if allowed is not None:
            barred_V[1:] = torch.tensor([0.0 if word in allowed else -torch.inf for word in self.words])
        hidden = self.start(regions_ND)
        previous = torch.full((len(regions_ND),), len(self.words) + 1, dtype=torch.int64)
        open_N = torch.ones(len(regions_ND), dtype=torch.bool)
        said: list[dict[str, Statement]] = [{} for _ in range(len(regions_ND))]
        for _ in range(self.max_words):
            hidden = self.cell(self.embed(previous), hidden)
            probability, previous = (self.out(hidden) + barred_V).softmax(-1).max(-1)
            open_N = open_N & (previous != END)
            if not bool(open_N.any()):
                break
            for row in open_N.nonzero().squeeze(1).tolist():
                word = self.words[int(previous[row]) - 1]
                said[row].setdefault(word, Statement(word, float(probability[row])))
        return [tuple(words.values()) for words in said]

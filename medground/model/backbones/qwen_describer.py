"""Statements about a region from the language model, which sees the region as one soft token in front of a prompt.

Row of the language model: [soft token] [prompt] [statement ; statement ; ...] [end]

Legend: N regions, C channels, S samples per side, T tokens, V vocabulary, D width of the language model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medground.model.backbones.interface import Statement
from medground.model.backbones.qwen_config import QwenConfig
from medground.schema.errors import UsageError

SEPARATOR = ";"
IGNORE = -100
ROWS_AT_ONCE = 16  # each holds logits of the whole vocabulary at every token


class Language(Protocol):
    """A causal language model with its tokenizer."""

    @property
    def end(self) -> int:
        """The token that ends a text."""
        ...

    def ids(self, text: str) -> list[int]:
        """Token ids, without special tokens."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        ...

    def embed(self, ids_NT: Tensor) -> Tensor:
        """Embeddings (N, T, D)."""
        ...

    def logits(self, embeds_NTD: Tensor) -> Tensor:
        """Logits (N, T, V) of each next token, float32."""
        ...


@dataclass(frozen=True, slots=True)
class _Path:
    """A description under way: what is said, the tokens of the statement begun, and their log probability."""

    ids: tuple[int, ...] = ()
    said: tuple[Statement, ...] = ()
    spelled: tuple[tuple[int, ...], ...] = ()
    begun: tuple[int, ...] = ()
    begun_log: float = 0.0
    ended: bool = False


class SoftTokenDescriber(nn.Module):
    """The trained map from a region to the soft token, and what the language model says of it.

    Args:
        width: channels of the pyramid.
        samples: RoIAlign samples per side of a region.
        language_width: D.
        embedding_rms: root mean square of the word embeddings; the soft token starts at their size.
        config: prompt and bound.
    """

    def __init__(self, width: int, samples: int, language_width: int, embedding_rms: float, config: QwenConfig) -> None:
        super().__init__()
        self.prompt, self.max_tokens = config.prompt, config.max_tokens
        self.soft = nn.Sequential(
            nn.Linear(width * samples**2, 2 * width), nn.SiLU(), nn.Linear(2 * width, language_width)
        )
        self.norm = nn.LayerNorm(language_width)
        nn.init.constant_(self.norm.weight, embedding_rms)

    def loss(
        self, language: Language, regions_NCSS: Tensor, statements: Sequence[Sequence[str]]
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the statements' tokens and the end tokens: its sum, and their number."""
        if len(regions_NCSS) == 0:
            return regions_NCSS.sum() * 0.0, regions_NCSS.new_zeros(())
        rows = [self._targets(language, said) for said in statements]
        longest = max(len(row) for row in rows)
        padded = [row + [IGNORE] * (longest - len(row)) for row in rows]
        target_NT = torch.tensor(padded, device=regions_NCSS.device)
        before_NTD = self._before(language, regions_NCSS)
        words_NTD = language.embed(target_NT[:, :-1].clamp(min=0))
        logits_NTV = language.logits(torch.cat([before_NTD, words_NTD.to(before_NTD.dtype)], 1))
        logits_NTV = logits_NTV[:, before_NTD.shape[1] - 1 :]
        loss = F.cross_entropy(logits_NTV.flatten(0, 1), target_NT.flatten(), ignore_index=IGNORE, reduction="sum")
        return loss, (target_NT != IGNORE).sum().to(loss.dtype)

    @torch.no_grad()
    def decode(
        self, language: Language, regions_NCSS: Tensor, allowed: Sequence[str] | None
    ) -> list[tuple[Statement, ...]]:
        """Token by token the likeliest, each to its end or `max_tokens`; a statement cut short is not said.

        The whole row is computed anew at each step: descriptions are shorter than the time it takes to load the weights
        once, so a cache of keys and values would save little.
        """
        closed = None if allowed is None else [tuple(spelled(language, s)) for s in dict.fromkeys(allowed)]
        separator = separator_of(language)
        before_NTD = self._before(language, regions_NCSS)
        paths = [_Path()] * len(regions_NCSS)
        for _ in range(self.max_tokens):
            going = [(n, path) for n, path in enumerate(paths) if not path.ended]
            if not going:
                break
            owners = torch.tensor([n for n, _ in going], device=before_NTD.device)
            rows_NTD = before_NTD[owners]
            if going[0][1].ids:
                said_NT = torch.tensor([path.ids for _, path in going], device=before_NTD.device)
                rows_NTD = torch.cat([rows_NTD, language.embed(said_NT).to(rows_NTD.dtype)], 1)
            logits_NV = language.logits(rows_NTD)[:, -1].cpu()
            for (n, path), logits_V in zip(going, logits_NV, strict=True):
                paths[n] = _grown(path, logits_V, closed, separator, language)
        return [path.said for path in paths]

    @torch.no_grad()
    def liken(self, language: Language, regions_NCSS: Tensor, groups: Sequence[Sequence[str]]) -> list[Tensor]:
        """Probabilities of the statements of each group for each region, one table (N, statements) per group.

        A statement counts by the probability of its tokens and of its end, after the likeliest of the groups before it.
        """
        said: list[list[int]] = [[] for _ in range(len(regions_NCSS))]
        before_NTD = self._before(language, regions_NCSS)
        tables = []
        for group in groups:
            spellings = [spelled(language, statement) for statement in group]
            rows = [(n, prefix, ids) for n, prefix in enumerate(said) for ids in spellings]
            logs: list[float] = []
            for start in range(0, len(rows), ROWS_AT_ONCE):
                logs += self._logs(language, before_NTD, rows[start : start + ROWS_AT_ONCE])
            tables.append(torch.tensor(logs, device="cpu").reshape(-1, len(group)).softmax(-1))
            for prefix, best in zip(said, tables[-1].argmax(-1).tolist(), strict=True):
                prefix += [*spellings[best], separator_of(language)]
        return tables

    def _logs(
        self, language: Language, before_NTD: Tensor, rows: Sequence[tuple[int, Sequence[int], Sequence[int]]]
    ) -> list[float]:
        """Log probabilities of saying, of a region after a prefix, some tokens, and then no more or something else."""
        longest = max(len(prefix) + len(ids) for _, prefix, ids in rows)
        padded = [[*prefix, *ids, *[language.end] * (longest - len(prefix) - len(ids))] for _, prefix, ids in rows]
        owners = torch.tensor([n for n, _, _ in rows], device=before_NTD.device)
        words_NTD = language.embed(torch.tensor(padded, dtype=torch.int64, device=before_NTD.device))
        whole_NTD = torch.cat([before_NTD[owners], words_NTD.to(before_NTD.dtype)], 1)
        log_NTV = language.logits(whole_NTD).log_softmax(-1).cpu()
        logs = []
        for (_, prefix, ids), log_TV in zip(rows, log_NTV, strict=True):
            first = before_NTD.shape[1] - 1 + len(prefix)  # what stands here foretells the first of `ids`
            tokens = sum(float(log_TV[first + place, token]) for place, token in enumerate(ids))
            ends = [float(log_TV[first + len(ids), stop]) for stop in (separator_of(language), language.end)]
            logs.append(tokens + math.log(sum(map(math.exp, ends))))
        return logs

    def _before(self, language: Language, regions_NCSS: Tensor) -> Tensor:
        soft_N1D = self.norm(self.soft(regions_NCSS.flatten(1)))[:, None]
        prompt = torch.tensor([language.ids(self.prompt)], dtype=torch.int64, device=regions_NCSS.device)
        prompt_1TD = language.embed(prompt)
        return torch.cat([soft_N1D.to(prompt_1TD.dtype), prompt_1TD.expand(len(soft_N1D), -1, -1)], 1)

    def _targets(self, language: Language, said: Sequence[str]) -> list[int]:
        """Ids of the statements that fit, and the end."""
        row: list[int] = []
        for statement in said:
            more = [*([separator_of(language)] if row else []), *spelled(language, statement)]
            if len(row) + len(more) >= self.max_tokens:
                break
            row += more
        return [*row, language.end]


def separator_of(language: Language) -> int:
    """The token between statements.

    Raises:
        UsageError: if the tokenizer has no single token for it.
    """
    ids = language.ids(SEPARATOR)
    if len(ids) != 1:
        raise UsageError(f"the tokenizer writes {SEPARATOR!r} as {len(ids)} tokens; descriptions need it as one")
    return ids[0]


def spelled(language: Language, statement: str) -> list[int]:
    """Ids of one statement, always spelled alone, so that training and search agree on them.

    Raises:
        UsageError: if it is empty, or holds what ends a statement.
    """
    ids = language.ids(" " + statement.strip())
    if not statement.strip() or separator_of(language) in ids or language.end in ids:
        raise UsageError(f"a statement must be words without {SEPARATOR!r}, got {statement!r}")
    return ids


def _grown(
    path: _Path, logits_V: Tensor, closed: list[tuple[int, ...]] | None, separator: int, language: Language
) -> _Path:
    """A path with its likeliest next token."""
    if closed is not None:
        options = _options(path, closed, separator, language.end)
        masked_V = torch.full_like(logits_V, -math.inf)
        masked_V[options] = logits_V[options]
        logits_V = masked_V
    elif not path.begun:  # free text: a statement has words, except that nothing at all may be said
        logits_V = logits_V.clone()
        logits_V[[separator, *([language.end] if path.said else [])]] = -math.inf
    log_V = logits_V.log_softmax(-1)
    token = int(log_V.argmax())
    ids, ended = (*path.ids, token), token == language.end
    if token not in (separator, language.end):
        return _Path(ids, path.said, path.spelled, (*path.begun, token), path.begun_log + float(log_V[token]))
    if not path.begun:
        return _Path(ids, path.said, path.spelled, ended=ended)
    stop = float(torch.logaddexp(log_V[separator], log_V[language.end]))
    statement = Statement(language.text(path.begun).strip(), math.exp(path.begun_log + stop))
    return _Path(ids, (*path.said, statement), (*path.spelled, path.begun), ended=ended)


def _options(path: _Path, closed: list[tuple[int, ...]], separator: int, end: int) -> list[int]:
    """Tokens that go on with a statement of the closed list that was not said yet, or end one."""
    left = [ids for ids in closed if ids not in path.spelled]
    size = len(path.begun)
    options = {ids[size] for ids in left if len(ids) > size and ids[:size] == path.begun}
    if path.begun in left:
        options |= {end, separator} if len(left) > 1 else {end}
    if not path.ids:
        options.add(end)
    return sorted(options)

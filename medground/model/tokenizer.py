"""The tokenizer of the compact text encoder: byte-pair encoding over English and Chinese phrases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

PAD, UNKNOWN = "[PAD]", "[UNK]"


def train_tokenizer(phrases: Iterable[str], tokens: int) -> Tokenizer:
    """Learns a byte-level BPE (Sennrich et al., 2016) of at most `tokens` entries from phrases.

    The same phrases in the same order give the same tokenizer.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=tokens,
        special_tokens=[PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(phrases, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, phrases: Sequence[str], max_tokens: int) -> Tensor:
    """Phrases to token ids, padded with 0 and cut at `max_tokens`.

    Returns:
        int64 tensor (phrases, longest), at least one column.
    """
    ids = [tokenizer.encode(phrase).ids[:max_tokens] or [0] for phrase in phrases]
    longest = max((len(row) for row in ids), default=1)
    return torch.tensor([row + [0] * (longest - len(row)) for row in ids], dtype=torch.int64).reshape(-1, longest)

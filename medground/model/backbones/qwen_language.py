"""The language side of a Qwen model, as phrases and the describer see it.

Legend: N rows, T tokens, V vocabulary, D width of the language model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class QwenLanguage:
    """The language side of a model, as the describer sees it."""

    base: Any
    tokenizer: Any
    end: int

    def ids(self, text: str) -> list[int]:
        """Token ids, without special tokens."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def embed(self, ids_NT: Tensor) -> Tensor:
        """Embeddings (N, T, D)."""
        embeds_NTD: Tensor = self.base.model.language_model.embed_tokens(ids_NT)
        return embeds_NTD

    def states(self, embeds_NTD: Tensor, keep_NT: Tensor | None = None) -> Tensor:
        """Last hidden states (N, T, D); `keep_NT` is 0 where a row is padded at its end."""
        out = self.base.model.language_model(inputs_embeds=embeds_NTD, attention_mask=keep_NT, use_cache=False)
        states_NTD: Tensor = out.last_hidden_state
        return states_NTD

    def logits(self, embeds_NTD: Tensor) -> Tensor:
        """Logits (N, T, V) of each next token, float32."""
        logits_NTV: Tensor = self.base.lm_head(self.states(embeds_NTD)).float()
        return logits_NTV

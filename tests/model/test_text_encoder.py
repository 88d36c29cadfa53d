from __future__ import annotations

import torch

from medground.model.config import TextConfig
from medground.model.text_encoder import TextEncoder


def test_unit_vectors_that_padding_does_not_change():
    torch.manual_seed(0)
    encoder = TextEncoder(TextConfig(tokens=50, max_tokens=10)).eval()
    short = encoder(torch.tensor([[3, 4, 5]]))
    padded = encoder(torch.tensor([[3, 4, 5, 0, 0, 0], [7, 8, 9, 10, 11, 12]]))[:1]
    assert torch.allclose(short, padded, atol=1e-5)
    assert torch.allclose(short.norm(dim=-1), torch.ones(1), atol=1e-6)


def test_an_empty_phrase_is_finite():
    encoder = TextEncoder(TextConfig(tokens=50, max_tokens=10)).eval()
    assert bool(encoder(torch.zeros(2, 4, dtype=torch.int64)).isfinite().all())

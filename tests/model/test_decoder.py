from __future__ import annotations

import math

import pytest
import torch

from medground.model.backbones.interface import Pyramid
from medground.model.config import DecoderConfig
from medground.model.decoder import QueryDecoder, moved, sine_embedding


def test_moved_by_hand():
    box = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    shifted = moved(box, torch.tensor([[0.5, -0.25, 0.0, math.log(2)]]))
    assert shifted[0].tolist() == pytest.approx([20, -10, 40, 70], abs=1e-4)
    assert moved(box, torch.zeros(1, 4))[0].tolist() == pytest.approx(box[0].tolist())


def test_sine_embedding_shape_and_values():
    out = sine_embedding(torch.tensor([[0.0, 0.25]]), 4)
    assert out.shape == (1, 8)
    assert out[0, :4].tolist() == pytest.approx([0, 0, 1, 1])
    assert out[0, 4].item() == pytest.approx(math.sin(math.pi / 2), abs=1e-6)


def test_layers_keep_shape_start_at_the_proposals_and_let_gradients_through():
    torch.manual_seed(0)
    decoder = QueryDecoder(32, 16, DecoderConfig(queries=5, layers=2, feedforward=32))
    pyramid = Pyramid(tuple(torch.randn(2, 32, 64 // s, 96 // s) for s in (8, 16, 32)), torch.randn(2, 8))
    boxes = torch.tensor([8.0, 8, 40, 30]).expand(3, 5, 4)
    layers = decoder(
        pyramid, torch.tensor([0, 1, 1]), torch.randn(3, 16), boxes, torch.randn(3, 5, 32), torch.randn(3, 5), 96.0
    )
    assert [layer.logits_NQ.shape for layer in layers] == [(3, 5)] * 2
    assert torch.allclose(layers[-1].boxes_NQ4, boxes, atol=1e-4)  # untrained moves are zero
    (layers[-1].logits_NQ.sum() + layers[-1].boxes_NQ4.sum()).backward()
    assert decoder.from_text.weight.grad is not None
    assert decoder.from_text.weight.grad.abs().sum() > 0


def test_learned_queries_start_from_their_own_boxes_and_content():
    torch.manual_seed(0)
    decoder = QueryDecoder(32, 16, DecoderConfig(queries=5, layers=1, feedforward=32, learned=True))
    with torch.no_grad():
        decoder.places.zero_()
    assert decoder.learned_boxes(100.0).tolist() == [[25.0, 25.0, 75.0, 75.0]] * 5  # sigmoid(0): centre and half a side
    pyramid = Pyramid(tuple(torch.randn(1, 32, 64 // s, 96 // s) for s in (8, 16, 32)), torch.randn(1, 8))
    boxes = decoder.learned_boxes(96.0)[None]
    start = (pyramid, torch.tensor([0]), torch.randn(1, 16), boxes, torch.zeros(1, 5, 32), torch.zeros(1, 5), 96.0)
    layer = decoder(*start)[0]
    assert layer.logits_NQ[0].unique().numel() == 5  # equal regions: only the content tells queries apart
    (layer.logits_NQ.sum() + layer.boxes_NQ4.sum()).backward()
    assert decoder.content.grad.abs().sum() > 0

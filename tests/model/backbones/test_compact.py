"""The compact pyramid with slices beside: silent until taught, and then only by what differs."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from medground.model.backbones.compact import CompactPyramid
from medground.model.config import CompactConfig

SMALL = CompactConfig(channels=(16, 24, 32, 48), blocks=(1, 1, 1, 1), beside=True)


def pyramid(config: CompactConfig = SMALL, *, taught: bool = False) -> CompactPyramid:
    torch.manual_seed(0)
    made = CompactPyramid(config).eval()
    if taught:
        assert made.beside is not None
        torch.nn.init.normal_(made.beside.weight)
    return made


def levels(made: CompactPyramid, images: Tensor) -> list[Tensor]:
    with torch.inference_mode():
        seen = made(images)
    return [*seen.levels_BCHW, seen.image_BC]


def slices(count: int = 3) -> Tensor:
    return torch.randn(2, count, 64, 96, generator=torch.Generator().manual_seed(1))


def test_slices_beside_say_nothing_before_they_are_learned() -> None:
    three = slices()
    for a, b in zip(levels(pyramid(), three), levels(pyramid(), three[:, 1:2]), strict=True):
        assert torch.equal(a, b)


def test_equal_neighbours_say_nothing_and_others_do() -> None:
    made, own = pyramid(taught=True), slices(1)
    alone = levels(made, own)
    for a, b in zip(levels(made, own.expand(-1, 3, -1, -1)), alone, strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    three = torch.cat([slices()[:, :1], own, own], 1)
    assert not torch.allclose(levels(made, three)[0], alone[0], atol=1e-3)
    assert not torch.allclose(levels(made, three)[0], levels(made, three.flip(1))[0], atol=1e-3)  # below is not above


def test_a_network_without_them_reads_the_middle_slice() -> None:
    made, three = pyramid(SMALL.model_copy(update={"beside": False})), slices()
    assert not any(name.startswith("beside") for name in made.state_dict())
    for a, b in zip(levels(made, three), levels(made, three[:, 1:2]), strict=True):
        assert torch.equal(a, b)


def test_a_stem_with_a_norm_cannot_take_differences() -> None:
    with pytest.raises(ValidationError, match="stem_width"):
        CompactConfig(beside=True, stem_width=16)

from __future__ import annotations

import pytest
import torch

from medground.model.network import GroundingNetwork
from medground.training.opening import open_parameters, schedule, set_modes
from medground.training.recipe import Recipe, Stage
from medground.training.restoration import RestorationConfig
from pipelines.recipes.compact import HEADS, TEXT, VISION
from tests.training.four_stages import DENSE, trainer_of, uneven_pools


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, small_recipe: Recipe) -> GroundingNetwork:
    return trainer_of(tmp_path_factory.mktemp("network"), small_recipe, uneven_pools()).network


def test_what_is_named_is_open_at_its_rate_and_the_rest_is_closed(network: GroundingNetwork) -> None:
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    extra = torch.nn.Linear(2, 2)
    stage = DENSE.model_copy(update={"learning_rate": 1e-3, "text_share": 0.4, "weight_decay": 0.03})
    optimizer = open_parameters(network, extra.parameters(), stage)
    rules = {id(one): group for group in optimizer.param_groups for one in group["params"]}
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad == name.startswith((VISION, TEXT, *HEADS)), name
        assert parameter.grad is None  # a gradient of the stage before would count in the clipped norm
        if parameter.requires_grad:
            assert rules[id(parameter)]["peak"] == pytest.approx(4e-4 if name.startswith(TEXT) else 1e-3), name
            assert rules[id(parameter)]["weight_decay"] == (0.03 if parameter.ndim > 1 else 0.0), name
    assert not any(parameter.requires_grad or id(parameter) in rules for parameter in extra.parameters())
    hiding = stage.model_copy(update={"restoration": RestorationConfig()})
    held = {
        id(one)
        for group in open_parameters(network, extra.parameters(), hiding).param_groups
        for one in group["params"]
    }
    assert {id(parameter) for parameter in extra.parameters()} < held


def test_modes_follow_what_is_open(network: GroundingNetwork) -> None:
    stage = DENSE.model_copy(update={"trainable": (f"{VISION}stages.3.", "dense.")})
    set_modes(network, stage)
    modes = {name: module.training for name, module in network.named_modules() if "Norm" in type(module).__name__}
    assert set(modes.values()) == {True, False}
    for name, training in modes.items():
        assert training == f"{name}.".startswith(stage.trainable), name
    assert network.training
    assert not network.decoder.training


def test_the_rate_rises_then_falls() -> None:
    stage = Stage(name="x", steps=100, trainable=(), warmup_steps=10)
    values = [schedule(step, stage) for step in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert max(values) == pytest.approx(1.0)
    assert values.index(max(values)) in (9, 10)
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[55] == pytest.approx(0.01 + 0.99 / 2)  # half way between
    assert values[-1] < 0.02

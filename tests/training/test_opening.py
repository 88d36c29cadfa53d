from __future__ import annotations

import pytest
import torch

from medground.model.network import GroundingNetwork
from medground.schema.errors import UsageError
from medground.training.miner import MinerConfig
from medground.training.opening import check_stages, open_parameters, schedule, set_modes
from medground.training.recipe import Recipe, Stage
from medground.training.restoration import RestorationConfig
from pipelines.recipes.compact import HEADS, TEXT, VISION
from tests.training.four_stages import DENSE, HARD, trainer_of, uneven_pools


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, small_recipe: Recipe) -> GroundingNetwork:
    return trainer_of(tmp_path_factory.mktemp("network"), small_recipe, uneven_pools()).network


def kernels_of(network: torch.nn.Module) -> set[str]:
    """Weights of convolutions that mix channels and have at least sixteen of outputs and of inputs times taps."""
    return {
        f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Conv2d)
        and module.groups == 1
        and module.in_channels > 1
        and min(module.out_channels, module.in_channels * module.kernel_size[0] * module.kernel_size[1]) >= 16
    }


@pytest.mark.parametrize("kernel_rate", [0.0, 3.0])
def test_what_is_named_is_open_at_its_rate_and_the_rest_is_closed(
    network: GroundingNetwork, kernel_rate: float
) -> None:
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    extra = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Conv2d(16, 16, 1))
    stage = DENSE.model_copy(
        update={"learning_rate": 1e-3, "text_share": 0.4, "weight_decay": 0.03, "kernel_rate": kernel_rate}
    )
    optimizer = open_parameters(network, extra.parameters(), stage)
    rules = {id(one): group for group in optimizer.param_groups for one in group["params"]}
    turned = kernels_of(network) if kernel_rate else set()
    met: set[tuple[bool, float]] = set()
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad == name.startswith((VISION, TEXT, *HEADS)), name
        assert parameter.grad is None  # a gradient of the stage before would count in the clipped norm
        if parameter.requires_grad:
            group = rules[id(parameter)]
            rate = 4e-4 if name.startswith(TEXT) else 3e-3 if name in turned else 1e-3
            assert group["peak"] == pytest.approx(rate), name
            assert group["orthogonal"] == (name in turned), name
            assert group["weight_decay"] == (0.03 if parameter.ndim > 1 else 0.0), name
            met.add((group["orthogonal"], group["peak"]))
    assert met == {(False, 4e-4), (False, 1e-3)} | ({(True, 3e-3)} if kernel_rate else set())
    assert not any(parameter.requires_grad or id(parameter) in rules for parameter in extra.parameters())
    hiding = stage.model_copy(update={"restoration": RestorationConfig()})
    groups = open_parameters(network, extra.parameters(), hiding).param_groups
    held = {id(one): group["orthogonal"] for group in groups for one in group["params"]}
    assert {id(parameter) for parameter in extra.parameters()} < held.keys()
    assert {id(parameter) for parameter in extra.parameters() if held[id(parameter)]} == (
        {id(extra[1].weight)} if kernel_rate else set()
    )


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


@pytest.mark.parametrize(
    ("batch", "miner", "most"),
    [
        (16, MinerConfig(every=3), 8),  # though 16 could share a fresh batch, and 32 a full mined one
        (16, MinerConfig(every=3, batch=5), 5),
        (4, MinerConfig(every=3), 4),
        (16, MinerConfig(), 16),
    ],
)
def test_no_more_processes_start_than_can_share_the_smallest_step(
    small_recipe: Recipe, batch: int, miner: MinerConfig, most: int
) -> None:
    stages = (DENSE, HARD.model_copy(update={"miner": miner}))
    recipe = small_recipe.model_copy(update={"batch": batch, "stages": stages})
    check_stages(recipe, most)
    if miner.every:
        with pytest.raises(
            UsageError, match=f"stage 'hard' mines, so a step may have {most} images, .* {most + 1} pro"
        ):
            check_stages(recipe, most + 1)


def test_a_stage_that_teaches_nothing_is_refused(small_recipe: Recipe) -> None:
    idle = DENSE.model_copy(update={"dense": False})
    with pytest.raises(UsageError, match="stage 'dense' teaches nothing"):
        check_stages(small_recipe.model_copy(update={"stages": (idle,)}), 1)

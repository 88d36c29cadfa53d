"""The averaged weights that a stage ends with, and the best of them by the development part."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from medground.model.network import GroundingNetwork
from medground.training.recipe import Stage

YARDSTICK = 2.0
"""Which images judge: 2 for those to choose by, without those to calibrate on. Checkpoints from before say nothing."""


class Average:
    """Exponential moving average of weights and batch-norm statistics, quick at first; counters are copied.

    Args:
        network: where it starts.
    """

    def __init__(self, network: GroundingNetwork) -> None:
        self.weights = {name: value.detach().clone() for name, value in network.learned_state().items()}
        self.best: dict[str, Tensor] | None = None
        self.best_figure = -math.inf
        self.looks_since = 0

    @torch.no_grad()
    def step(self, network: GroundingNetwork, stage: Stage, step: int) -> None:
        """Takes in the weights after a step, 0 at the first."""
        keep = min(stage.ema, (1 + step) / (10 + step))
        for name, value in network.learned_state().items():
            if value.dtype.is_floating_point and not name.startswith("prototypes."):
                self.weights[name].lerp_(value, 1 - keep)
            else:
                self.weights[name].copy_(value)

    def judged(self, network: GroundingNetwork, judge: Callable[[GroundingNetwork], float]) -> float:
        """Puts the average to the test and keeps it if none was better; the network is left as it was.

        Args:
            network: lends its form.
            judge: higher is better.
        """
        before = {name: value.clone() for name, value in network.learned_state().items()}
        modes = {name: module.training for name, module in network.named_modules()}
        network.load_learned_state(self.weights)
        network.eval()
        with torch.no_grad():
            figure = judge(network)
        network.load_learned_state(before)
        for name, module in network.named_modules():
            module.training = modes[name]
        self.looks_since += 1
        if figure > self.best_figure:
            self.best, self.best_figure, self.looks_since = self._copy(), figure, 0
        return figure

    def end(self) -> dict[str, Tensor]:
        """What the stage ends with."""
        return self.weights if self.best is None else self.best

    def tensors(self) -> dict[str, Tensor]:
        """The best so far, for a checkpoint."""
        if self.best is None:
            return {}
        told = torch.tensor([self.best_figure, float(self.looks_since), YARDSTICK], dtype=torch.float64)
        return {"told": told} | {f"best/{name}": value for name, value in self.best.items()}

    def restore(self, weights: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
        """Takes the weights of a checkpoint, and what `tensors` gave but a best that other images judged."""
        self.weights = weights
        if "told" in tensors and tensors["told"][2:].tolist() == [YARDSTICK]:
            self.best_figure, self.looks_since = float(tensors["told"][0]), int(tensors["told"][1])
            self.best = {
                name.removeprefix("best/"): value for name, value in tensors.items() if name.startswith("best/")
            }

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.weights.items()}

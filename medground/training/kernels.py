"""An optimiser that turns the steps of convolution kernels into orthogonal ones, and leaves the rest to AdamW.

Shape suffixes: N rows (outputs), M columns (inputs times taps).
"""

from __future__ import annotations

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
MATCH = 0.2  # root mean square of a step at rate 1, about that of AdamW
LEAST_SIDE = 16  # a narrower matrix has too few directions to be worth it


def is_kernel(parameter: Tensor) -> bool:
    """Whether a parameter is a kernel that mixes channels, wide enough for `Kernels`; depthwise ones are not."""
    return parameter.ndim == 4 and parameter.shape[1] > 1 and min(parameter.flatten(1).shape) >= LEAST_SIDE


def orthogonal(matrix_NM: Tensor) -> Tensor:
    """The matrix with all its singular values brought near 1 (0.7 to 1.2), by five Newton-Schulz iterations.

    Source: Jordan et al., Muon, 2024; the quintic with its coefficients.
    """
    a, b, c = COEFFICIENTS
    x: Tensor = matrix_NM / (matrix_NM.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


class Kernels(torch.optim.AdamW):
    """AdamW, but for parameter groups with `orthogonal` set: these step along their orthogonalised momentum.

    A gradient of a kernel is dominated by few directions; made orthogonal, a step moves all of them alike, and rare
    ones are not drowned. The step is scaled so that its root mean square is `MATCH` times the rate, whatever the shape
    (Liu et al., Muon is Scalable for LLM Training, 2025, eq. 4), and weights decay as in AdamW.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure is ever given
        """One step of every group."""
        for group in self.param_groups:
            if group.get("orthogonal"):
                for parameter in group["params"]:
                    if parameter.grad is not None and bool(parameter.grad.any()):
                        self._turn(parameter, parameter.grad, group["lr"], group["weight_decay"])
                    parameter.grad = None  # AdamW passes by what has no gradient
        super().step(closure)

    def _turn(self, parameter: Tensor, gradient: Tensor, rate: float, decay: float) -> None:
        state = self.state[parameter]
        if not state:
            state["step"], state["momentum"] = torch.tensor(0.0), torch.zeros_like(parameter)
        state["step"] += 1
        momentum = state["momentum"]
        momentum.lerp_(gradient, 1 - MOMENTUM)
        wanted_NM = gradient.lerp(momentum, MOMENTUM).flatten(1)
        step_NM = orthogonal(wanted_NM) * (MATCH * max(wanted_NM.shape) ** 0.5)
        parameter.mul_(1 - rate * decay).sub_(step_NM.view(parameter.shape), alpha=rate)

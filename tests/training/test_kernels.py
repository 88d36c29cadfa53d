"""Orthogonal steps of kernels: against the singular value decomposition, beside AdamW, and through a checkpoint."""

import torch
from torch import nn

from medground.training.kernels import MATCH, Kernels, is_kernel, orthogonal


def test_a_matrix_is_made_nearly_orthogonal():
    """Singular values end between 0.7 and 1.2, and the singular vectors are those of the matrix."""
    generator = torch.Generator().manual_seed(0)
    for rows, columns in [(24, 150), (150, 24), (32, 32)]:
        matrix = torch.randn(rows, columns, generator=generator)
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        got = orthogonal(matrix)
        inside = s > 0.05 * s[0]  # what is near 0 has not yet arrived
        core = u.T @ got @ vh.T
        values = core.diagonal()[inside]
        assert 0.6 < float(values.min()) <= float(values.max()) < 1.25
        assert float((core - torch.diag(core.diagonal())).abs().max()) < 1e-3


def test_a_step_has_the_size_of_its_rate_whatever_the_gradient():
    """Root mean square of a step: about MATCH times the rate, for gradients of any size."""
    for size in (1e-6, 1e3):
        weight = nn.Parameter(torch.zeros(32, 32, 3, 3))
        optimizer = Kernels([{"params": [weight], "lr": 0.01, "weight_decay": 0.0, "orthogonal": True}])
        weight.grad = size * torch.randn(32, 32, 3, 3, generator=torch.Generator().manual_seed(1))
        optimizer.step()
        rms = float(weight.detach().square().mean().sqrt())
        assert 0.5 < rms / (0.01 * MATCH) < 1.3


def orthogonal_by_values(matrix: torch.Tensor) -> torch.Tensor:
    """The quintic of the paper five times over each singular value, left and right vectors as they were."""
    u, values, vh = torch.linalg.svd(matrix / matrix.norm(), full_matrices=False)
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return u @ torch.diag(values) @ vh


def test_steps_follow_their_formula():
    """Momentum looked ahead of (Nesterov), made orthogonal, scaled by 0.2 sqrt(longer side); decay as in AdamW."""
    generator = torch.Generator().manual_seed(3)
    weight = nn.Parameter(torch.randn(24, 16, 3, 3, generator=generator, dtype=torch.float64))
    expected, momentum = weight.detach().flatten(1).clone(), torch.zeros(24, 144, dtype=torch.float64)
    optimizer = Kernels([{"params": [weight], "lr": 0.02, "weight_decay": 0.1, "orthogonal": True}])
    for _ in range(4):
        gradient = torch.randn(24, 16, 3, 3, generator=generator, dtype=torch.float64)
        weight.grad = gradient.clone()
        optimizer.step()
        momentum = 0.95 * momentum + 0.05 * gradient.flatten(1)
        ahead = 0.95 * momentum + 0.05 * gradient.flatten(1)
        expected = (1 - 0.02 * 0.1) * expected - 0.02 * 0.2 * 144**0.5 * orthogonal_by_values(ahead)
        assert torch.allclose(weight.detach().flatten(1), expected, rtol=0, atol=1e-6)
        assert weight.grad is None  # AdamW, which steps after, must not see it


def test_other_groups_step_as_in_adamw():
    """A group without `orthogonal` ends where AdamW would put it, bit for bit."""
    start = torch.randn(5, 7, generator=torch.Generator().manual_seed(2))
    mine, other, kernel = (
        nn.Parameter(start.clone()),
        nn.Parameter(start.clone()),
        nn.Parameter(torch.ones(16, 16, 1, 1)),
    )
    optimizer = Kernels(
        [{"params": [mine], "weight_decay": 0.1}, {"params": [kernel], "weight_decay": 0.1, "orthogonal": True}],
        lr=0.02,
    )
    plain = torch.optim.AdamW([other], lr=0.02, weight_decay=0.1)
    for step in range(4):
        gradient = torch.randn(5, 7, generator=torch.Generator().manual_seed(step))
        mine.grad, other.grad, kernel.grad = gradient.clone(), gradient.clone(), torch.ones(16, 16, 1, 1)
        optimizer.step()
        plain.step()
    assert torch.equal(mine, other)
    assert not torch.equal(kernel, torch.ones(16, 16, 1, 1))


def test_which_parameters_are_kernels():
    """Kernels that mix channels are; depthwise ones, narrow ones, norms and matrices of the text encoder are not."""
    assert is_kernel(nn.Conv2d(32, 64, 3).weight)
    assert is_kernel(nn.Conv2d(32, 64, 1).weight)
    assert not is_kernel(nn.Conv2d(32, 32, 3, groups=32).weight)
    assert not is_kernel(nn.Conv2d(1, 8, 3).weight)
    assert not is_kernel(nn.Linear(64, 64).weight)
    assert not is_kernel(nn.BatchNorm2d(64).weight)


def test_its_state_goes_on_where_it_was():
    """Two steps, state saved and loaded into a new optimiser, two more: the same bits as four in a row."""

    def run(parts: list[int]) -> torch.Tensor:
        weight, state = nn.Parameter(torch.ones(16, 16, 3, 3)), None
        done = 0
        for steps in parts:
            optimizer = Kernels([{"params": [weight], "lr": 0.01, "orthogonal": True}])
            if state is not None:
                optimizer.load_state_dict(state)
            for _ in range(steps):
                weight.grad = torch.randn(16, 16, 3, 3, generator=torch.Generator().manual_seed(done))
                optimizer.step()
                done += 1
            state = optimizer.state_dict()
        return weight.detach()

    assert torch.equal(run([4]), run([2, 2]))


def test_a_kernel_that_nothing_pulls_at_stays_where_it_is() -> None:
    """A gradient of zeros, as of a part that this batch did not use, moves nothing, whatever came before."""
    weight = nn.Parameter(torch.ones(16, 16, 3, 3))
    optimizer = Kernels([{"params": [weight], "lr": 0.01, "weight_decay": 0.0, "orthogonal": True}])
    weight.grad = torch.randn(16, 16, 3, 3, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    before = weight.detach().clone()
    weight.grad = torch.zeros(16, 16, 3, 3)
    optimizer.step()
    assert torch.equal(weight, before)

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medground.training.ewc import Anchor, Outcomes, anchor, penalty


class Logistic(nn.Module):
    """One weight vector and a bias, with a batch norm that must not learn from the general data."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1).double()
        self.norm = nn.BatchNorm1d(1)

    def forward(self, x_3: Tensor) -> Tensor:
        return self.linear(x_3).squeeze(-1)


def both_outcomes(model: nn.Module, x_3: Tensor) -> Outcomes:
    logit = model(x_3)
    probability = float(torch.sigmoid(logit.detach()))
    return [(probability, F.logsigmoid(logit)), (1 - probability, F.logsigmoid(-logit))]


@pytest.fixture
def data() -> Tensor:
    return torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_fisher_of_a_logistic_model_is_its_closed_form(data: Tensor) -> None:
    torch.manual_seed(1)
    model = Logistic()
    held = anchor(model, list(data), both_outcomes)
    probability = torch.sigmoid(model(data)).detach()
    spread = probability * (1 - probability)
    assert torch.allclose(held.fisher["linear.weight"][0], (spread[:, None] * data**2).mean(0))
    assert torch.allclose(held.fisher["linear.bias"], spread.mean()[None])
    # The square of the mean gradient, a common mistake, is nearly nothing beside it.
    assert (held.fisher["linear.weight"] > 0.01).all()


def test_penalty_is_zero_at_the_anchor_and_the_quadratic_form_elsewhere(data: Tensor) -> None:
    torch.manual_seed(1)
    model = Logistic()
    held = anchor(model, list(data), both_outcomes)
    at = penalty(model, held)
    assert float(at) == 0
    at.backward()
    assert all(float(p.grad.abs().sum()) == 0 for p in model.linear.parameters())
    optimizer = torch.optim.SGD(model.linear.parameters(), lr=0.5)
    optimizer.zero_grad()
    F.softplus(-model(data)).sum().backward()
    optimizer.step()
    moved = penalty(model, held)
    slow = sum(
        0.5 * float(held.fisher[name].flatten()[i]) * float((p.flatten()[i] - held.weights[name].flatten()[i]) ** 2)
        for name, p in model.linear.named_parameters(prefix="linear")
        for i in range(p.numel())
    )
    assert float(moved) == pytest.approx(slow, rel=1e-9)
    assert float(moved) > 0
    optimizer.zero_grad()
    moved.backward()
    assert float(model.linear.weight.grad.abs().sum()) > 0  # it pulls back


def test_the_anchor_is_detached_and_leaves_the_model_as_it_was(data: Tensor) -> None:
    model = Logistic().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    held = anchor(model, list(data[:3]), both_outcomes)
    assert all(not value.requires_grad for value in held.tensors().values())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert model.norm.training
    with torch.no_grad():
        model.linear.weight += 1
    assert torch.equal(held.weights["linear.weight"], before["linear.weight"])
    again = Anchor.of(held.tensors())
    assert float(penalty(model, again)) == float(penalty(model, held)) > 0


def test_closed_parameters_are_free_and_no_data_is_refused(data: Tensor) -> None:
    model = Logistic()
    model.linear.bias.requires_grad_(False)
    held = anchor(model, list(data[:2]), both_outcomes)
    assert "linear.bias" not in held.weights
    with torch.no_grad():
        model.linear.bias += 5
    assert float(penalty(model, held)) == 0
    with pytest.raises(ValueError, match="at least one sample"):
        anchor(model, [], both_outcomes)

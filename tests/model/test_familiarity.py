from __future__ import annotations

import pytest
import torch

from medground.model.familiarity import Familiarity


def test_distance_and_share_by_hand():
    means = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    precisions = torch.stack([torch.diag(torch.tensor([1.0, 4.0])), torch.eye(2)])
    yardstick = torch.tensor([[1.0, 4.0, 9.0, torch.inf], [torch.inf] * 4])
    known = Familiarity(means, precisions, yardstick)
    assert known.distance(torch.tensor([1.0, 1.0]), 0) == pytest.approx(5.0)
    assert known.share_less_typical(torch.tensor([1.0, 1.0]), 0) == pytest.approx(2 / 3)  # 1.5 x 4 and 1.5 x 9 exceed 5
    assert known.share_less_typical(torch.tensor([9.0, 0.0]), 0) == 0.0
    assert known.share_less_typical(torch.tensor([1.0, 1.0]), 1) == 0.0  # no development image of that kind

from __future__ import annotations

import pytest
import torch

from medground.model.config import DescriberConfig
from medground.model.describer import Describer
from medground.model.losses import sequence_loss

WORDS = ("round", "oval", "dense", "faint")


def test_targets_end_and_are_padded():
    describer = Describer(8, DescriberConfig(words=WORDS, width=16, max_words=3))
    assert describer.targets([("oval", "faint"), (), ("round", "oval", "dense", "faint")]).tolist() == [
        [2, 4, 0, -1],
        [0, -1, -1, -1],
        [1, 2, 3, 0],
    ]


def test_learns_to_say_what_it_is_shown_and_stops_by_itself():
    torch.manual_seed(0)
    describer = Describer(4, DescriberConfig(words=WORDS, width=32, max_words=4))
    regions = torch.eye(4)
    said = [("round", "dense"), ("oval",), ("faint", "oval", "dense"), ()]
    targets = describer.targets(said)
    optimizer = torch.optim.Adam(describer.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        sequence_loss(describer(regions, targets), targets, ignore=-1).backward()
        optimizer.step()
    decoded = describer.decode(regions)
    assert [tuple(statement.text for statement in words) for words in decoded] == said
    assert all(0.5 < statement.probability <= 1 for words in decoded for statement in words)
    only = describer.decode(regions, allowed=("oval", "round"))
    assert {statement.text for words in only for statement in words} <= {"oval", "round"}
    assert [s.text for s in only[1]] == ["oval"]


def test_nothing_to_describe():
    describer = Describer(4, DescriberConfig(words=WORDS))
    assert describer.decode(torch.zeros(0, 4)) == []
    assert Describer(4, DescriberConfig()).decode(torch.zeros(2, 4)) == [(), ()]


def test_likeness_is_what_would_be_said_after_the_likeliest_words_before():
    torch.manual_seed(0)
    describer = Describer(4, DescriberConfig(words=WORDS, width=32, max_words=4))
    groups = (("oval", "round"), ("faint", "dense"))
    regions = torch.randn(6, 4) * 3
    shapes, densities = describer.liken(regions, groups)
    assert [*shapes.sum(1).tolist(), *densities.sum(1).tolist()] == pytest.approx([1.0] * 12)
    for row, region in enumerate(regions):
        first = describer(region[None], describer.targets([()]))[0, 0].detach().softmax(-1)
        assert float(shapes[row, 1]) == pytest.approx(float(first[1] / (first[1] + first[2])), abs=1e-6)
        shape = groups[0][int(shapes[row].argmax())]
        second = describer(region[None], describer.targets([(shape,)]))[0, 1].detach().softmax(-1)
        assert float(densities[row, 0]) == pytest.approx(float(second[4] / (second[3] + second[4])), abs=1e-6)
    assert [table.shape for table in describer.liken(torch.zeros(0, 4), groups)] == [(0, 2), (0, 2)]
    with pytest.raises(ValueError, match="not in"):
        describer.liken(regions, (("striped",),))

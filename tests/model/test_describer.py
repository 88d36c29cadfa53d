from __future__ import annotations

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

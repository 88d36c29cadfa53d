from __future__ import annotations

import copy

import pytest

from pipelines.prototypes import SHARES, choose_share
from tests.model.shapes import trained_bundle


@pytest.mark.parametrize(("figure", "chosen"), [(lambda s: s, SHARES[-1]), (lambda s: -s, 0.0), (lambda _: 0.5, 0.0)])
def test_the_share_that_finds_most_is_taken_and_none_in_doubt(figure, chosen):
    network = copy.deepcopy(trained_bundle(10).network)
    network.weigh_prototypes(0.5)
    tables = choose_share(network, lambda: {"nodule": figure(network.prototypes.config.max_share)})
    assert network.prototypes.config.max_share == network.config.prototypes.max_share == chosen
    assert [table["mean"] for table in tables.values()] == [figure(share) for share in SHARES]


def test_a_network_without_prototypes_stays_without():
    network = copy.deepcopy(trained_bundle(10).network)
    network.weigh_prototypes(0.0)
    assert choose_share(network, lambda: {"nodule": 1.0}) == {}
    assert network.prototypes.config.max_share == 0.0

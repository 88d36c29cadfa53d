from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from medground.model.bundle import Bundle
from medground.model.network import GroundingNetwork
from medground.schema.errors import UsageError
from medground.training.warm_start import take_weights
from tests.model.shapes import trained_bundle


def fresh(bundle: Bundle, **sizes: object) -> GroundingNetwork:
    """An untrained network of the bundle's configuration, some sizes of its backbone changed."""
    config = bundle.network.config
    backbone = config.backbone.model_copy(update=sizes)
    made = type(bundle.network.backbone)(backbone, bundle.network.backbone.tokenizer)
    return GroundingNetwork(config.model_copy(update={"backbone": backbone}), made)


def test_all_but_the_statistics_is_taken():
    bundle = trained_bundle(10)
    network = fresh(bundle)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    taken = take_weights(network, bundle)
    assert taken.tensors == taken.of
    for name, value in network.state_dict().items():
        expected = before[name] if name.startswith("prototypes.") else bundle.network.state_dict()[name]
        assert torch.equal(value, expected), name


def test_what_does_not_fit_begins_anew():
    bundle = trained_bundle(10)
    network = fresh(bundle, channels=(8, 16, 24, 40))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    taken = take_weights(network, bundle)
    assert 0 < taken.tensors < taken.of
    theirs = bundle.network.state_dict()
    for name, value in network.state_dict().items():
        fits = not name.startswith("prototypes.") and theirs[name].shape == value.shape
        assert torch.equal(value, theirs[name] if fits else before[name]), name


def test_another_tokenizer_and_another_network_are_refused():
    bundle = trained_bundle(10)
    network = fresh(bundle)
    other = trained_bundle(11)
    other.network.backbone.tokenizer.add_tokens(["spiculated"])
    with pytest.raises(UsageError, match="another tokenizer"):
        take_weights(network, other)
    empty = replace(bundle, network=torch.nn.Identity())
    empty.network.learned_state = dict
    empty.network.backbone = network.backbone
    with pytest.raises(UsageError, match="no weight of shapes 1 fits"):
        take_weights(network, empty)

from __future__ import annotations

import pytest
import torch

from medground.data.vocabulary import load_vocabulary
from medground.model.network import count_parameters
from medground.schema.errors import UsageError
from medground.training.opening import open_parameters
from medground.training.recipe import DataMix
from pipelines.recipes import RECIPES, recipe
from pipelines.recipes.ablations import CHANGES, ablation
from pipelines.recipes.blood import KEPT, RARE
from pipelines.recipes.chest import ARMS
from pipelines.train import new_network

POOLS = {"phantom", "slices", "chest", "limb", "blood", "unlabelled", "other"}
POOLS |= {"close phantom", "close chest", "close limb"}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_names_real_concepts_pools_and_parameters(name):
    chosen, vocabulary = recipe(name), load_vocabulary()
    assert chosen.name == name
    assert chosen.model.classes == chosen.concepts
    assert all(vocabulary[concept].key == concept for concept in chosen.concepts)
    names = [stage.name for stage in chosen.stages]
    assert len(set(names)) == len(names)
    torch.manual_seed(0)
    network = new_network(chosen, vocabulary)
    assert count_parameters(network) <= 12e6
    for stage in chosen.stages:
        assert set(stage.pools) <= POOLS
        opened = open_parameters(network, (), stage)
        assert sum(len(group["params"]) for group in opened.param_groups) > 0
        for prefix in stage.trainable:
            assert any(key.startswith(prefix) for key, _ in network.named_parameters()), prefix


def test_every_ablation_has_the_budget_of_the_base():
    base = ablation("base")
    for change in CHANGES:
        made = ablation(change)
        assert sum(stage.steps for stage in made.stages) == sum(stage.steps for stage in base.stages), change
        assert change == "base" or made.model_dump(exclude={"name"}) != base.model_dump(exclude={"name"}), change


def test_arms_see_equally_many_labelled_batches():
    labelled = {
        name: sum(stage.steps for stage in make().stages if stage.restoration is None) for name, make in ARMS.items()
    }
    tuned = labelled.pop("chest-tuned")  # it has had others, without a label of these films, before
    assert len(set(labelled.values())) == 1
    assert tuned < min(labelled.values())


def test_a_class_of_five_boxes_is_learned_with_and_without_pasted_copies_in_as_many_steps():
    plain, paste = recipe("blood-five"), recipe("blood-five-paste")
    assert plain.mix.keep_boxes == paste.mix.keep_boxes == {RARE: KEPT}
    assert RARE in plain.concepts
    assert (plain.mix.pasted, paste.mix.pasted > 0) == (0, True)
    same = {"name", "mix"}
    assert plain.model_dump(exclude=same) == paste.model_dump(exclude=same)


def test_a_number_of_boxes_is_told_where_there_is_one_so_that_older_digests_hold():
    told = recipe("blood").mix.model_dump()
    assert "keep_boxes" not in told
    assert DataMix.model_validate(told) == recipe("blood").mix
    cut = recipe("blood-five").mix
    assert cut.model_dump()["keep_boxes"] == {RARE: KEPT}
    assert DataMix.model_validate_json(cut.model_dump_json()) == cut


def test_every_stage_that_is_tuned_is_learned_on_phantoms_alone_too():
    made = recipe("phantom-stages")
    assert [stage.name for stage in made.stages] == ["general", "align", "joint", "hard", "queries"]
    assert made.mix.model_dump(exclude_defaults=True).keys() == {"phantom_radiographs", "share_phantom"}


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="choose one of shipped"):
        recipe("nonsense")


def test_a_recipe_around_pretrained_weights_asks_for_them():
    with pytest.raises(UsageError, match="give its folder with --base"):
        recipe("qwen")
    made = recipe("qwen", base="some/model")
    assert made.model.backbone.source == "some/model"
    assert [stage.name for stage in made.stages] == ["align", "joint", "hard"]

from __future__ import annotations

import numpy as np
import pytest
import torch

from medground.data.splits import TRAIN
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from pipelines.fit import trained_concepts
from pipelines.prototypes import fit_prototypes
from pipelines.recipes.blood import KEPT, RARE, blood_five
from pipelines.recipes.compact import tiny
from pipelines.sources import Sources, nothing, training_pools
from pipelines.train import new_network
from tests.data.made_records import disc_record

SIZE_PX = 128


@pytest.fixture
def sources(tmp_path):
    """Seven smears with two platelets, seven with none; no red cell is drawn."""
    pairs = [(RARE, 60, 90, 12), (RARE, 130, 60, 12)]
    more = {"domain": Domain.OTHER, "exhaustive_for": frozenset({RARE, "white_blood_cell"}), "synthetic": False}
    records = [disc_record(tmp_path, f"r{n}", pairs if n % 2 else [], **more) for n in range(14)]
    return Sources(nothing(), nothing(), {**nothing(), TRAIN: tuple(records)}, ())


def small(*, paste: bool):
    """The recipe around a network that is built in no time."""
    recipe, model = blood_five(paste=paste), tiny().model
    narrow = model.model_copy(update={"classes": recipe.concepts, "image_size_px": SIZE_PX})
    mix = recipe.mix.model_copy(update={"paste_below": 0.5})
    views = recipe.augment.model_copy(update={"size_px": 32})
    return recipe.model_copy(update={"model": narrow, "mix": mix, "augment": views})


def test_a_class_is_cut_to_a_few_boxes_and_copies_show_those_alone(sources, tmp_path):
    plain, more = (training_pools(small(paste=paste), sources, tmp_path, workers=1)[0] for paste in (False, True))
    boxes = [held.concepts.count(RARE) for held in plain.items]
    assert sorted(boxes) == [0] * 9 + [1] * KEPT
    # Each had two, so one of each was cut: only what never had a platelet is known to be free of them.
    assert sum(RARE in held.exhaustive_for for held in plain.items) == 7
    assert all("white_blood_cell" in held.exhaustive_for for held in plain.items)
    copies = [held for held in more.items if held.copied]
    assert [held.pixels_HW.tobytes() for held in more.items if not held.copied] == [
        held.pixels_HW.tobytes() for held in plain.items
    ]
    assert len(copies) > KEPT
    assert all(set(held.concepts) == {RARE} for held in copies)


def test_copies_are_no_new_images_of_a_class_and_no_real_boxes(sources, tmp_path):
    recipe = small(paste=True)
    pools = training_pools(recipe, sources, tmp_path, workers=1)
    (entry,) = trained_concepts(recipe, pools)
    assert (entry.concept, entry.real_boxes) == (RARE, KEPT)
    assert entry.boxes == sum(held.concepts.count(RARE) for held in pools[0].items) > KEPT
    torch.manual_seed(0)
    network = new_network(recipe, load_vocabulary()).eval()
    fit_prototypes(recipe, network, load_vocabulary(), pools)
    images = dict(zip(recipe.concepts, network.prototypes.images_C.tolist(), strict=True))
    assert images == {RARE: KEPT, "red_blood_cell": 0, "white_blood_cell": 0}


def test_without_a_number_every_box_is_kept(sources, tmp_path):
    recipe = small(paste=False)
    whole = recipe.model_copy(update={"mix": recipe.mix.model_copy(update={"keep_boxes": {}})})
    (pool,) = training_pools(whole, sources, tmp_path, workers=1)
    assert np.sum([len(held.boxes_G4) for held in pool.items]) == 14


@pytest.mark.parametrize("more", [{"share_chest": 0.5}, {"share_close": 0.1}, {"share_other": 0.1}])
def test_boxes_are_cut_of_one_real_data_set_alone(sources, tmp_path, more):
    recipe = small(paste=False)
    mixed = recipe.model_copy(update={"mix": recipe.mix.model_copy(update=more)})
    with pytest.raises(UsageError, match="keep_boxes cuts one real data set alone"):
        training_pools(mixed, sources, tmp_path, workers=1)

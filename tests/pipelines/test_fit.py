"""Closer looks are calibrated on what the first look sends them to, with a network that really learned something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medground.data.dataset import Pool
from medground.data.sample import Held, quantise
from medground.data.splits import TRAIN
from medground.imaging.preprocess import standardise
from medground.model.grounder import Grounder
from medground.schema.anatomy import DOMAINS
from medground.training.calibrate import fit_close
from medground.training.recipe import DataMix
from pipelines.fit import BLOOD_NAME, CHEST_NAME, LIMB_NAME, drawn_from, read_closely, whole
from pipelines.recipes.compact import tiny
from pipelines.sources import Sources, nothing
from tests.data.made_records import disc_record
from tests.model.shapes import CLASSES, FILM, SIDE_PX, drawn_picture, trained_bundle


def large_film(seed: int) -> Held:
    """Four films in one: twice as many pixels a side as the model frame holds."""
    picture = np.zeros((2 * SIDE_PX, 2 * SIDE_PX), np.float32)
    boxes, concepts = [], []
    for quarter, shapes in enumerate(("s", "xS", "", "x")):
        part, marked = drawn_picture(10_000 + 4 * seed + quarter, shapes)
        top, left = SIDE_PX * (quarter // 2), SIDE_PX * (quarter % 2)
        picture[top : top + SIDE_PX, left : left + SIDE_PX] = part
        boxes += [(x1 + left, y1 + top, x2 + left, y2 + top) for x1, y1, x2, y2 in marked]
        concepts += [CLASSES[shape] for shape in shapes]
    return Held(
        quantise(standardise(picture)),
        np.array(boxes, dtype=np.float32),
        tuple(concepts),
        frozenset(CLASSES.values()),
        DOMAINS.index(FILM),
        ((),) * len(boxes),
        False,
    )


def test_boxes_of_closer_looks_are_judged_where_they_lie_on_the_film() -> None:
    recipe = tiny()
    recipe = recipe.model_copy(
        update={
            "concepts": tuple(CLASSES.values()),
            "model": recipe.model.model_copy(update={"image_size_px": SIDE_PX}),
        }
    )
    readings = read_closely(Grounder(trained_bundle()), recipe, [large_film(seed) for seed in range(12)])
    assert {reading.concept for reading in readings} == set(CLASSES.values())
    hits = sum(hit == 1 for reading in readings for hit in reading.hits)
    assert hits > 24  # most of 48 shapes, which are half as large in the first look as the network has learned
    first = [reading.hits[0] for reading in readings if reading.hits and reading.logits[0] > 0]
    assert sum(hit == 1 for hit in first) > 0.6 * len(first)
    curve = fit_close(readings)[""]
    assert curve.positives == hits
    assert curve.probability((3.0,)) > 5 * curve.probability((-6.0,))


def test_pools_of_close_views_are_no_images_to_fit_on() -> None:
    film = large_film(0)
    pools = [Pool("a", 1.0, (film,), (1.0,)), Pool("close", 1.0, (film,), (1.0,), (0.5, 1.0))]
    assert [pool.name for pool in whole(pools)] == ["a"]


@pytest.mark.parametrize(
    ("mix", "real", "names"),
    [
        ({"share_blood": 1.0}, True, (BLOOD_NAME,)),
        ({"share_blood": 1.0}, False, ("phantom", BLOOD_NAME)),
        ({"share_other": 0.1, "share_chest": 0.9}, False, ("phantom", CHEST_NAME, BLOOD_NAME)),
        ({"share_limb": 1.0}, True, (LIMB_NAME,)),
        ({"share_unlabelled": 1.0}, True, (CHEST_NAME,)),
        ({"share_phantom": 1.0}, False, ("phantom",)),
    ],
)
def test_what_was_drawn_from_is_named_and_nothing_else(
    tmp_path: Path, mix: dict[str, float], real: bool, names: tuple[str, ...]
) -> None:
    there = {**nothing(), TRAIN: (disc_record(tmp_path, "r", []),)}
    sources = Sources(there, there, there, (tmp_path / "film.jpg",))
    recipe = tiny().model_copy(update={"mix": DataMix.model_validate(mix)})
    pool = Pool("a", 1.0, (replace(large_film(0), real=real),), (1.0,))
    assert drawn_from(recipe, sources, [pool]) == names
    assert drawn_from(recipe, Sources(nothing(), nothing(), nothing(), ()), [pool]) == names[: not real]

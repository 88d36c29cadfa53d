"""What a run says it was trained on: every pool with a share, nothing else, each by what is in it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medground
from medground.data.dataset import Pool
from medground.data.pools import PHANTOM_VERSION, phantom_radiograph
from medground.data.splits import DEV, TRAIN, VALID
from medground.schema.anatomy import Domain
from medground.schema.record import ImageRecord
from medground.training.recipe import DataMix, Recipe
from pipelines.data_versions import data_versions
from pipelines.recipes.compact import tiny
from pipelines.sources import TRAIN_SEEDS, Sources, nothing, training_pools
from tests.data.made_records import disc_film, disc_record

MIX = DataMix(
    phantom_radiographs=3,
    phantom_slices=2,
    volume_slices=2,
    strangers=2,
    close_films=1,
    share_phantom=0.2,
    share_slices=0.1,
    share_chest=0.2,
    share_limb=0.2,
    share_unlabelled=0.1,
    share_other=0.1,
    share_close=0.1,
    pasted=2,
    paste_below=0.6,
)
MADE = {"first_seed": TRAIN_SEEDS, "phantom_version": PHANTOM_VERSION}


def recipe_of(mix: DataMix) -> Recipe:
    return tiny().model_copy(update={"mix": mix})


def films(folder: Path, name: str, count: int, **more: object) -> tuple[ImageRecord, ...]:
    """Every second one shows a nodule."""
    return tuple(
        disc_record(folder, f"{name}{n}", [("nodule", 60, 90, 12)] if n % 2 else [], synthetic=False, **more)
        for n in range(count)
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Chest films, blood smears and unlabelled films; no limb is there."""
    folder = tmp_path_factory.mktemp("films")
    chest = {TRAIN: films(folder, "c", 4), DEV: films(folder, "d", 2), VALID: films(folder, "v", 1)}
    blood = {**nothing(), TRAIN: films(folder, "b", 3, domain=Domain.OTHER)}
    Image.fromarray(disc_film([])).save(folder / "9_0.jpg")
    return Sources(chest, nothing(), blood, (folder / "9_0.jpg",))


@pytest.fixture(scope="module")
def pools(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> list[Pool]:
    return training_pools(recipe_of(MIX), sources, tmp_path_factory.mktemp("cache"), workers=1)


def counts(mix: DataMix, sources: Sources, pools: Sequence[Pool]) -> dict[str, dict[str, int]]:
    return {version.name: dict(version.counts) for version in data_versions(recipe_of(mix), sources, pools)}


def test_every_pool_with_a_share_is_named_with_what_is_in_it(sources: Sources, pools: list[Pool]) -> None:
    held = {pool.name: pool.items for pool in pools}
    boxes = {name: sum(len(item.boxes_G4) for item in items) for name, items in held.items()}
    pasted = len(held["chest"]) - 4
    assert pasted > 0
    assert counts(MIX, sources, pools) == {
        "cxr/train": {"images": 4, "boxes": 2},
        "cxr/dev": {"images": 2, "boxes": 1},
        "cxr/valid": {"images": 1, "boxes": 0},
        "bccd/train": {"images": 3, "boxes": 1},
        "pool/phantom": {"images": 3, "boxes": boxes["phantom"], "phantom_radiograph": 3, **MADE},
        "pool/slices": {"images": 4, "boxes": boxes["slices"], "phantom_slice": 2, "volume_slice": 2, **MADE},
        "pool/chest": {"images": 4 + pasted, "boxes": boxes["chest"], "pasted": pasted},
        "pool/unlabelled": {"images": 1, "boxes": 0},
        "pool/other": {"images": 5, "boxes": 1, "stranger_image": 2, **MADE},
        "pool/close phantom": {"images": 1, "boxes": boxes["close phantom"], "large_film": 1, **MADE},
        "pool/close chest": {"images": 4, "boxes": 2},
    }


def test_a_set_that_is_not_drawn_from_is_not_named(sources: Sources, pools: list[Pool]) -> None:
    named = {name: [pool for pool in pools if pool.name == name] for name in ("phantom", "unlabelled")}
    assert set(counts(DataMix(phantom_radiographs=3, share_phantom=1.0), sources, named["phantom"])) == {"pool/phantom"}
    only = DataMix(share_unlabelled=1.0)
    assert set(counts(only, sources, named["unlabelled"])) == {"pool/unlabelled"}
    absent = Sources(nothing(), nothing(), nothing(), ())
    assert counts(MIX, absent, [replace(pools[0], items=(), weights=())]) == {}


def digest(pool: Pool) -> str:
    (version,) = data_versions(recipe_of(DataMix()), Sources(nothing(), nothing(), nothing(), ()), [pool])
    return version.sha256


def test_the_hash_of_a_pool_is_of_pixels_and_truth(pools: list[Pool]) -> None:
    pool = next(pool for pool in pools if pool.name == "slices")
    first, *rest = pool.items
    beside = next(item for item in pool.items if item.beside_2HW is not None)
    pixels, moved, next_to = first.pixels_HW.copy(), first.boxes_G4.copy() + np.float32(0.5), beside.beside_2HW.copy()
    pixels[5, 5] ^= 1
    next_to[1, 5, 5] ^= 1
    others = [
        replace(pool, items=(replace(first, pixels_HW=pixels), *rest)),
        replace(pool, items=(replace(first, boxes_G4=np.concatenate([moved, np.ones((1, 4), np.float32)])), *rest)),
        replace(pool, items=(replace(first, exhaustive_for=frozenset({"mass"})), *rest)),
        replace(pool, items=tuple(replace(i, beside_2HW=next_to) if i is beside else i for i in pool.items)),
        replace(pool, items=(*rest, first)),
        replace(pool, items=pool.items[:-1]),
    ]
    assert len({digest(pool), *map(digest, others)}) == 1 + len(others)
    assert digest(replace(pool, name="elsewhere", share=0.9)) == digest(pool)


def test_the_hash_of_a_part_is_of_its_records_wherever_they_lie(sources: Sources, tmp_path: Path) -> None:
    def of(records: tuple[ImageRecord, ...]) -> str:
        chest = {**nothing(), TRAIN: records}
        (version,) = data_versions(recipe_of(MIX), Sources(chest, nothing(), nothing(), ()), [])
        return version.sha256

    records = sources.chest[TRAIN]
    away = tuple(record.model_copy(update={"path": tmp_path / record.path.name}) for record in records)
    assert of(records) == of(away) == of(tuple(reversed(records)))
    other = records[0].model_copy(update={"sha256": hashlib.sha256(b"another picture").hexdigest()})
    assert of((other, *records[1:])) != of(records)
    fewer = records[1].model_copy(update={"regions": ()})
    assert of((records[0], fewer, *records[2:])) != of(records)


ORDERED = """
from tests.pipelines.test_data_versions import digest, one_phantom
print(digest(one_phantom()))
"""


def one_phantom() -> Pool:
    return Pool("phantom", 1.0, (phantom_radiograph(0, 64),), (1.0,))


@pytest.mark.slow
def test_another_process_gives_the_same_hash() -> None:
    """There a set of words comes in another order."""
    environment = os.environ | {"PYTHONPATH": str(Path(medground.__file__).parents[1]), "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", ORDERED], env=environment, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == digest(one_phantom())

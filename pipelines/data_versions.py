"""What a training drew from, as its MLflow run keeps it: published parts by their records, pools by their images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from medground.data.dataset import Pool
from medground.data.pools import (
    PHANTOM_VERSION,
    large_film,
    phantom_radiograph,
    phantom_slice,
    stranger_image,
    volume_slice,
)
from medground.data.sample import Held
from medground.schema.record import ImageRecord
from medground.tracking.runs import DatasetVersion
from medground.training.recipe import DataMix, Recipe
from pipelines.sources import BLOOD, CHEST, LIMB, TRAIN_SEEDS, Sources


def data_versions(recipe: Recipe, sources: Sources, pools: Sequence[Pool]) -> list[DatasetVersion]:
    """One for each part of a real data set that the recipe draws from, and one for each pool; none for what is empty.

    Parts have the hash of their records, wherever their files lie. Pools have that of their images and truth as
    training sees them, in order, with how many of the images were pasted or made, and by which seeds.

    Args:
        recipe: with the shares.
        sources: real records.
        pools: that `training_pools` made of them.
    """
    mix = recipe.mix
    drawn = (
        (CHEST, mix.share_chest, sources.chest),
        (LIMB, mix.share_limb, sources.limb),
        (BLOOD, mix.share_blood + mix.share_other, sources.blood),
    )
    parts = [(f"{name}/{part}", own) for name, share, by_part in drawn if share for part, own in by_part.items() if own]
    return [_of_records(name, own) for name, own in parts] + [_of_pool(pool, mix) for pool in pools if pool.items]


def _of_records(name: str, records: Sequence[ImageRecord]) -> DatasetVersion:
    counts = {"images": len(records), "boxes": sum(len(record.regions) for record in records)}
    return DatasetVersion(name, _sha256(line.encode() for line in sorted(map(_line, records))), counts)


def _line(record: ImageRecord) -> str:
    held = record.model_dump(mode="json", exclude={"path"})
    held["exhaustive_for"].sort()  # a set: in another order in every process
    return json.dumps(held, sort_keys=True)


def _of_pool(pool: Pool, mix: DataMix) -> DatasetVersion:
    counts = {"images": len(pool.items), "boxes": sum(len(held.concepts) for held in pool.items)}
    pasted = sum(held.copied for held in pool.items)
    counts |= {"pasted": pasted} if pasted else {}
    made = {maker: count for maker, count in _made(pool.name, mix).items() if count}
    counts |= {"first_seed": TRAIN_SEEDS, "phantom_version": PHANTOM_VERSION, **made} if made else {}
    return DatasetVersion(f"pool/{pool.name}", _sha256(part for held in pool.items for part in _content(held)), counts)


def _made(pool: str, mix: DataMix) -> Mapping[str, int]:
    """How many images of a pool each maker made, of so many seeds from the first on."""
    table = {
        "phantom": {phantom_radiograph.__name__: mix.phantom_radiographs},
        "slices": {phantom_slice.__name__: mix.phantom_slices, volume_slice.__name__: mix.volume_slices},
        "other": {stranger_image.__name__: mix.strangers},
        "close phantom": {large_film.__name__: mix.close_films},
    }
    return table.get(pool, {})


def _content(held: Held) -> Iterable[bytes]:
    truth = {
        "pixels": held.pixels_HW.shape,
        "boxes": held.boxes_G4.tolist(),
        "concepts": held.concepts,
        "exhaustive_for": sorted(held.exhaustive_for),
        "domain": held.domain,
        "appearance": held.appearance,
        "real": held.real,
    }
    yield json.dumps(truth, sort_keys=True).encode()
    yield held.pixels_HW.tobytes()
    if held.beside_2HW is not None:
        yield held.beside_2HW.tobytes()


def _sha256(parts: Iterable[bytes]) -> str:
    """Of the parts, a line each."""
    digest = hashlib.sha256()
    for number, part in enumerate(parts):
        digest.update(b"\n" if number else b"")
        digest.update(part)
    return digest.hexdigest()

"""Which images a recipe trains on, tunes on and is measured on; no patient or film in two of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medground.data.dataset import Pool, inverse_root_weights
from medground.data.importers import by_name
from medground.data.importers.nih_chestxdet import merge_double_marked
from medground.data.leaks import check_leaks, fingerprint_records, near_duplicates, with_duplicate_groups, without_leaks
from medground.data.pools import generated, hold_records, phantom_radiograph, phantom_slice, stranger_image
from medground.data.sample import Held
from medground.data.splits import DEV, TRAIN, VALID, split_records
from medground.schema.record import ImageRecord
from medground.training.recipe import Recipe

CHEST, LIMB, BLOOD = "cxr", "fracatlas", "bccd"
SALT = "medground-1"
TRAIN_SEEDS, DEVELOPMENT_SEEDS, HELD_OUT_SEEDS = 0, 2_000_000, 5_000_000
DEVELOPMENT_PHANTOMS = 160

Parts = dict[str, tuple[ImageRecord, ...]]


@dataclass(frozen=True, slots=True)
class Sources:
    """Real records by data set and part, and the folder of unlabelled chest films (None where it is absent)."""

    chest: Parts
    limb: Parts
    blood: Parts
    unlabelled: tuple[Path, ...]


def say(text: str) -> None:
    """One progress line on stderr with the time of day."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def default_data() -> Path:
    """Where the development data lies: beside the repository."""
    return Path(__file__).resolve().parents[2] / "shared" / "data"


def load_sources(data: Path) -> Sources:
    """Imports and splits the real data sets found under `data`; a set that is absent is empty, and said.

    Near-duplicate films of FracAtlas are given one patient before the development part is hashed out of train, and
    train and development images that copy a valid one are dropped. The leak check runs on the outcome.

    Raises:
        LeakError: if parts still share a patient, a file or a film.
    """
    chest, limb, blood = (_split(name, data / name) for name in (CHEST, LIMB, BLOOD))
    folder = data / CHEST / "unlabelled"
    unlabelled = tuple(sorted(folder.glob("*.jpg"))) if folder.is_dir() else ()
    return Sources(chest, limb, blood, unlabelled)


def _split(name: str, folder: Path) -> Parts:
    if not folder.is_dir():
        say(f"{name}: not found, going on without it")
        return {TRAIN: (), DEV: (), VALID: ()}
    importer = {CHEST: "nih-chestxdet", LIMB: "fracatlas", BLOOD: "bccd"}[name]
    imported = by_name(importer)(folder)
    records = tuple(merge_double_marked(record) for record in imported.records)
    prints = fingerprint_records(records)
    pairs = near_duplicates(prints)
    if name == LIMB:  # no patients in the source: copies of one film within a published part stand together
        part_of = {record.record_id: record.part for record in records}
        records = with_duplicate_groups(records, [p for p in pairs if part_of[p[0]] == part_of[p[1]]])
    parts = split_records(records, salt=SALT)
    for measured in (VALID, DEV):
        parts = without_leaks(parts, check_leaks(parts, prints), keep=measured)
    check_leaks(parts, prints).raise_if_leaking()
    counts = ", ".join(f"{part} {len(own)}" for part, own in parts.items())
    say(f"{name}: {len(imported.records)} images ({len(imported.issues)} issues); {counts}; leak check passed")
    return parts


def training_pools(recipe: Recipe, sources: Sources, cache: Path, *, workers: int) -> list[Pool]:
    """All pools of a recipe, generated images from the cache in `cache`."""
    size, mix = recipe.model.image_size_px, recipe.mix
    phantoms = generated(
        phantom_radiograph,
        range(TRAIN_SEEDS, TRAIN_SEEDS + mix.phantom_radiographs),
        size,
        cache,
        workers=workers,
        note=say,
    )
    slices = generated(
        phantom_slice, range(TRAIN_SEEDS, TRAIN_SEEDS + mix.phantom_slices), size, cache, workers=workers, note=say
    )
    strangers = generated(
        stranger_image, range(TRAIN_SEEDS, TRAIN_SEEDS + mix.strangers), size, cache, workers=workers, note=say
    )
    chest = list(hold_records(sources.chest[TRAIN], size))
    limb = list(hold_records(sources.limb[TRAIN], size))
    other = strangers + list(hold_records(sources.blood[TRAIN], size))
    pools = [
        Pool("phantom", mix.share_phantom, tuple(phantoms), inverse_root_weights(phantoms)),
        Pool("slices", mix.share_slices, tuple(slices), inverse_root_weights(slices)),
        Pool("chest", mix.share_chest, tuple(chest), inverse_root_weights(chest)),
        Pool("limb", mix.share_limb, tuple(limb), fracture_weights(limb)),
        Pool("other", mix.share_other, tuple(other), (1.0,) * len(other)),
    ]
    for pool in pools:
        say(f"pool {pool.name}: {len(pool.items)} images, {sum(len(held.concepts) for held in pool.items)} boxes")
    return pools


def fracture_weights(items: Sequence[Held]) -> tuple[float, ...]:
    """Fractured limbs make three quarters of what is drawn."""
    broken = sum(bool(held.concepts) for held in items)
    whole = len(items) - broken
    return tuple(0.75 / max(broken, 1) if held.concepts else 0.25 / max(whole, 1) for held in items)

"""Which images a recipe trains on, tunes on and is measured on; no patient or film in two of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medground.data.dataset import Pool, inverse_root_weights
from medground.data.few_boxes import with_few_boxes
from medground.data.importers import by_name
from medground.data.importers.nih_chestxdet import merge_double_marked
from medground.data.known_copies import known_copies
from medground.data.leaks import check_leaks, with_duplicate_groups, without_leaks
from medground.data.pasted import pasted
from medground.data.pools import (
    generated,
    hold_records,
    large_film,
    phantom_radiograph,
    phantom_slice,
    stranger_image,
    unlabelled_film,
    volume_slice,
)
from medground.data.sample import Held
from medground.data.splits import DEV, DEV_FRACTION, TRAIN, VALID, folds, split_records
from medground.data.vocabulary import load_vocabulary
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord
from medground.training.recipe import Recipe

CHEST, LIMB, BLOOD, PHANTOM = "cxr", "fracatlas", "bccd", "phantom"
SETS = (CHEST, LIMB, BLOOD)
SALT, FOLDS = "medground-1", 5
CACHE = Path("out") / "cache"
TRAIN_SEEDS, DEVELOPMENT_SEEDS, HELD_OUT_SEEDS, TUNING_SEEDS = 0, 2_000_000, 5_000_000, 7_000_000
DEVELOPMENT_PHANTOMS = 160
LARGE_FOLDS = 3
NAMED = 3  # of the images that are left out, in the log
CLOSE_PX, LARGER = 2048, 1.5  # long side of films that are looked at closely; they are so many times the model frame

Parts = dict[str, tuple[ImageRecord, ...]]


@dataclass(frozen=True, slots=True)
class Sources:
    """Real records by data set and part, and unlabelled chest films of patients who are not measured on."""

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


def load_sources(
    data: Path,
    *,
    fold: int | None = None,
    large_fold: int | None = None,
    development_fraction: float = DEV_FRACTION,
    only: Collection[str] = SETS,
    cache: Path = CACHE,
) -> Sources:
    """Imports and splits the real data sets found under `data`; a set that is absent is empty, and said.

    Near-duplicate films of FracAtlas are given one patient before the development part is hashed out of train, and
    train and development images that copy a valid one are dropped. The leak check runs on the outcome.

    Args:
        data: folder of the data sets.
        fold: chest films only: 0 to 4, the fifth of the patients that is `valid`; their own split if None.
        large_fold: limb films only: 0 to 2, the third of the large films of all parts that is `valid`; what trains is
            the rest of the published train part and the other large films.
        development_fraction: share of the patients of train that becomes the development part.
        only: names of the data sets to load.
        cache: where lists of copies are kept.

    Raises:
        LeakError: if parts still share a patient, a file or a film.
    """
    held_out = {CHEST: fold, LIMB: large_fold}
    chest, limb, blood = (
        _split(name, data / name, held_out.get(name), development_fraction, cache) if name in only else nothing()
        for name in SETS
    )
    folder = data / CHEST / "unlabelled"
    measured = {patient_of(record.patient_id) for part in (VALID, DEV) for record in chest[part]}
    films = tuple(sorted(folder.glob("*.jpg"))) if folder.is_dir() and CHEST in only else ()
    free = tuple(path for path in films if patient_of(path.stem.split("_")[0]) not in measured)
    if films:
        say(f"unlabelled: {len(free)} films, {len(films) - len(free)} of measured patients left out")
    return Sources(chest, limb, blood, free)


def sets_of(recipe: Recipe) -> tuple[str, ...]:
    """The real data sets that a recipe draws from."""
    mix = recipe.mix
    return tuple(
        name
        for name, share in (
            (CHEST, mix.share_chest + mix.share_unlabelled),
            (LIMB, mix.share_limb),
            (BLOOD, mix.share_blood + mix.share_other),
        )
        if share
    )


def nothing() -> Parts:
    """Parts without images."""
    return {TRAIN: (), DEV: (), VALID: ()}


def patient_of(name: str) -> str:
    """A patient's number in NIH ChestX-ray14, however it is written."""
    return "".join(letter for letter in name if letter.isdigit()).lstrip("0")


def _split(name: str, folder: Path, fold: int | None, dev_fraction: float, cache: Path) -> Parts:
    if not folder.is_dir():
        say(f"{name}: not found, going on without it")
        return nothing()
    importer = {CHEST: "nih-chestxdet", LIMB: "fracatlas", BLOOD: "bccd"}[name]
    imported = by_name(importer)(folder)
    records = tuple(merge_double_marked(record) for record in imported.records)
    films = known_copies(records, cache)
    if name == LIMB:  # no patients in the source: copies of one film within a published part stand together
        part_of = {record.record_id: record.part for record in records}
        records = with_duplicate_groups(records, [p for p in films if part_of[p[0]] == part_of[p[1]]])
    if name == LIMB and fold is not None:
        parts = _large_parts(records, fold, dev_fraction)
    else:
        parts = _parts(records, fold, dev_fraction)
    for measured in (VALID, DEV):
        whole, parts = parts, without_leaks(parts, check_leaks(parts, films=films), keep=measured)
        _say_dropped(name, whole, parts, measured)
    check_leaks(parts, films=films).raise_if_leaking()
    counts = ", ".join(f"{part} {len(own)}" for part, own in parts.items())
    which = "" if fold is None else f", fold {fold}"
    say(f"{name}{which}: {len(imported.records)} images ({len(imported.issues)} issues); {counts}; leak check passed")
    return parts


def _say_dropped(name: str, whole: Parts, kept: Parts, measured: str) -> None:
    """Says how many images each part lost, of which at most `NAMED` are named by their ids in the data set."""
    for part, own in whole.items():
        left = {record.record_id for record in kept[part]}
        lost = sorted(record.record_id for record in own if record.record_id not in left)
        if lost:
            names = ", ".join(lost[:NAMED]) + (", ..." if len(lost) > NAMED else "")
            why = f"they show a film or a patient of {measured}"
            say(f"{name}: {len(lost)} of {len(own)} images of {part} left out, since {why}: {names}")


def _parts(records: Sequence[ImageRecord], fold: int | None, dev_fraction: float) -> Parts:
    if fold is None:
        return split_records(records, salt=SALT, dev_fraction=dev_fraction)
    rest, held_out = folds(records, FOLDS, SALT)[fold]
    parts = split_records(rest, salt=f"{SALT}/{fold}", fractions={TRAIN: 1.0}, dev_fraction=dev_fraction)
    return {TRAIN: parts[TRAIN], DEV: parts[DEV], VALID: held_out}


def _large_parts(records: Sequence[ImageRecord], fold: int, dev_fraction: float) -> Parts:
    held_out = large_folds(records)[fold]
    patients = {record.patient_id for record in held_out}
    usable = [r for r in records if r.patient_id not in patients and (r.part == TRAIN or _is_large(r))]
    rest = [record.model_copy(update={"part": None}) for record in usable]
    parts = split_records(rest, salt=f"{SALT}/large/{fold}", fractions={TRAIN: 1.0}, dev_fraction=dev_fraction)
    return {TRAIN: parts[TRAIN], DEV: parts[DEV], VALID: held_out}


def _is_large(record: ImageRecord) -> bool:
    return max(record.columns, record.rows) >= CLOSE_PX


def training_pools(recipe: Recipe, sources: Sources, cache: Path, *, workers: int) -> list[Pool]:
    """The pools that a recipe gives a share, generated images from the cache in `cache`."""
    size, mix = recipe.model.image_size_px, recipe.mix
    vocabulary = load_vocabulary()
    shares = (mix.share_chest, mix.share_limb, mix.share_blood)
    if mix.keep_boxes and (sum(map(bool, shares)) != 1 or mix.share_close or mix.share_other):
        raise UsageError("keep_boxes cuts one real data set alone: give one of them a share, and close and other none")

    def made(make: Callable[[int, int], Held], count: int) -> list[Held]:
        return generated(make, range(TRAIN_SEEDS, TRAIN_SEEDS + count), size, cache, workers=workers, note=say)

    def real(records: Sequence[ImageRecord]) -> list[Held]:
        if mix.keep_boxes and records:
            records = with_few_boxes(records, mix.keep_boxes, seed=recipe.seed)
        items = list(hold_records(records, size))
        if mix.pasted and records:
            extra = pasted(
                records,
                vocabulary,
                size_px=size,
                copies=mix.pasted,
                below=mix.paste_below,
                cache=cache / "frames",
                seed=recipe.seed,
                note=say,
            )
            say(f"{len(extra)} images with pasted lesions beside {len(items)}")
            items += extra
        return items

    pools = []
    if mix.share_phantom:
        phantoms = made(phantom_radiograph, mix.phantom_radiographs)
        pools.append(Pool("phantom", mix.share_phantom, tuple(phantoms), inverse_root_weights(phantoms)))
    if mix.share_slices:
        slices = made(phantom_slice, mix.phantom_slices) + made(volume_slice, mix.volume_slices)
        pools.append(Pool("slices", mix.share_slices, tuple(slices), inverse_root_weights(slices)))
    if mix.share_chest:
        chest = real(sources.chest[TRAIN])
        pools.append(Pool("chest", mix.share_chest, tuple(chest), inverse_root_weights(chest)))
    if mix.share_limb:
        limb = real(sources.limb[TRAIN])
        pools.append(Pool("limb", mix.share_limb, tuple(limb), fracture_weights(limb, mix.positive)))
    if mix.share_blood:
        blood = real(sources.blood[TRAIN])
        pools.append(Pool("blood", mix.share_blood, tuple(blood), inverse_root_weights(blood)))
    if mix.share_unlabelled:
        films = tuple(unlabelled_film(path, size) for path in sources.unlabelled)
        pools.append(Pool("unlabelled", mix.share_unlabelled, films, (1.0,) * len(films)))
    if mix.share_other:
        other = made(stranger_image, mix.strangers) + list(hold_records(sources.blood[TRAIN], size))
        pools.append(Pool("other", mix.share_other, tuple(other), (1.0,) * len(other)))
    pools += _close_pools(recipe, sources, cache, workers)
    for pool in pools:
        say(f"pool {pool.name}: {len(pool.items)} images, {sum(len(held.concepts) for held in pool.items)} boxes")
    return pools


def _close_pools(recipe: Recipe, sources: Sources, cache: Path, workers: int) -> list[Pool]:
    """Films kept larger than the model frame, for views at full resolution: phantoms, and real ones that are larger."""
    mix, size = recipe.mix, recipe.model.image_size_px
    if not mix.share_close:
        return []
    seeds = range(TRAIN_SEEDS, TRAIN_SEEDS + mix.close_films)
    groups = {"phantom": generated(large_film, seeds, CLOSE_PX, cache, workers=workers, note=say)}
    for name, share, records in (
        ("chest", mix.share_chest, sources.chest[TRAIN]),
        ("limb", mix.share_limb, sources.limb[TRAIN]),
    ):
        larger = [record for record in records if max(record.columns, record.rows) >= LARGER * size]
        groups[name] = list(held_large(larger)) if share else []
    filled = {name: items for name, items in groups.items() if items}
    each = mix.share_close / max(len(filled), 1)
    return [
        Pool(f"close {name}", each, tuple(items), inverse_root_weights(items), mix.close_scale)
        for name, items in filled.items()
    ]


def held_large(records: Sequence[ImageRecord]) -> Iterator[Held]:
    """Images at the size they are stored in, or at `CLOSE_PX` if that is less."""
    for record in records:
        yield from hold_records([record], min(CLOSE_PX, max(record.columns, record.rows)))


def large_folds(records: Sequence[ImageRecord]) -> list[tuple[ImageRecord, ...]]:
    """The large films among some, in `LARGE_FOLDS` folds by patient.

    Raises:
        UsageError: if there are too few.
    """
    return [held_out for _, held_out in folds([r for r in records if _is_large(r)], LARGE_FOLDS, f"{SALT}/large")]


def fracture_weights(items: Sequence[Held], positive: float) -> tuple[float, ...]:
    """Images with a fracture make the share `positive` of what is drawn."""
    broken = sum(bool(held.concepts) for held in items)
    whole = len(items) - broken
    return tuple(positive / max(broken, 1) if held.concepts else (1 - positive) / max(whole, 1) for held in items)

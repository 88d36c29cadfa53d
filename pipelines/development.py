"""The development part in two: what choices are made by, and what curves and thresholds are fitted on.

Whoever chooses weights by some images has made the scores on them better than on others; probabilities fitted there
would promise too much. So no patient, film or phantom is in both parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from types import MappingProxyType

from medground.data.known_copies import known_copies
from medground.data.leaks import check_leaks, without_leaks
from medground.data.pools import (
    SLICES_OF_A_VOLUME,
    hold_records,
    large_film,
    phantom_radiograph,
    phantom_slice,
    stranger_image,
    volume_slice,
)
from medground.data.sample import Held
from medground.data.splits import DEV, hash_part
from medground.schema.anatomy import DOMAINS
from medground.schema.record import ImageRecord
from medground.training.recipe import Recipe
from pipelines.sources import CLOSE_PX, DEVELOPMENT_PHANTOMS, DEVELOPMENT_SEEDS, LARGER, Sources, held_large, say

CHOOSE, CALIBRATE = "choose", "calibrate"
SHARES: Mapping[str, float] = MappingProxyType({CHOOSE: 0.6, CALIBRATE: 0.4})
SALT = "medground-development"
LARGE_DEVELOPMENT_PHANTOMS = 48


@dataclass(frozen=True, slots=True)
class Development:
    """Images that training never sees.

    Attributes:
        choose: what a stage's weights, shares and the mirror are chosen by.
        calibrate: what curves are fitted on, and the yardstick of what is typical.
        films: the real radiographs of `calibrate`, for looks at full resolution.
    """

    choose: tuple[Held, ...]
    calibrate: tuple[Held, ...]
    films: tuple[ImageRecord, ...] = ()

    def sizes(self) -> dict[str, dict[str, int]]:
        """Images of each part by kind, real ones and phantoms apart."""
        parts = {CHOOSE: self.choose, CALIBRATE: self.calibrate}
        return {part: dict(sorted(Counter(map(kind_of, own)).items())) for part, own in parts.items()}


def kind_of(held: Held) -> str:
    """The kind of an image, and whether it is real."""
    return f"{DOMAINS[held.domain].value}, {'real' if held.real else 'phantom'}"


def development_of(recipe: Recipe, sources: Sources, cache: Path) -> Development:
    """Real development images by patient, and phantoms by seed.

    Args:
        recipe: what it draws from is what there is.
        sources: real records; those of `dev` are divided.
        cache: where lists of copies are kept.
    """
    mix, size = recipe.mix, recipe.model.image_size_px
    chest = divided(sources.chest[DEV] if mix.share_chest else (), cache)
    limb = divided(sources.limb[DEV] if mix.share_limb else (), cache)
    blood = divided(sources.blood[DEV] if mix.share_blood or mix.share_other else (), cache)
    choose, calibrate = (
        (*_phantoms(recipe, part), *hold_records([*chest[part], *limb[part], *blood[part]], size)) for part in SHARES
    )
    return Development(choose, calibrate, (*chest[CALIBRATE], *limb[CALIBRATE]))


def part_of(name: str) -> str:
    """The part that a patient, or the body of a phantom, belongs to, by its name alone."""
    return hash_part(name, fractions=SHARES, salt=SALT)


def divided(records: Sequence[ImageRecord], cache: Path) -> dict[str, tuple[ImageRecord, ...]]:
    """Records of one data set by part; what `choose` shows in a copy under another patient's name, it loses.

    Args:
        records: of the development part.
        cache: where lists of copies are kept.
    """
    parts = {part: tuple(record for record in records if part_of(record.patient_id) == part) for part in SHARES}
    if not records:
        return parts
    apart = without_leaks(parts, check_leaks(parts, films=known_copies(records, cache)), keep=CALIBRATE)
    lost = len(parts[CHOOSE]) - len(apart[CHOOSE])
    if lost:
        say(f"development: {lost} images copy one that curves are fitted on, and choose nothing")
    return apart


def seeds_of(part: str, *, together: int = 1) -> Iterator[int]:
    """Development seeds of a part, without end; so many as `together` that follow each other show one body."""
    return (seed for seed in count(DEVELOPMENT_SEEDS) if part_of(f"seed {seed // together}") == part)


def _phantoms(recipe: Recipe, part: str) -> Iterator[Held]:
    """Generated images of a part."""
    mix = recipe.mix
    films = min(DEVELOPMENT_PHANTOMS, mix.phantom_radiographs)
    some = max(2, films // 3)
    for make, images, together in (
        (phantom_radiograph, films if mix.share_phantom else 0, 1),
        (phantom_slice, some if mix.share_slices and mix.phantom_slices else 0, 1),
        (volume_slice, some if mix.share_slices and mix.volume_slices else 0, SLICES_OF_A_VOLUME),
        (stranger_image, some if mix.share_other else 0, 1),
    ):
        for seed in islice(seeds_of(part, together=together), round(images * SHARES[part])):
            yield make(seed, recipe.model.image_size_px)


def large_images(recipe: Recipe, development: Development) -> Iterator[Held]:
    """Films of `calibrate` with more to show than the model frame, at the size they are stored in.

    Nothing is chosen by such films, so all phantoms among them are of this part.
    """
    phantoms = min(LARGE_DEVELOPMENT_PHANTOMS, recipe.mix.close_films)
    for seed in islice(seeds_of(CALIBRATE), phantoms):
        yield large_film(seed, CLOSE_PX)
    least = LARGER * recipe.model.image_size_px
    yield from held_large([film for film in development.films if max(film.columns, film.rows) >= least])

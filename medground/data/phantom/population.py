"""A population of films: the findings of ChestX-Det as often and together as there, and a few films of rare ones.

What a film shows depends on its part and number alone, so that a larger set begins with the films of a smaller one.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image

from medground.data.phantom.chest_radiograph import PhantomImage, chest_radiograph, to_record
from medground.data.phantom.findings import RARE_FINDINGS, at_most
from medground.data.phantom.known import known_of
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord

Part = Literal["train", "valid", "test"]
FIRST_SEED: Final[dict[Part, int]] = {"train": 20_000_000, "valid": 30_000_000, "test": 40_000_000}
MOST_FILMS: Final = 10_000_000
RARE_FILMS: Final[dict[Part, int]] = {"train": 5, "valid": 10, "test": 10}
"""Films of each rare finding in a part: few to learn from, more to measure on."""
_RARE_EVERY: Final = 5  # of the first films of a part, until each rare finding has its films
_BESIDE_RARE: Final = ("pleural_thickening", "calcification", "cardiomegaly", "pleural_effusion")
_MOST_OF_A_KIND: Final = 8


@dataclass(frozen=True)
class Frequencies:
    """How often ChestX-Det's films show what, in vocabulary keys.

    Attributes:
        images: number of films.
        together: the findings of a film, and the number of films with just these.
        boxes: by finding, the number of its boxes on a film and the number of films with so many.
    """

    images: int
    together: tuple[tuple[tuple[str, ...], int], ...]
    boxes: dict[str, dict[int, int]]

    def share(self, finding: str) -> float:
        """Share of the films that show it."""
        return sum(self.boxes[finding].values()) / self.images


@functools.cache
def chestx_det_frequencies() -> Frequencies:
    """The counted table that the population follows.

    Source: Lian et al., A Structure-Aware Relation Network for Thoracic Diseases Detection and Segmentation, IEEE TMI
    2021: `ChestX_Det_train.json` and `ChestX_Det_test.json`.
    """
    table = json.loads(Path(__file__).with_name("chestx_det_frequencies.json").read_text(encoding="utf-8"))
    return Frequencies(
        table["images"],
        tuple((tuple(findings), films) for films, findings in table["images_by_findings"]),
        {name: {int(n): films for n, films in row.items()} for name, row in table["boxes_per_image"].items()},
    )


def rare_finding(part: Part, number: int) -> str | None:
    """The rare finding that the film of that number shows, if it is one of those.

    Args:
        part: of the population.
        number: from 0.
    """
    turn, place = divmod(number, _RARE_EVERY)
    if place != _RARE_EVERY // 2 or turn >= RARE_FILMS[part] * len(RARE_FINDINGS):
        return None
    return RARE_FINDINGS[turn % len(RARE_FINDINGS)]


def phantom_findings(part: Part, number: int) -> list[str]:
    """What the film of that number shows, without drawing it.

    Args:
        part: of the population.
        number: from 0.

    Returns:
        Vocabulary keys, repeated for several lesions.
    """
    rng = np.random.default_rng([_seed(part, number), 60])
    rare = rare_finding(part, number)
    if rare is not None:
        count = {"pneumoperitoneum": 1 + int(rng.random() < 0.4), "rib_metastasis": int(rng.integers(1, 4))}
        beside = [str(rng.choice(_BESIDE_RARE))] if rng.random() < 0.4 else []
        return [rare] * count.get(rare, 1) + beside
    table = chestx_det_frequencies()
    films = np.array([films for _, films in table.together], float)
    findings, _ = table.together[int(rng.choice(len(films), p=films / films.sum()))]
    names: list[str] = []
    for name in findings:
        odds = table.boxes[name]
        boxes = int(rng.choice(list(odds), p=np.array(list(odds.values())) / sum(odds.values())))
        names += [name] * min(boxes, at_most(name), _MOST_OF_A_KIND)
    return names


def phantom_record(part: Part, number: int, *, size_px: int = 512) -> tuple[PhantomImage, ImageRecord]:
    """Draw the film of that number, with its record.

    Args:
        part: of the population; parts share no patient.
        number: from 0.
        size_px: rows and columns, at least 64.

    Returns:
        The film and its record.

    Raises:
        UsageError: on a part or number that there is none of, or a size below 64.
    """
    seed = _seed(part, number)
    image = chest_radiograph(seed, size_px=size_px, findings=phantom_findings(part, number))
    known = known_of(image.regions)
    return image, to_record(image, record_id=f"phantom-{seed}", part=part, exhaustive_for=known)


def _seed(part: Part, number: int) -> int:
    if part not in FIRST_SEED:
        raise UsageError(f"the phantom population has no part {part!r}; it has {', '.join(FIRST_SEED)}")
    if not 0 <= number < MOST_FILMS:
        raise UsageError(f"film {number} of the phantom population: numbers run from 0 to {MOST_FILMS - 1}")
    return FIRST_SEED[part] + number


@dataclass(frozen=True)
class PhantomSet:
    """The first films of one part of the population, drawn when they are asked for.

    Attributes:
        part: of the population.
        count: number of films, at least as many as it takes to hold the rare ones.
        size_px: rows and columns.

    Raises:
        UsageError: on fewer films than that.
    """

    part: Part
    count: int
    size_px: int = 512

    def __post_init__(self) -> None:
        _seed(self.part, self.count - 1)
        least = _RARE_EVERY * RARE_FILMS[self.part] * len(RARE_FINDINGS)
        if self.count < least:
            raise UsageError(
                f"{self.count} films asked for: the {self.part} part of the phantom population needs at least {least} "
                "to hold all of its rare findings; single films come from phantom_record"
            )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[PhantomImage, ImageRecord]:
        """The film of that number and its record; IndexError past the end."""
        if not 0 <= number < self.count:
            raise IndexError(number)
        return phantom_record(self.part, number, size_px=self.size_px)

    def write(self, folder: Path) -> Iterator[ImageRecord]:
        """Write each film as an 8-bit PNG and give its record with the file.

        Args:
            folder: made if absent.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(self.count):
            image, record = self[number]
            path = folder / f"{record.record_id}.png"
            Image.fromarray(np.round(image.pixels * 255).astype(np.uint8)).save(path)
            yield record.model_copy(update={"path": path, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})

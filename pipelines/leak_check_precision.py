"""How many planted copies of real films the leak check finds, and how many pairs of different films it flags.

`python -m pipelines leak-check-precision --data ../shared/data`

Recall: each film is changed as copies are, and compared with its original. Precision: all pairs of the chest films, of
which patients are known, and all pairs of FracAtlas against `data_cards/fracatlas_duplicates.csv`, whose pairs were
looked at.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medground.data.fingerprints import SAME_FILM, Fingerprint, correlation, fingerprint, near_duplicates
from medground.data.importers import by_name
from medground.schema.errors import MedgroundError

Grey = NDArray[np.uint8]
LISTED = Path(__file__).resolve().parents[1] / "data_cards" / "fracatlas_duplicates.csv"
_SIDE = 1024


def encoded_again(grey: Grey) -> Grey:
    """Saved as a JPEG file of quality 40."""
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=40)
    return np.asarray(Image.open(buffer))


def resized(grey: Grey) -> Grey:
    """5% smaller."""
    size = (round(grey.shape[1] * 0.95), round(grey.shape[0] * 0.95))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))


def windowed(grey: Grey) -> Grey:
    """Through a window from 15% to 75% of the grey scale; what lies outside is black or white."""
    return np.clip((grey / 255 - 0.15) / 0.6 * 255, 0, 255).astype(np.uint8)


def cropped(grey: Grey) -> Grey:
    """2% cut off each side."""
    rows, columns = (max(round(0.02 * side), 1) for side in grey.shape)
    return grey[rows:-rows, columns:-columns]


CHANGES: Mapping[str, Callable[[Grey], Grey]] = {
    "encoded again, quality 40": encoded_again,
    "5% smaller": resized,
    "windowed": windowed,
    "2% cropped off each side": cropped,
    "windowed and cropped": lambda grey: windowed(cropped(grey)),
}


@dataclass(frozen=True, slots=True)
class Recall:
    """Copies of one kind: how many were planted, and how many were caught."""

    planted: int
    caught: int


@dataclass(frozen=True, slots=True)
class Flagged:
    """Pairs that the check calls one film.

    Attributes:
        films, pairs: compared.
        expected: flagged pairs that are one film: of one patient, or on the list.
        wrong: flagged pairs that are not.
        missed: pairs on the list that are not flagged.
        nearest: greatest correlation of two films of different patients, or of a pair that is not on the list.
    """

    films: int
    pairs: int
    expected: int
    wrong: int
    missed: int
    nearest: float


def recall_of(films: Iterable[Grey]) -> dict[str, Recall]:
    """Plant each kind of copy of each film, and look for it.

    Args:
        films: 2D, any size.
    """
    planted = dict.fromkeys(CHANGES, 0)
    caught = dict.fromkeys(CHANGES, 0)
    for grey in films:
        original = fingerprint(grey)
        for kind, change in CHANGES.items():
            planted[kind] += 1
            caught[kind] += correlation(original, fingerprint(change(grey))) >= SAME_FILM
    return {kind: Recall(planted[kind], caught[kind]) for kind in CHANGES}


def flagged_of(prints: Mapping[str, Fingerprint], is_one_film: Callable[[str, str], bool], listed: int = 0) -> Flagged:
    """Compare all pairs.

    Args:
        prints: name to fingerprint.
        is_one_film: whether a pair is known to be.
        listed: how many such pairs there are, where they are listed.
    """
    alike = near_duplicates(prints, threshold=0.5)
    flagged = [(a, b) for a, b, value in alike if value >= SAME_FILM]
    expected = sum(is_one_film(a, b) for a, b in flagged)
    others = [value for a, b, value in alike if not is_one_film(a, b)]
    pairs = len(prints) * (len(prints) - 1) // 2
    missed = max(listed - expected, 0)
    return Flagged(len(prints), pairs, expected, len(flagged) - expected, missed, max(others, default=0.0))


def read_grey(path: Path) -> Grey:
    """A film at no more than 1024 pixels a side.

    Raises:
        OSError: it cannot be decoded.
    """
    with Image.open(path) as image:
        image.draft("L", (_SIDE, _SIDE))
        grey = image.convert("L")
    grey.thumbnail((_SIDE, _SIDE))
    return np.asarray(grey)


def listed_pairs(table: Path = LISTED) -> frozenset[frozenset[str]]:
    """The pairs of the committed table."""
    with table.open(encoding="utf-8") as file:
        return frozenset(frozenset((row["first"], row["second"])) for row in csv.DictReader(file))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures.

    Args:
        argv: arguments; None takes those of the process.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="with fracatlas/ and cxr/")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every N-th film only")
    arguments = parser.parse_args(argv)
    try:
        sources = {name: by_name(importer)(arguments.data / name) for name, importer in _SOURCES.items()}
    except MedgroundError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    pairs = listed_pairs()
    for name, imported in sources.items():
        records = [record for record in imported.records if record.path is not None][:: arguments.every]
        patient = {record.record_id: record.patient_id for record in records}
        films = {record.record_id: read_grey(record.path) for record in records if record.path is not None}
        listed = sum(pair <= films.keys() for pair in pairs) if name == "fracatlas" else 0
        print(f"{name}: {len(films)} films")
        for kind, recall in recall_of(films.values()).items():
            print(f"  {kind}: {recall.caught} of {recall.planted} caught")
        prints = {one: fingerprint(grey) for one, grey in films.items()}

        def known(a: str, b: str, patient: Mapping[str, str] = patient) -> bool:
            return frozenset((a, b)) in pairs or patient[a] == patient[b]

        found = flagged_of(prints, known, listed)
        print(
            f"  of {found.pairs} pairs {found.expected} flagged that are one film or one patient, {found.wrong} that "
            f"are not, {found.missed} missed; nearest other pair {found.nearest:.3f}"
        )
    return 0


_SOURCES = {"fracatlas": "fracatlas", "cxr": "nih-chestxdet"}

if __name__ == "__main__":
    sys.exit(main())

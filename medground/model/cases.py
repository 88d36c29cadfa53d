"""Cases: lesions that a model learnt from, each with what is known of it and, where policy allows, a small picture.

They show a person what a rare finding was learnt from: the nearest ones by the features of their regions. A case names
no patient, no study and no file. A picture is kept of phantoms, and of what somebody adds to a bundle of their own if
they ask for it; of all else there are words alone. Nothing here needs torch.

Legend: N cases, R regions asked about, D width of the features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError
from medground.schema.result import CASE_ID, BoxPx

MOST_CASES: Final = 512  # of a bundle: with pictures of the largest size they stay below the limit for a file
MOST_SHOWN: Final = 4
MOST_MM: Final = 2000
PHANTOM: Final = "phantom"
ADDED_BY_HAND: Final = "added to this bundle"  # what a user calls a data set may name a patient


class Picture(StrEnum):
    """Whether the picture of a case is kept, or why not."""

    KEPT = "kept"
    NOT_ASKED = "not asked for"
    WITHHELD = "withheld"


WHY_NOT: Final = {
    Picture.NOT_ASKED: "No picture: whoever added the class did not ask for pictures to be kept in the bundle.",
    Picture.WITHHELD: "No picture: none is kept of images of patients that the model was trained on.",
}


class Case(StrictConfig):
    """What is known of a lesion.

    Attributes:
        id: follows from its features, so that it means the same case in every bundle that has it.
        concept: vocabulary key.
        domain: kind of its image.
        side: of the patient, where known.
        zone: third of the chest, where known.
        longest_mm: longest side of its box, where the spacing is known and can be right; on a radiograph at the
            detector.
        appearance: words that are true of it.
        source: where it comes from; never a file's name.
        synthetic: whether it was made by code.
        picture: whether its picture is kept.
        box_xyxy_px: where it lies on the picture, pixels of the picture; None without one.
    """

    id: str = Field(pattern=CASE_ID)
    concept: str = Field(max_length=80)
    domain: Domain
    side: Side | None = None
    zone: Zone | None = None
    longest_mm: float | None = Field(default=None, gt=0, le=MOST_MM)
    appearance: tuple[str, ...] = Field(default=(), max_length=16)
    source: str = Field(max_length=80)
    synthetic: bool
    picture: Picture
    box_xyxy_px: BoxPx | None = None


def case_id(concept: str, domain: Domain, features_D: NDArray[np.float16]) -> str:
    """The id of a case."""
    told = f"{concept}\n{domain.value}\n".encode() + features_D.astype("<f2").tobytes()
    return hashlib.sha256(told).hexdigest()[:16]


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """The cases of a bundle.

    Attributes:
        known: what is known of each.
        features_ND: of their regions, (N, D).
        pictures: (rows, columns) of the cases that have one, by id; grey, 0 black.
    """

    known: tuple[Case, ...] = ()
    features_ND: NDArray[np.float16] = field(default_factory=lambda: np.zeros((0, 0), np.float16))
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)

    def find(self, case: str) -> Case | None:
        """The case of that id, or None."""
        return next((one for one in self.known if one.id == case), None)

    def are_of(self, concept: str, domain: Domain) -> bool:
        """Whether there is one of a class on a kind of image."""
        return any(one.concept == concept and one.domain == domain for one in self.known)

    def nearest(
        self, concept: str, domain: Domain, regions_RD: NDArray[np.float32], most: int = MOST_SHOWN
    ) -> list[tuple[tuple[str, float], ...]]:
        """The cases of a class on a kind of image that look most like each region.

        Args:
            concept: of the class.
            domain: kind of image.
            regions_RD: features of the regions.
            most: of each.

        Returns:
            Ids with the cosine of the features, 0..1, nearest first, for each region in the order given.
        """
        rows = [row for row, one in enumerate(self.known) if one.concept == concept and one.domain == domain]
        if not rows or not len(regions_RD):
            return [()] * len(regions_RD)
        alike_RN = np.clip(unit(regions_RD) @ unit(self.features_ND[rows].astype(np.float32)).T, 0, 1)
        best_RK = np.argsort(-alike_RN, axis=1, kind="stable")[:, :most]
        return [
            tuple((self.known[rows[n]].id, round(float(alike_N[n]), 4)) for n in best_K.tolist())
            for alike_N, best_K in zip(alike_RN, best_RK, strict=True)
        ]

    def joined(self, other: Cases) -> Cases:
        """These and others; a case that both have stays as it is here.

        Raises:
            UsageError: they are too many, or of features of another width.
        """
        mine = {one.id for one in self.known}
        rows = [row for row, one in enumerate(other.known) if one.id not in mine]
        if not rows or not self.known:
            joined = self if not rows else other
        elif other.features_ND.shape[1] != self.features_ND.shape[1]:
            widths = f"{other.features_ND.shape[1]} and {self.features_ND.shape[1]}"
            raise UsageError(f"cases have features of {widths} numbers: they are of different networks")
        else:
            new = tuple(other.known[row] for row in rows)
            pictures = {one.id: other.pictures[one.id] for one in new if one.id in other.pictures}
            features_ND = np.concatenate([self.features_ND, other.features_ND[rows]])
            joined = Cases((*self.known, *new), features_ND, {**self.pictures, **pictures})
        if len(joined.known) > MOST_CASES:
            raise UsageError(f"a bundle holds at most {MOST_CASES} cases, these are {len(joined.known)}")
        return joined

    def without(self, concept: str, source: str | None = None) -> Cases:
        """These but for those of a class, or but for those of it that come from one source."""
        gone = [one.concept == concept and source in (None, one.source) for one in self.known]
        return self.only([row for row, is_gone in enumerate(gone) if not is_gone])

    def only(self, rows: Sequence[int]) -> Cases:
        """The cases of these rows, in their order."""
        known = tuple(self.known[row] for row in rows)
        pictures = {one.id: self.pictures[one.id] for one in known if one.id in self.pictures}
        return Cases(known, self.features_ND[list(rows)] if known else self.features_ND[:0], pictures)


def diverse(features_ND: NDArray[np.float32], most: int) -> list[int]:
    """Rows that differ most from each other: the one nearest to all, then always the one farthest from those chosen.

    Args:
        features_ND: of all there are.
        most: rows to choose.
    """
    if most < 1 or not len(features_ND):
        return []
    unit_ND = unit(features_ND)
    chosen = [int((unit_ND @ unit_ND.mean(0)).argmax())]
    nearest_N = unit_ND @ unit_ND[chosen[0]]
    while len(chosen) < min(most, len(features_ND)):
        nearest_N[chosen] = np.inf
        chosen.append(int(nearest_N.argmin()))
        nearest_N = np.maximum(nearest_N, unit_ND @ unit_ND[chosen[-1]])
    return chosen


def unit(rows_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length one; a row of zeros stays."""
    length_N1 = np.linalg.norm(rows_ND, axis=1, keepdims=True)
    return (rows_ND / np.where(length_N1 > 0, length_N1, 1)).astype(np.float32)

"""What may be said of an image: sides, zones, sizes, counts and relations, from its labels and geometry alone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.record import ImageRecord, Region
from medground.schema.vocabulary import Vocabulary

LARGER = 1.2
SMALL, LARGE = 1 / 20, 1 / 4
ONE_SIDED = 0.75
_CHEST = frozenset({Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT})


class Facts:
    """The facts of one image.

    Args:
        record: the image.
        vocabulary: has every concept of the record.
    """

    def __init__(self, record: ImageRecord, vocabulary: Vocabulary) -> None:
        self.record = record
        self.vocabulary = vocabulary
        self._narrower: dict[str, frozenset[str]] = {}

    def narrower(self, concept: str) -> frozenset[str]:
        """The concept and everything below it."""
        if concept not in self._narrower:
            self._narrower[concept] = self.vocabulary.descendants(concept)
        return self._narrower[concept]

    def members(self, concept: str) -> tuple[int, ...]:
        """Indices of the regions that a concept names, doubtful ones left out."""
        wanted = self.narrower(concept)
        return tuple(
            index
            for index, region in enumerate(self.record.regions)
            if region.concept in wanted and not region.uncertain
        )

    def is_doubtful(self, concept: str) -> bool:
        """Whether the source doubts a region that the concept names."""
        wanted = self.narrower(concept)
        return any(region.uncertain and region.concept in wanted for region in self.record.regions)

    def is_exhaustive(self, concept: str) -> bool:
        """Whether every region that the concept names is labelled."""
        known = self.record.exhaustive_for
        if concept in known:
            return not self.is_doubtful(concept)
        below = [
            key for key in self.narrower(concept) - {concept} if self.record.domain in self.vocabulary[key].domains
        ]
        return bool(below) and known.issuperset(below) and not self.is_doubtful(concept)

    def is_countable(self, concept: str) -> bool:
        """Whether each region is one more finding: two sources may have drawn the same one."""
        sources = {self.record.regions[index].source for index in self.members(concept)}
        return len(sources) < 2 and self.is_exhaustive(concept)

    @cached_property
    def askable(self) -> tuple[str, ...]:
        """Concepts that can be seen on such an image and that every region is labelled of."""
        return tuple(
            concept.key
            for concept in self.vocabulary.concepts
            if self.record.domain in concept.domains and self.is_exhaustive(concept.key)
        )

    @cached_property
    def present(self) -> tuple[str, ...]:
        """Concepts of the regions, in their order, without doubtful ones."""
        return tuple(dict.fromkeys(region.concept for region in self.record.regions if not region.uncertain))

    def side(self, index: int) -> Side | None:
        """The patient's side of a region, where it has one."""
        region = self.record.regions[index]
        toward_left = self.record.columns_toward_left
        if region.side is not None or toward_left is None or self.record.domain not in _CHEST:
            return region.side
        box = region.box
        beyond = min(max((box.x2 - self.record.columns / 2) / box.width_px, 0.0), 1.0)
        if max(beyond, 1 - beyond) < ONE_SIDED:
            return None
        return Side.LEFT if (beyond > 0.5) == (toward_left > 0) else Side.RIGHT

    def zone(self, index: int) -> Zone | None:
        """The zone of a region, where the record gives it one."""
        return self.record.regions[index].zone

    def size_word(self, index: int) -> str | None:
        """`small` or `large`, or None in between."""
        box = self.record.regions[index].box
        share = max(box.width_px, box.height_px) / max(self.record.columns, self.record.rows)
        return "small" if share < SMALL else "large" if share > LARGE else None

    def size_mm(self, index: int) -> tuple[int, int] | None:
        """Width and height of the box in whole millimetres, or None where there is no spacing or less than half one."""
        if self.record.spacing_mm is None:
            return None
        box, (between_rows, between_columns) = self.record.regions[index].box, self.record.spacing_mm
        size = (round(box.width_px * between_columns), round(box.height_px * between_rows))
        return size if min(size) >= 1 else None

    def is_larger(self, one: int, other: int) -> bool:
        """Whether a region is clearly larger than another."""
        return self._region(one).box.area_px2 >= LARGER * self._region(other).box.area_px2

    def is_above(self, one: int, other: int) -> bool:
        """Whether a region lies wholly nearer the head than another; False where the header leaves it open."""
        down = self.record.rows_toward_feet
        a, b = self._region(one).box, self._region(other).box
        return down is not None and (a.y2 <= b.y1 if down > 0 else a.y1 >= b.y2)

    def is_left_of(self, one: int, other: int) -> bool:
        """Whether a region lies wholly nearer the patient's left than another; False where that is not known."""
        left = self.record.columns_toward_left
        a, b = self._region(one).box, self._region(other).box
        return left is not None and (a.x1 >= b.x2 if left > 0 else a.x2 <= b.x1)

    def on_side(self, indices: Iterable[int], side: Side) -> tuple[int, ...] | None:
        """Those regions that lie on a side; None where the side of one of them is not known."""
        sides = {index: self.side(index) for index in indices}
        if None in sides.values():
            return None
        if side is Side.BILATERAL:
            return tuple(index for index, own in sides.items() if own is Side.BILATERAL)
        return tuple(index for index, own in sides.items() if own in (side, Side.BILATERAL))

    def in_zone(self, indices: Iterable[int], zone: Zone) -> tuple[int, ...] | None:
        """Those regions that lie in a zone; None where the zone of one of them is not known."""
        zones = {index: self.zone(index) for index in indices}
        if None in zones.values():
            return None
        return tuple(index for index, own in zones.items() if own is zone)

    def _region(self, index: int) -> Region:
        return self.record.regions[index]

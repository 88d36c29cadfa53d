"""What is so on an image, by the law in `medground.schema.pair`: from the record alone, written a second time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from medground.data.verify.words import ASPECTS
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.record import ImageRecord, Region
from medground.schema.vocabulary import Vocabulary


class Truth:
    """The truth of one image.

    Args:
        record: the image.
        vocabulary: has every concept of the record.
        narrower: a key and every key below it.
    """

    def __init__(self, record: ImageRecord, vocabulary: Vocabulary, narrower: Callable[[str], frozenset[str]]) -> None:
        self.record, self.narrower = record, narrower
        self._vocabulary = vocabulary

    def sure(self, concept: str) -> list[int]:
        """The regions a concept names and nobody doubts."""
        return [i for i, region in enumerate(self.record.regions) if self._is(region, concept) and not region.uncertain]

    def is_seen_on_such_images(self, concept: str) -> bool:
        """Whether the finding can be seen on images of this domain at all."""
        return self.record.domain in self._vocabulary[concept].domains

    def is_whole(self, concept: str) -> bool:
        """Whether the regions that are sure are all there are."""
        if any(region.uncertain and self._is(region, concept) for region in self.record.regions):
            return False
        if concept in self.record.exhaustive_for:
            return True
        below = [key for key in self.narrower(concept) if key != concept and self.is_seen_on_such_images(key)]
        return bool(below) and all(key in self.record.exhaustive_for for key in below)

    def is_countable(self, concept: str) -> bool:
        """Whether each region is one more finding: two sources may have drawn the same one."""
        return self.is_whole(concept) and len({self.record.regions[i].source for i in self.sure(concept)}) < 2

    def has_alike(self, concept: str) -> bool:
        """Whether a finding that is easily taken for the concept is there."""
        present = {region.concept for region in self.record.regions if not region.uncertain}
        return any(concept in self._vocabulary[key].confusable_with for key in present)

    def is_or_may_be(self, index: int, concept: str) -> bool:
        """Whether a region is of a concept, or of one so broad that it may be."""
        own = self.record.regions[index].concept
        return own in self.narrower(concept) or concept in self.narrower(own)

    def side(self, index: int) -> Side | None:
        """The patient's side, or None where nothing may be said of it."""
        region, record = self.record.regions[index], self.record
        if region.side is not None:
            return region.side
        if record.columns_toward_left is None or record.domain not in (Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT):
            return None
        middle = record.columns / 2
        low_columns = max(0.0, min(region.box.x2, middle) - region.box.x1)
        high_columns = max(0.0, region.box.x2 - max(region.box.x1, middle))
        first, second = (Side.RIGHT, Side.LEFT) if record.columns_toward_left == 1 else (Side.LEFT, Side.RIGHT)
        for side, width in ((first, low_columns), (second, high_columns)):
            if 4 * width >= 3 * (region.box.x2 - region.box.x1):
                return side
        return None

    def zone(self, index: int) -> Zone | None:
        """The zone the record gives."""
        return self.record.regions[index].zone

    def size(self, index: int) -> str:
        """`small`, `large` or `middling`."""
        width, height = self._extent(index)
        longer, image = max(width, height), max(self.record.columns, self.record.rows)
        return "small" if 20 * longer < image else "large" if 4 * longer > image else "middling"

    def measures(self, index: int, size_mm: tuple[int, int]) -> bool:
        """Whether a box is so many whole millimetres wide and high."""
        if self.record.spacing_mm is None:
            return False
        row_mm, column_mm = self.record.spacing_mm
        width, height = self._extent(index)
        exact = (width * column_mm, height * row_mm)
        return all(abs(said - value) <= 0.5 for said, value in zip(size_mm, exact, strict=True))

    def looks(self, index: int, look: str) -> bool | None:
        """Whether a region looks so; None where its look in that respect is not known."""
        known = set(self.record.regions[index].appearance)
        if look in known:
            return True
        aspect = next((words for words in ASPECTS if look in words), set())
        return False if known & aspect else None

    def holds(self, relation: str, one: int, other: int) -> bool:
        """Whether a region clearly stands so to another: above, below, left of, right of, larger than, smaller than."""
        a, b = self.record.regions[one].box, self.record.regions[other].box
        if relation in ("larger than", "smaller than"):
            big, little = (a, b) if relation == "larger than" else (b, a)
            return (big.x2 - big.x1) * (big.y2 - big.y1) >= 1.2 * ((little.x2 - little.x1) * (little.y2 - little.y1))
        if relation in ("above", "below"):
            toward, spans = self.record.rows_toward_feet, ((a.y1, a.y2), (b.y1, b.y2))
            first = relation == "above"
        else:
            toward, spans = self.record.columns_toward_left, ((a.x1, a.x2), (b.x1, b.x2))
            first = relation == "right of"
        if toward is None:
            return False
        low, high = spans if first == (toward == 1) else spans[::-1]
        return low[1] <= high[0]

    def _is(self, region: Region, concept: str) -> bool:
        return region.concept in self.narrower(concept)

    def _extent(self, index: int) -> tuple[float, float]:
        box = self.record.regions[index].box
        return box.x2 - box.x1, box.y2 - box.y1


def chosen(known: Iterable[tuple[int, bool | None]]) -> list[int] | None:
    """The indices that are said to fit; None where of one of them it is not known."""
    found = list(known)
    return None if any(fits is None for _, fits in found) else [index for index, fits in found if fits]

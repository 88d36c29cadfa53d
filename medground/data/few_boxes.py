"""A class cut down to a few boxes, to learn what helps one that never had more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord


def with_few_boxes(records: Sequence[ImageRecord], keep: Mapping[str, int], *, seed: int) -> tuple[ImageRecord, ...]:
    """The records as if some findings had been marked a few times only, each time on another image.

    An image that loses a box is no longer labelled exhaustively for the finding, so that what was cut is no false
    positive. Images that never had one stay known to be free of it.

    Args:
        records: of a training part.
        keep: boxes to keep, by concept; other concepts stay as they are.
        seed: draws the images, and the box of each.

    Raises:
        UsageError: if fewer images than that show a concept.
    """
    found = list(records)
    for number, (concept, count) in enumerate(sorted(keep.items())):
        rng = np.random.default_rng((seed, number))
        rows = [row for row, record in enumerate(records) if concept in {r.concept for r in record.regions}]
        if count > len(rows):
            raise UsageError(f"{len(rows)} images show {concept!r}: no box of {count} different ones can be kept")
        chosen = set(rng.choice(rows, count, replace=False).tolist()) if count else set()
        for row in rows:
            own = [index for index, region in enumerate(found[row].regions) if region.concept == concept]
            kept = own[int(rng.integers(len(own)))] if row in chosen else None
            found[row] = _without(found[row], {index for index in own if index != kept}, concept)
    return tuple(found)


def _without(record: ImageRecord, cut: set[int], concept: str) -> ImageRecord:
    if not cut:
        return record
    regions = tuple(region for index, region in enumerate(record.regions) if index not in cut)
    return record.model_copy(update={"regions": regions, "exhaustive_for": record.exhaustive_for - {concept}})

"""Repeat-factor sampling: images of rare findings are drawn more often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from medground.data.columnar import DataSet
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord


def concepts_by_image(records: Sequence[ImageRecord]) -> list[frozenset[str]]:
    """The concepts of each record; of a data set on disk without making its records.

    Args:
        records: any records.

    Returns:
        One set an image; images with the same concepts share one.
    """
    if not isinstance(records, DataSet):
        found = [frozenset(region.concept for region in record.regions) for record in records]
    else:
        rows: dict[int, set[str]] = {}
        for concept in records.boxes_by_concept():
            for row in records.with_concept(concept):
                rows.setdefault(row, set()).add(concept)
        found = [frozenset(rows.get(row, ())) for row in range(len(records))]
    known: dict[frozenset[str], frozenset[str]] = {}
    return [known.setdefault(concepts, concepts) for concepts in found]


def repeat_factors(concepts: Sequence[Collection[str]], threshold: float) -> NDArray[np.float64]:
    """How often each image is to be drawn, relative to one without rare findings.

    Args:
        concepts: of each image.
        threshold: share of the images below which a concept is repeated, above 0 and at most 1.

    Returns:
        (images,): the largest over an image's concepts of max(1, sqrt(threshold / share of that concept)).

    Raises:
        UsageError: on another threshold.

    Source: Gupta et al., LVIS, CVPR 2019, section 4.1 (there 0.001).
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"the threshold of repeat-factor sampling must be above 0 and at most 1, got {threshold}")
    images = Counter(concept for own in concepts for concept in set(own))
    share = {concept: count / len(concepts) for concept, count in images.items()}
    return np.array([max((max(1.0, (threshold / share[c]) ** 0.5) for c in own), default=1.0) for own in concepts])


def rare_concepts(concepts: Sequence[Collection[str]], share: float) -> frozenset[str]:
    """The concepts that fewer than that share of the images show.

    Args:
        concepts: of each image.
        share: of the images, 0..1.
    """
    images = Counter(concept for own in concepts for concept in set(own))
    return frozenset(concept for concept, count in images.items() if count < share * len(concepts))

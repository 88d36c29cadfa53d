"""Labelled regions as cases: what is known of each, and a small picture where one may be kept.

Legend: G regions, F features of a region.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medground.data.pairs.facts import Facts
from medground.imaging.thumbnail import thumbnail
from medground.inference.looks import LOOKS
from medground.model.cases import MOST_MM, Case, Cases, Picture, case_id
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Vocabulary

_WORDS: Final = frozenset(word for words in LOOKS.values() for word in words)


def cases_of(
    record: ImageRecord,
    regions: Sequence[int],
    features_GF: NDArray[np.float32],
    vocabulary: Vocabulary,
    *,
    source: str,
    picture: Picture,
    pixels: NDArray[np.float32] | None = None,
) -> Cases:
    """Cases of some regions of an image.

    Nothing of the record goes into them but kind of image, side, zone, size and words of the closed lists: neither
    names of patients, images or files, nor free text.

    Args:
        record: the image.
        regions: which of its regions.
        features_GF: of these regions.
        vocabulary: has every concept of the record.
        source: what a person is told that they come from.
        picture: whether pictures are kept, or why not.
        pixels: the displayed image, 0..1, where pictures are kept.

    Raises:
        ValueError: pictures are to be kept, and there are no pixels.
    """
    facts, made = Facts(record, vocabulary), []
    for index, features_F in zip(regions, features_GF, strict=True):
        region = record.regions[index]
        half_F = features_F.astype(np.float16)
        key = case_id(region.concept, record.domain, half_F)
        box, pictures = None, {}
        if picture is Picture.KEPT:
            if pixels is None:
                raise ValueError("pictures are to be kept, and there are no pixels")
            pictures[key], box = thumbnail(pixels, region.box.xyxy_px)
        case = Case(
            id=key,
            concept=region.concept,
            domain=record.domain,
            side=facts.side(index),
            zone=facts.zone(index),
            longest_mm=_longest_mm(record, index),
            appearance=tuple(word for word in region.appearance if word in _WORDS),
            source=source,
            synthetic=record.synthetic,
            picture=picture,
            box_xyxy_px=box,
        )
        made.append(Cases((case,), half_F[None], pictures))
    return reduce(Cases.joined, made, Cases())


def _longest_mm(record: ImageRecord, index: int) -> float | None:
    if record.spacing_mm is None:
        return None
    box, (between_rows, between_columns) = record.regions[index].box, record.spacing_mm
    longest_mm = round(max(box.width_px * between_columns, box.height_px * between_rows), 1)
    return longest_mm if 0 < longest_mm <= MOST_MM else None  # beyond that the spacing is wrong

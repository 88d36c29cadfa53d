"""Pair: a question about one image with the regions that answer it, and statements about those regions.

What the words mean is laid down here, once, for whoever writes pairs and for whoever checks them:

- A region has a *side* where the record gives it one, or where `columns_toward_left` is known, the image is of the
  chest, and at least three quarters of the box's width lie on one side of the image's central column. Never else.
- A region has a *zone* where the record gives it one. Never else.
- *Above* and *below* need `rows_toward_feet`; *left of* and *right of* (the patient's) need `columns_toward_left`; the
  boxes must not overlap along that axis.
- *Larger* and *smaller* compare box areas, which must differ by a factor of at least 1.2.
- *Small* is a box whose longer side is below 1/20 of the image's longer side, *large* one whose longer side is above
  1/4 of it. Millimetres need `spacing_mm`; they are width by height of the box, rounded to whole millimetres.
- A *count*, an *absence* and "nothing else" may be said only of concepts in `exhaustive_for`, with every narrower
  concept of the vocabulary that can be seen on images of that domain in it too, or the concept itself named there.
- A broader concept is answered by the regions of every narrower one.
- Counts and orders need regions of one source: two sources may have marked one lesion twice.
- A look may be denied of a region only where a word of the same aspect (shape, margin, density, texture) is known.
- On a side are the regions of that side and the bilateral ones.
- A name of the vocabulary is a name: "小结节" says nothing of size.
- Regions marked `uncertain` are neither asked for as present nor counted as absent.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from medground.schema.config import StrictConfig
from medground.schema.result import StatementKind


class PairKind(StrEnum):
    """Why the question was asked."""

    PRESENT = "present"
    ABSENT = "absent"
    WRONG_SIDE = "wrong_side"
    WRONG_ZONE = "wrong_zone"
    WRONG_SIZE = "wrong_size"
    CONFUSABLE = "confusable"
    RELATION = "relation"
    ORDER = "order"
    COUNT = "count"
    NEGATED = "negated"


class RegionStatement(StrictConfig):
    """One sentence about one region.

    Attributes:
        region: index in the record's regions.
        kind: what it is about.
        text: the sentence.
        language: of the sentence.
    """

    region: int = Field(ge=0)
    kind: StatementKind
    text: str
    language: Literal["en", "zh"]


class Pair(StrictConfig):
    """A question and its truth.

    Attributes:
        record_id: the image.
        question: as a person would ask it.
        language: of the question.
        kind: why it was asked.
        targets: indices of the regions that answer it, ascending; empty where the answer is "not found".
        complete: every region that answers it is labelled, so that another box is a false positive.
        statements: descriptions of the targets.
    """

    record_id: str
    question: str = Field(min_length=1)
    language: Literal["en", "zh"]
    kind: PairKind
    targets: tuple[int, ...]
    complete: bool
    statements: tuple[RegionStatement, ...] = ()

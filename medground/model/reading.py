"""What a grounding model says of an image, before anything is decided from it.

These are the only types that cross from the model to `inference`; boxes are already back in pixels of the stored image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medground.schema.anatomy import Domain


@dataclass(frozen=True, slots=True)
class Phrase:
    """One thing to look for: a vocabulary key and the words of the question that name it."""

    concept: str
    text: str


@dataclass(frozen=True, slots=True)
class Resemblance:
    """A case that a region looks like: its id, and how like, 0..1."""

    case: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed box.

    Attributes:
        box_xyxy_px: pixels of the stored image, 0 <= x1 < x2 <= columns.
        score: calibrated probability that the box holds the finding, 0..1.
        likeness: appearance words with the probability that they fit, 0..1, each group adding up to 1; empty until
            it is asked for.
        region: features of the region, which only the reader that gave them can describe; None where nothing can be
            said of the class. Two candidates with the same box are the same, whatever their features.
        similar: cases of a rare class that the region looks like, nearest first; empty where there are none.
    """

    box_xyxy_px: tuple[float, float, float, float]
    score: float
    likeness: Mapping[str, float] = field(default_factory=dict, compare=False)
    region: object | None = field(default=None, compare=False, repr=False)
    similar: tuple[Resemblance, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class LookGroup:
    """Appearance words of which one is true of a region; `asked` if a question names one of them."""

    words: tuple[str, ...]
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Portrait:
    """A region whose look is asked for.

    Attributes:
        region: `Candidate.region` of a reading.
        concept: vocabulary key of what it was read as.
        domain: kind of its image.
        crop: decodes the stored pixels of the region and what surrounds it: 0..1, (rows, columns).
    """

    region: object
    concept: str
    domain: Domain
    crop: Callable[[], NDArray[np.float32]] = field(compare=False)


@dataclass(frozen=True, slots=True)
class PhraseReading:
    """The answer to one phrase on one image.

    Attributes:
        phrase: what was looked for.
        presence: calibrated probability that it is anywhere on the image, 0..1.
        candidates: boxes, best score first.
    """

    phrase: Phrase
    presence: float
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class ImageReading:
    """What the model makes of one image (or one slice).

    Attributes:
        domain: most probable kind of image.
        domain_probability: probability of `domain`, 0..1.
        familiarity: share of development images of that domain that look less typical than this one, 0..1;
            0 means unlike anything the model was trained on.
        phrases: one reading per phrase, in the order asked.
    """

    domain: Domain
    domain_probability: float
    familiarity: float
    phrases: tuple[PhraseReading, ...]

"""Sides, zones and image domains: the closed word lists that geometry and headers are turned into."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """A side of the patient, never of the picture."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"


class Zone(StrEnum):
    """Thirds of the imaged chest from head to foot, as radiologists name them on a frontal film."""

    UPPER = "upper zone"
    MIDDLE = "middle zone"
    LOWER = "lower zone"


class Domain(StrEnum):
    """What kind of image a model was trained to read; `OTHER` is everything it was not."""

    CHEST_RADIOGRAPH = "chest radiograph"
    LIMB_RADIOGRAPH = "limb radiograph"
    CHEST_CT = "chest CT"
    OTHER = "other"


DOMAINS: tuple[Domain, ...] = tuple(Domain)

"""What images are grouped by when results are broken down: coarse, so that no image is singled out."""

from __future__ import annotations

from enum import StrEnum


class Axis(StrEnum):
    """A property of an image that results may differ by."""

    SITE = "site"
    """The hospital or collection that the image comes from."""
    BODY_PART = "body_part"
    VIEW = "view"
    SEX = "sex"
    AGE_BAND = "age_band"
    DEVICE = "device"
    """The maker of the machine that took it."""
    IN_PICTURE = "in_picture"
    """Metal, tubes and wires that the image shows."""

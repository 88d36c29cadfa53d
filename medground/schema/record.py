"""ImageRecord: one labelled image, as importers and the phantom yield it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.box import Box
from medground.schema.config import StrictConfig


class Region(StrictConfig):
    """A labelled region.

    Attributes:
        concept: vocabulary key.
        box: pixels of the stored image.
        source: who drew it, e.g. `ChestX-Det`, `NIH BBox_List_2017`, `phantom`.
        side: patient side where it is known, else None.
        zone: third of the chest where it is known, else None.
        appearance: appearance words known to be true of it (from a phantom's recipe), in the order they are said.
    """

    concept: str
    box: Box
    source: str
    side: Side | None = None
    zone: Zone | None = None
    appearance: tuple[str, ...] = ()


class ImageRecord(StrictConfig):
    """One image with its regions.

    Attributes:
        record_id: unique within its data set.
        patient_id: what splits are made by; the record's own id where the source names no patient.
        path: image file, or None where the image is made on the fly.
        frame: 1-based frame of a multi-frame file.
        columns, rows: size of the stored image, pixels.
        domain: kind of image.
        dataset: name of the data set.
        exhaustive_for: concepts for which every region is labelled; outside it an unmatched box is no false positive.
        synthetic: True for a phantom.
        part: part the publisher put it in (`train`, `valid`), or None.
    """

    record_id: str
    patient_id: str
    path: Path | None = None
    frame: int = Field(default=1, ge=1)
    columns: int = Field(gt=0)
    rows: int = Field(gt=0)
    domain: Domain
    dataset: str
    regions: tuple[Region, ...] = ()
    exhaustive_for: frozenset[str] = frozenset()
    synthetic: bool = False
    part: str | None = None

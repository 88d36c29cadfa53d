"""ImageRecord: one labelled image, as importers and the phantom yield it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

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
        phrase: the words that the source itself describes this region with (MS-CXR), or None.
        readers: how many readers marked it, where several read the image; else None.
        lesion_id: the same on every slice of one lesion; None on a single image.
        uncertain: True where the source itself doubts the label.
    """

    concept: str
    box: Box
    source: str
    side: Side | None = None
    zone: Zone | None = None
    appearance: tuple[str, ...] = ()
    phrase: str | None = None
    readers: int | None = Field(default=None, ge=1)
    lesion_id: str | None = None
    uncertain: bool = False


class ImageRecord(StrictConfig):
    """One image with its regions.

    Attributes:
        record_id: unique within its data set.
        patient_id: what splits are made by; the record's own id where the source names no patient.
        path: image file, or None where the image is made on the fly.
        frame: 1-based frame of a multi-frame file, or slice of a volume file.
        columns, rows: size of the stored image, pixels.
        domain: kind of image.
        dataset: name of the data set.
        exhaustive_for: concepts for which every region is labelled; outside it an unmatched box is no false positive.
        synthetic: True for a phantom.
        part: part the publisher put it in (`train`, `valid`), or None.
        columns_toward_left: 1 where columns run toward the patient's left, -1 toward the right, None where unknown:
            then nothing may be said of sides.
        rows_toward_feet: 1 where rows run toward the feet, -1 toward the head, None where unknown or not along the body
            (axial slices): then nothing may be said of above and below.
        spacing_mm: between rows and between columns, or None where unknown: then nothing may be said in millimetres.
        readers: how many people read the image, or None where the source does not say.
        attributes: what the source says of the image as a whole, by its own column names (e.g. `hardware`).
        sha256: of the image file, or None where it was not read.
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
    columns_toward_left: Literal[1, -1] | None = None
    rows_toward_feet: Literal[1, -1] | None = None
    spacing_mm: tuple[float, float] | None = None
    readers: int | None = Field(default=None, ge=1)
    attributes: dict[str, str] = Field(default_factory=dict)
    sha256: str | None = None

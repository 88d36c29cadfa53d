"""Films of blobs on the disk: one seed is one film, whatever the quality it is saved with."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region


def film(
    path: Path, seed: int, part: str | None, *, quality: int = 95, regions: int = 1, patient: str | None = None
) -> ImageRecord:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:160, 0:120]
    picture = np.zeros((160, 120))
    for _ in range(40):
        y, x, size = rng.uniform(0, 160), rng.uniform(0, 120), rng.uniform(3, 14)
        picture += rng.uniform(20, 90) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * size**2))
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path, quality=quality)
    box = Box(x1=1, y1=1, x2=9, y2=9)
    return ImageRecord(
        record_id=path.stem,
        patient_id=patient or path.stem,
        path=path,
        columns=120,
        rows=160,
        domain=Domain.LIMB_RADIOGRAPH,
        dataset="d",
        regions=(Region(concept="fracture", box=box, source="s"),) * regions,
        part=part,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )

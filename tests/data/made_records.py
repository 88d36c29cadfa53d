"""Records with picture files, made by code: flat fields with discs of known place and brightness."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region


def disc_film(
    discs: list[tuple[float, float, float]], size: int = 200, *, brightness: float = 70, seed: int = 0
) -> NDArray[np.uint8]:
    """A gentle slope with two dark lungs, a little noise and bright discs (x, y, radius)."""
    y, x = np.mgrid[:size, :size] + 0.5
    film = np.full((size, size), 110.0) + 20 * y / size
    for centre in (0.3, 0.7):
        film -= 60 * (((x / size - centre) / 0.17) ** 2 + ((y / size - 0.45) / 0.33) ** 2 < 1)
    for cx, cy, radius in discs:
        film += brightness * np.clip(radius - np.hypot(x - cx, y - cy), 0, 1)
    film[:4], film[-4:] = 5, 250
    film += np.random.default_rng(seed).normal(0, 0.5, film.shape)
    return np.clip(film, 0, 255).astype(np.uint8)


def disc_record(
    folder: Path, name: str, discs: list[tuple[str, float, float, float]], *, size: int = 200, **more: object
) -> ImageRecord:
    """A film with its file and truth; discs are (concept, x, y, radius)."""
    path = folder / f"{name}.png"
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
    Image.fromarray(disc_film([disc[1:] for disc in discs], size, seed=seed)).save(path)
    fields: dict[str, object] = {
        "record_id": name,
        "patient_id": name,
        "path": path,
        "columns": size,
        "rows": size,
        "domain": Domain.CHEST_RADIOGRAPH,
        "dataset": "made",
        "regions": tuple(
            Region(
                concept=concept,
                box=Box(x1=x - radius, y1=y - radius, x2=x + radius, y2=y + radius),
                source="made",
                appearance=("round",),
            )
            for concept, x, y, radius in discs
        ),
        "exhaustive_for": frozenset({"nodule", "mass", "cavity", "calcification", "fracture"}),
        "columns_toward_left": 1,
        "rows_toward_feet": 1,
        "spacing_mm": (1.0, 1.0),
        "synthetic": True,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **more,
    }
    return ImageRecord.model_validate(fields)

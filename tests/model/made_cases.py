"""Cases made by hand: the first has a picture, the others say why they have none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medground.model.cases import Case, Cases, Picture, case_id
from medground.schema.anatomy import Domain, Side, Zone

WIDTH = 6
FILM = Domain.CHEST_RADIOGRAPH


def picture(seed: int = 0, rows: int = 60, columns: int = 80) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)


def one_case(seed: int, concept: str = "cavity", domain: Domain = FILM, *, kept: bool = False, **changes: Any) -> Cases:
    features_D = np.random.default_rng(seed).random(WIDTH, dtype=np.float32).astype(np.float16)
    key = case_id(concept, domain, features_D)
    usual: dict[str, Any] = {
        "id": key,
        "concept": concept,
        "domain": domain,
        "side": Side.RIGHT,
        "zone": Zone.UPPER,
        "longest_mm": 31.4,
        "appearance": ("round", "cavitated"),
        "source": "phantom",
        "synthetic": True,
        "picture": Picture.KEPT if kept else Picture.WITHHELD,
        "box_xyxy_px": (10.0, 12.5, 40.0, 50.0) if kept else None,
    }
    return Cases((Case(**(usual | changes)),), features_D[None], {key: picture(seed)} if kept else {})


def some_cases() -> Cases:
    """A cavity with a picture, two without, and a nodule on CT."""
    made = one_case(1, kept=True)
    asked = {"synthetic": False, "source": "added to this bundle", "picture": Picture.NOT_ASKED, "longest_mm": None}
    for more in (one_case(2, **asked), one_case(3, side=None, zone=None), one_case(4, "nodule", Domain.CHEST_CT)):
        made = made.joined(more)
    return made

"""Images whose truth is plain to see, 1000 x 1000 pixels unless said."""

from __future__ import annotations

from typing import Any

import pytest

from medground.data.verify.check import Verifier
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region

THREE = frozenset({"nodule", "mass", "pleural_effusion"})


def region(concept: str, x1: float, y1: float, x2: float, y2: float, **known: Any) -> Region:
    return Region(concept=concept, box=Box(x1=x1, y1=y1, x2=x2, y2=y2), source=known.pop("source", "hand"), **known)


def film(*regions: Region, **known: Any) -> ImageRecord:
    """A chest film as it hangs, patient's left on the picture's right, exhaustive for nodule, mass and effusion."""
    base: dict[str, Any] = {
        "record_id": "film",
        "patient_id": "film",
        "columns": 1000,
        "rows": 1000,
        "domain": Domain.CHEST_RADIOGRAPH,
        "dataset": "hand",
        "exhaustive_for": THREE,
        "columns_toward_left": 1,
        "rows_toward_feet": 1,
        "spacing_mm": (0.2, 0.1),
    }
    return ImageRecord(regions=regions, **{**base, **known})


LEFT_NODULE = region("nodule", 700, 300, 760, 360)
TINY_NODULE = region("nodule", 200, 600, 240, 640)
LARGE_MASS = region("mass", 600, 500, 900, 800)
BROKEN_HAND = {"domain": Domain.LIMB_RADIOGRAPH, "exhaustive_for": frozenset({"fracture"}), "columns_toward_left": None}

RECORDS = {
    "normal": film(),
    "open": film(exhaustive_for=frozenset()),
    "one": film(LEFT_NODULE),
    "mirrored": film(LEFT_NODULE, columns_toward_left=-1),
    "unmarked": film(LEFT_NODULE, columns_toward_left=None, rows_toward_feet=None, spacing_mm=None),
    "partly read": film(LEFT_NODULE, exhaustive_for=frozenset()),
    "doubtful": film(LEFT_NODULE, TINY_NODULE.model_copy(update={"uncertain": True})),
    "only doubtful": film(LEFT_NODULE.model_copy(update={"uncertain": True})),
    "three": film(LEFT_NODULE, TINY_NODULE, LARGE_MASS),
    "upside down": film(LEFT_NODULE, TINY_NODULE, LARGE_MASS, rows_toward_feet=-1),
    "midline": film(region("nodule", 440, 100, 540, 200)),
    "nearly alike": film(region("mass", 100, 100, 200, 200), region("mass", 600, 600, 710, 700)),
    "drawn twice": film(region("mass", 100, 100, 200, 200), region("mass", 120, 100, 300, 300, source="other")),
    "zoned": film(
        region("nodule", 700, 100, 760, 160, zone=Zone.UPPER, side=Side.LEFT),
        region("nodule", 200, 800, 260, 860, zone=Zone.LOWER, side=Side.RIGHT),
    ),
    "looks": film(
        region("nodule", 700, 100, 760, 160, appearance=("round", "dense")),
        region("nodule", 200, 800, 260, 860, appearance=("oval",)),
    ),
    "broad": film(
        region("lung_opacity", 100, 100, 300, 300),
        region("consolidation", 600, 600, 800, 800),
        exhaustive_for=frozenset({"consolidation"}),
    ),
    "hand": film(region("fracture", 10, 10, 100, 60), region("fracture", 300, 300, 400, 360), **BROKEN_HAND),
    "whole hand": film(**BROKEN_HAND),
}


@pytest.fixture(scope="session")
def verifier() -> Verifier:
    return Verifier(load_vocabulary())


@pytest.fixture(scope="session")
def records() -> dict[str, ImageRecord]:
    return RECORDS

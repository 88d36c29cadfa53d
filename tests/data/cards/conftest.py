"""A small data set on disk, with everything that a card speaks of."""

from __future__ import annotations

from pathlib import Path

import pytest

from medground.data.columnar import write_data_set
from medground.data.import_report import report_of
from medground.data.importers.imported import Import, Issue, Published
from medground.data.vocabulary import load_vocabulary
from medground.schema.record import ImageRecord
from tests.data.films import film


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five films in two published parts, one a copy; a lesion on two of them; one box was rejected."""
    films = tmp_path / "films"
    films.mkdir()
    records = [
        film(films / "a.jpg", 1, "train", regions=2, patient="p"),
        film(films / "b.jpg", 2, "train", patient="p"),
        film(films / "c.jpg", 3, "train", regions=0),
        film(films / "d.jpg", 4, "valid"),
        film(films / "e.jpg", 1, "valid", quality=40),
    ]
    records = [_labelled(record) for record in records]
    boxes = 4  # 2 + 1 + 0 + 1 + 1 regions, of which those of b and d are one lesion
    issues = (
        Issue("x", "degenerate_box", "(1, 1, 1, 1) has no area", "rejected", boxes=1),
        Issue("y", "unknown_class", "Ghost", "rejected", boxes=1),
    )
    published = Published(6, boxes + 2, {"Fracture": boxes + 1, "Ghost": 1})
    report = report_of(Import(tuple(records), issues, published), "made")
    place = tmp_path / "set"
    write_data_set(
        place,
        records,
        name="made films",
        vocabulary=load_vocabulary(),
        importer="made",
        report=report.model_dump_json(),
    )
    return place


def _labelled(record: ImageRecord) -> ImageRecord:
    changes: dict[str, object] = {}
    if record.record_id in ("b", "d"):
        changes["regions"] = tuple(
            region.model_copy(update={"lesion_id": "L", "uncertain": True, "appearance": ("small", "round")})
            for region in record.regions
        )
    if record.record_id in ("a", "c"):
        changes |= {"exhaustive_for": frozenset({"fracture", "mass"}), "spacing_mm": (0.2, 0.3)}
    if record.record_id == "a":
        changes["columns_toward_left"] = 1
    return record.model_copy(update=changes)

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from medground.data.import_report import report_of
from medground.data.importers import Import, Issue, Published, by_name
from tests.data.films import film


def test_account_with_doubled_images(tmp_path: Path) -> None:
    records = (
        film(tmp_path / "a.jpg", 1, "train"),
        film(tmp_path / "same.jpg", 1, "train"),
        film(tmp_path / "again.jpg", 1, "valid", quality=40),
        film(tmp_path / "other.jpg", 2, "valid", regions=0),
    )
    issues = (
        Issue("x", "unknown_class", "Gadget", "rejected", boxes=2),
        Issue("x", "overhanging_box", "", "repaired", boxes=1),
    )
    imported = Import(records, issues, Published(5, 5, {"fracture": 3, "Gadget": 2}))
    report = report_of(imported, "d")
    assert (report.images, report.boxes, report.boxes_lost) == (4, 3, 2)
    assert report.issue_counts == {"overhanging_box (repaired)": 1, "unknown_class (rejected)": 1}
    assert report.unmapped == {"Gadget": 1}
    assert report.images_by_part == {"train": 2, "valid": 2}
    doubles = {(d.first, d.second): (d.identical, d.first_part, d.second_part) for d in report.doubles}
    assert doubles == {
        ("a", "same"): (True, "train", "train"),
        ("a", "again"): (False, "train", "valid"),
        ("same", "again"): (False, "train", "valid"),
    }
    without = report_of(imported, "d", seek_near_duplicates=False)
    assert [d.identical for d in without.doubles] == [True]
    assert not without.near_duplicates_sought


def test_a_box_that_went_missing_is_a_fault() -> None:
    with pytest.raises(RuntimeError, match="2 published boxes 0 were kept and 1 accounted"):
        report_of(Import((), (Issue("x", "k", "", "rejected", boxes=1),), Published(1, 2, {"a": 2})), "d")


@pytest.mark.real_data
@pytest.mark.slow
def test_the_dirt_of_fracatlas(shared_data: Path) -> None:
    """16 files cut short, and at least the 14 pairs across parts that PROVENANCE.md speaks of; counted without us."""
    source = shared_data / "fracatlas"
    content = json.loads((source / "annotations_coco.json").read_text(encoding="utf-8"))
    part = {Path(e["file_name"]).stem: e["split"] for e in content["images"]}
    report = report_of(by_name("fracatlas")(source), "fracatlas")
    assert report.issue_counts["truncated_image (rejected)"] == 16
    assert (report.images_published, report.images) == (len(part), len(part) - 16) == (1352, 1336)
    assert (report.boxes_published, report.boxes) == (len(content["annotations"]),) * 2 == (848, 848)
    crossing = [d for d in report.doubles if d.first_part != d.second_part]
    assert all({part[d.first], part[d.second]} == {"train", "valid"} for d in crossing)
    assert len(crossing) >= 14
    assert Counter(d.identical for d in report.doubles)[True] == 0

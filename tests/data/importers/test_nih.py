from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from medground.data.importers import ImportOptions, by_name
from medground.schema.errors import DataSetError

WriteJpeg = Callable[..., None]
HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"


@pytest.fixture
def source(tmp_path: Path, write_jpeg: WriteJpeg) -> Path:
    rows = [
        "00013118_008.png,Atelectasis,225.08,547.02,86.78,79.19,,,",
        "00013118_008.png,Infiltrate,5,6,20,30,,,",
        "00000007_001.png,Nodule,1000,1000,50,50,,,",
        "00000007_001.png,Gadget,1,1,5,5,,,",
        "00000007_001.png,Mass,1,1,0,5,,,",
        "00000009_000.png,Mass,1,1,5,5,,,",
    ]
    (tmp_path / "BBox_List_2017.csv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    write_jpeg(tmp_path / "images_004" / "images" / "00013118_008.png", 1024, 1024)
    write_jpeg(tmp_path / "images" / "00000007_001.png", 1024, 1024)
    return tmp_path


def test_records_and_dirt(source: Path) -> None:
    imported = by_name("nih")(source)
    one, two = imported.records
    assert (one.record_id, one.patient_id, one.exhaustive_for) == ("00013118_008", "00013118", frozenset())
    assert [(r.concept, r.box.xyxy_px) for r in one.regions] == [
        ("atelectasis", pytest.approx((225.08, 547.02, 311.86, 626.21))),
        ("infiltration", (5, 6, 25, 36)),
    ]
    assert [r.box.xyxy_px for r in two.regions] == [(1000, 1000, 1024, 1024)]
    assert Counter(issue.kind for issue in imported.issues) == {
        "overhanging_box": 1,
        "unknown_class": 1,
        "degenerate_box": 1,
        "missing_image": 1,
        "box_without_image": 1,
    }
    kept = sum(len(record.regions) for record in imported.records)
    assert kept + sum(i.boxes for i in imported.issues if i.action == "rejected") == imported.published.boxes == 6


def test_silence_proves_nothing_of_what_a_rejected_box_marks(source: Path) -> None:
    said = frozenset({"mass", "nodule"})
    one, two = by_name("nih")(source, ImportOptions(exhaustive_for=said)).records
    assert (one.exhaustive_for, two.exhaustive_for) == (said, {"nodule"})


def test_annotations_alone_and_another_table(source: Path) -> None:
    imported = by_name("nih")(source / "BBox_List_2017.csv", ImportOptions(with_images=False))
    assert [(r.path, r.columns) for r in imported.records] == [(None, 1024)] * 3
    (source / "BBox_List_2017.csv").write_text("Image,Label\n", encoding="utf-8")
    with pytest.raises(DataSetError, match="does not begin"):
        by_name("nih")(source)
    (source / "BBox_List_2017.csv").write_text(HEADER + "a.png,Mass,1\n", encoding="utf-8")
    with pytest.raises(DataSetError, match="cut short"):
        by_name("nih")(source)

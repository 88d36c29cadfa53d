from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from medground.data.importers import ImportOptions, by_name
from medground.schema.errors import DataSetError, InputNotFoundError

WriteJpeg = Callable[..., None]


@pytest.fixture
def source(tmp_path: Path, write_jpeg: WriteJpeg) -> Path:
    (tmp_path / "data.yaml").write_text("train: images/train\nnames:\n  0: nodule\n  1: gadget\n", encoding="utf-8")
    labels = {
        "train/a": "0 0.5 0.25 0.5 0.5\n0 0.1 0.1 0.3 0.1 0.2 0.4\n",
        "val/b": "0 0.5 0.5 0 0.5\n1 0.5 0.5 0.5 0.5\n0 0.9 0.5 0.4 0.5\n"
        "0 x 0.5 0.1 0.1\n7 0.5 0.5 0.1 0.1\n0 0.5 0.5\n",
        "val/gone": "0 0.5 0.5 0.1 0.1\n",
        "val/cut": "0 0.5 0.5 0.1 0.1\n",
    }
    for name, text in labels.items():
        file = tmp_path / "labels" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for name in ("train/a", "train/empty", "val/b"):
        write_jpeg(tmp_path / "images" / f"{name}.jpg")
    write_jpeg(tmp_path / "images" / "val" / "cut.jpg", cut=True)
    return tmp_path


def test_records(source: Path) -> None:
    records = {record.record_id: record for record in by_name("yolo")(source).records}
    assert list(records) == ["images/train/a", "images/train/empty", "images/val/b"]
    a, b = records["images/train/a"], records["images/val/b"]
    assert [r.box.xyxy_px for r in a.regions] == [(15, 0, 45, 20), pytest.approx((6, 4, 18, 16))]
    assert (a.part, b.part, records["images/train/empty"].regions) == ("train", "valid", ())
    assert [r.box.xyxy_px for r in b.regions] == [pytest.approx((42, 10, 60, 30))]


def test_every_dirt_is_listed_and_the_account_balances(source: Path) -> None:
    imported = by_name("yolo")(source)
    assert Counter((issue.kind, issue.action) for issue in imported.issues) == {
        ("missing_image", "rejected"): 1,
        ("truncated_image", "rejected"): 1,
        ("box_without_image", "rejected"): 2,
        ("degenerate_box", "rejected"): 3,
        ("unknown_class", "rejected"): 2,
        ("overhanging_box", "repaired"): 1,
    }
    kept = sum(len(record.regions) for record in imported.records)
    lost = sum(issue.boxes for issue in imported.issues if issue.action == "rejected")
    assert kept + lost == imported.published.boxes == 10
    assert imported.published.boxes_by_class == {"nodule": 8, "gadget": 1, "7": 1}
    assert imported.published.images == 5


def test_silence_proves_nothing_of_what_a_rejected_box_marks(source: Path) -> None:
    imported = by_name("yolo")(source, ImportOptions(exhaustive_for=frozenset({"nodule", "mass"})))
    assert {record.record_id: record.exhaustive_for for record in imported.records} == {
        "images/train/a": {"nodule", "mass"},
        "images/train/empty": {"nodule", "mass"},
        "images/val/b": {"mass"},
    }


def test_names_from_a_list_and_what_is_refused(source: Path) -> None:
    (source / "data.yaml").unlink()
    with pytest.raises(InputNotFoundError, match="no names"):
        by_name("yolo")(source)
    (source / "classes.txt").write_text("nodule\nmass\n", encoding="utf-8")
    assert Counter(r.concept for one in by_name("yolo")(source).records for r in one.regions) == {
        "nodule": 3,
        "mass": 1,
    }
    (source / "data.yaml").write_text("nc: 2\n", encoding="utf-8")
    with pytest.raises(DataSetError, match="gives no class names"):
        by_name("yolo")(source)
    with pytest.raises(DataSetError, match="shares of the image"):
        by_name("yolo")(source, ImportOptions(with_images=False))

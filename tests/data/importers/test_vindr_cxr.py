from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medground.data.importers import ImportOptions, by_name
from medground.schema.errors import DataSetError
from tests.dicom.conftest import dicom_file

WriteJpeg = Callable[..., None]
HEADER = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [
        "a,Cardiomegaly,3,R8,10,20,50,60",
        "a,Cardiomegaly,3,R9,12,20,52,60",
        "a,Nodule/Mass,8,R9,1,1,9,9",
        "a,Other lesion,9,R10,1,1,9,9",
        "b,No finding,14,R1,,,,",
        "b,No finding,14,R2,,,,",
        "c,Pneumothorax,12,R1,90,10,120,30",
        "c,Pneumothorax,12,R2,30,30,20,40",
        "gone,ILD,5,R1,1,1,9,9",
    ]
    (tmp_path / "train.csv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "train").mkdir()
    for name in "abc":
        content = dicom_file(np.zeros((80, 100), np.uint16), PatientOrientation=["L", "F"], PixelSpacing=[0.2, 0.1])
        (tmp_path / "train" / f"{name}.dicom").write_bytes(content)
    return tmp_path


def test_readers_are_fused_and_counted(source: Path) -> None:
    imported = by_name("vindr-cxr")(source)
    records = {record.record_id: record for record in imported.records}
    assert list(records) == ["a", "b", "c"]
    assert [(r.concept, r.readers) for r in records["a"].regions] == [("cardiomegaly", 2), ("lung_lesion", 1)]
    assert records["a"].regions[0].box.xyxy_px == pytest.approx((11, 20, 51, 60), abs=1e-3)
    assert (records["a"].readers, records["b"].readers, records["b"].regions) == (3, 2, ())
    assert [r.box.xyxy_px for r in records["c"].regions] == [pytest.approx((90, 10, 100, 30), abs=1e-3)]
    assert "pneumothorax" in records["b"].exhaustive_for
    assert records["b"].exhaustive_for - records["c"].exhaustive_for == {"pneumothorax"}  # a reader's box was rejected
    assert not {"lung_lesion", "lung_opacity", "mass"} & records["b"].exhaustive_for
    # Sides and millimetres come from the DICOM header, not from the table.
    assert (records["a"].columns_toward_left, records["a"].rows_toward_feet) == (1, 1)
    assert records["a"].spacing_mm == (0.2, 0.1)


def test_every_dirt_is_listed_and_the_account_balances(source: Path) -> None:
    imported = by_name("vindr-cxr")(source)
    assert Counter((issue.record_id, issue.kind, issue.action) for issue in imported.issues) == {
        ("a", "unknown_class", "rejected"): 1,
        ("a", "readers_fused", "merged"): 1,
        ("c", "overhanging_box", "repaired"): 1,
        ("c", "degenerate_box", "rejected"): 1,
        ("gone", "missing_image", "rejected"): 1,
        ("gone", "box_without_image", "rejected"): 1,
    }
    assert imported.published.boxes == imported.kept + imported.lost == 7
    assert imported.published.images == 4


def test_sizes_without_the_films(source: Path) -> None:
    options = ImportOptions(with_images=False)
    with pytest.raises(DataSetError, match="gives no size"):
        by_name("vindr-cxr")(source, options)
    sizes = "image_id,dim0,dim1\n" + "".join(f"{name},80,100\n" for name in ("a", "b", "c", "gone"))
    (source / "train_meta.csv").write_text(sizes, encoding="utf-8")
    imported = by_name("vindr-cxr")(source, options)
    assert {(record.columns, record.rows, record.path) for record in imported.records} == {(100, 80, None)}
    assert len(imported.records) == 4

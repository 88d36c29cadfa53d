from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from medground.data.importers import ImportOptions, by_name

WriteJpeg = Callable[..., None]
HEADER = "category_name,label_text,path,dicom_id,x,y,w,h,image_width,image_height,split\n"


def test_a_phrase_for_each_box(tmp_path: Path, write_jpeg: WriteJpeg) -> None:
    path = "files/p10/p10000032/s1/d1.jpg"
    rows = [
        f'Edema,"mild edema, right base",{path},d1,100,50,200,100,1200,800,train',
        f"Pneumonia,  patchy opacity ,{path},d1,1100,50,200,100,1200,800,train",
        f"Gadget,x,{path},d1,1,1,2,2,1200,800,train",
        ",".join(("Pneumothorax", "tiny apical", "", "d2", "1", "1", "20", "20", "60", "40", "val")),
        ",".join(("Pneumothorax", "", "", "d3", "1", "1", "20", "20", "60", "40", "test")),
    ]
    (tmp_path / "MS_CXR_Local_Alignment_v1.0.0.csv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    write_jpeg(tmp_path / path, 600, 400)  # kept at half its size
    write_jpeg(tmp_path / "images" / "d2.jpg")
    imported = by_name("ms-cxr")(tmp_path)
    one, two = imported.records
    assert [(r.concept, r.phrase) for r in one.regions] == [
        ("pulmonary_oedema", "mild edema, right base"),
        ("pneumonia", "patchy opacity"),
    ]
    assert one.regions[0].box.xyxy_px == (50, 25, 150, 75)
    assert one.regions[1].box.xyxy_px == pytest.approx((550, 25, 600, 75))
    assert (one.patient_id, one.part, one.exhaustive_for) == ("p10000032", "train", frozenset())
    assert (two.patient_id, two.part) == ("d2", "valid")
    assert Counter(issue.kind for issue in imported.issues) == {
        "wrong_size": 1,
        "overhanging_box": 1,
        "unknown_class": 1,
        "missing_image": 1,
        "box_without_image": 1,
    }
    assert imported.published.boxes == imported.kept + imported.lost == 5


def test_silence_proves_nothing_of_what_a_rejected_box_marks(tmp_path: Path, write_jpeg: WriteJpeg) -> None:
    rows = ["Edema,base,,d1,1,1,,9,60,40,train", "Pneumothorax,apical,,d2,1,1,20,20,60,40,train"]
    (tmp_path / "MS_CXR_Local_Alignment_v1.0.0.csv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    for name in ("d1", "d2"):
        write_jpeg(tmp_path / "images" / f"{name}.jpg")
    said = frozenset({"pulmonary_oedema", "pneumothorax"})
    one, two = by_name("ms-cxr")(tmp_path, ImportOptions(exhaustive_for=said)).records
    assert (one.exhaustive_for, two.exhaustive_for) == ({"pneumothorax"}, said)

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medground.data.importers import ImportOptions, by_name
from medground.schema.anatomy import Domain

HEADER = (
    "File_name,Patient_index,Study_index,Series_ID,Key_slice_index,Measurement_coordinates,Bounding_boxes,"
    "Lesion_diameters_Pixel_,Normalized_lesion_location,Coarse_lesion_type,Possibly_noisy,Slice_range,Spacing_mm_px_,"
    "Image_size,DICOM_windows,Patient_gender,Patient_age,Train_Val_Test\n"
)


def line(name: str, patient: int, boxes: str, kind: int, noisy: int = 0, part: int = 1) -> str:
    return (
        f'{name},{patient},1,1,37,"154.273, 176.808","{boxes}","10, 5","0.3, 0.4, 0.5",{kind},{noisy},"31, 43",'
        f'"0.859375, 0.859375, 5","512, 512","-175, 275",F,71,{part}\n'
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [
        line("000089_01_01_037.png", 89, "132.977, 171.808, 165.939, 214.029", 5),
        line("000089_01_01_037.png", 89, "10, 10, 30, 30", 3, noisy=1),
        line("000089_01_01_037.png", 89, "10, 10, 30, 30", -1),
        line("000090_01_01_002.png", 90, "10, 10, 30", 4, part=3),
        line("000090_01_01_002.png", 90, "500, 500, 520, 530", 4, part=3),
        line("000091_01_01_002.png", 91, "5, 5, 9, 9", 4),
    ]
    (tmp_path / "DL_info.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    for folder, name in (("000089_01_01", "037"), ("000090_01_01", "002")):
        path = tmp_path / "Images_png" / folder / f"{name}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full((512, 512), 32768, np.uint16)).save(path)
    return tmp_path


def test_records_and_dirt(source: Path) -> None:
    imported = by_name("deeplesion")(source)
    chest, liver = imported.records
    assert [(r.concept, r.uncertain) for r in chest.regions] == [("lung_lesion", False), ("mediastinal_mass", True)]
    assert chest.regions[0].box.xyxy_px == (132.977, 171.808, 165.939, 214.029)
    assert (chest.domain, liver.domain) == (Domain.CHEST_CT, Domain.OTHER)
    assert (chest.patient_id, chest.part, liver.part, chest.exhaustive_for) == ("89", "train", "test", frozenset())
    assert chest.spacing_mm == (0.859375, 0.859375)
    assert chest.attributes["DICOM_windows"] == "-175, 275"
    assert [r.box.xyxy_px for r in liver.regions] == [(500, 500, 512, 512)]
    assert Counter((issue.kind, issue.action) for issue in imported.issues) == {
        ("unknown_class", "rejected"): 1,
        ("degenerate_box", "rejected"): 1,
        ("overhanging_box", "repaired"): 1,
        ("missing_image", "rejected"): 1,
        ("box_without_image", "rejected"): 1,
    }
    assert imported.published.boxes == imported.kept + imported.lost == 6
    assert imported.published.boxes_by_class == {"lung": 1, "mediastinum": 1, "unknown": 1, "liver": 3}


def test_silence_proves_nothing_of_what_a_rejected_box_marks(source: Path) -> None:
    said = frozenset({"lung_lesion", "liver_lesion"})
    chest, liver = by_name("deeplesion")(source, ImportOptions(exhaustive_for=said)).records
    assert (chest.exhaustive_for, liver.exhaustive_for) == (said, {"lung_lesion"})


def test_annotations_alone(source: Path) -> None:
    imported = by_name("deeplesion")(source / "DL_info.csv", ImportOptions(with_images=False))
    assert [(r.record_id, r.columns, r.path) for r in imported.records][2] == ("000091_01_01_002", 512, None)

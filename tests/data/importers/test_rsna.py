from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from medground.data.importers import ImportOptions, by_name
from medground.schema.errors import DataSetError, UsageError
from medground.schema.vocabulary import Code, Concept, Vocabulary
from tests.dicom.conftest import dicom_file


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = ["p1,264.0,152.0,213.0,379.0,1", "p1,900.0,152.0,213.0,379.0,1", "p2,,,,,0", "p3,1,1,9,9,0", "p3,,,,,1"]
    text = "patientId,x,y,width,height,Target\n" + "\n".join(rows) + "\n"
    (tmp_path / "stage_2_train_labels.csv").write_text(text, encoding="utf-8")
    details = "patientId,class\np2,No Lung Opacity / Not Normal\n"
    (tmp_path / "stage_2_detailed_class_info.csv").write_text(details, encoding="utf-8")
    films = tmp_path / "stage_2_train_images"
    films.mkdir()
    content = dicom_file(np.zeros((1024, 1024), np.uint8))
    (films / "p1.dcm").write_bytes(content)
    (films / "p2.dcm").write_bytes(content)
    (films / "p3.dcm").write_bytes(content[:-5000])
    return tmp_path


def test_records_and_dirt(source: Path) -> None:
    imported = by_name("rsna")(source)
    one, two = imported.records
    assert [r.box.xyxy_px for r in one.regions] == [(264, 152, 477, 531), (900, 152, 1024, 531)]
    assert {r.concept for r in one.regions} == {"pneumonia"}
    assert (two.regions, two.exhaustive_for) == ((), {"pneumonia"})
    assert two.attributes == {"class": "No Lung Opacity / Not Normal"}
    assert Counter(issue.kind for issue in imported.issues) == {
        "overhanging_box": 1,
        "truncated_image": 1,
        "box_without_image": 1,
    }
    assert imported.published.boxes == imported.kept + imported.lost == 4


def test_contradictions_and_empty_boxes(source: Path) -> None:
    imported = by_name("rsna")(source, ImportOptions(with_images=False))
    assert Counter(i.kind for i in imported.issues if i.record_id == "p3") == {"contradiction": 1, "degenerate_box": 1}
    assert imported.published.boxes == imported.kept + imported.lost == 4


@pytest.mark.parametrize("row", ["1,1,9,9,0", ",,,,1", "1,1,0,9,1", "1024,1,9,9,1"])
def test_a_film_whose_only_box_is_rejected_is_no_film_without_pneumonia(source: Path, row: str) -> None:
    text = f"patientId,x,y,width,height,Target\np1,{row}\np2,,,,,0\n"
    (source / "stage_2_train_labels.csv").write_text(text, encoding="utf-8")
    one, two = by_name("rsna")(source).records
    assert (one.regions, one.exhaustive_for) == ((), frozenset())
    assert (two.regions, two.exhaustive_for) == ((), {"pneumonia"})


def test_another_table_or_vocabulary_is_refused(source: Path) -> None:
    shop = Vocabulary(
        concepts=(Concept(key="scratch", code=Code(scheme="99S", value="1", meaning="S"), names={"en": ("scratch",)}),)
    )
    with pytest.raises(UsageError, match="'pneumonia'"):
        by_name("rsna")(source, ImportOptions(vocabulary=shop))
    (source / "stage_2_train_labels.csv").write_text("patientId,x\n", encoding="utf-8")
    with pytest.raises(DataSetError, match="no column 'y'"):
        by_name("rsna")(source)

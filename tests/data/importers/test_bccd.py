from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from medground.data.importers import ImportOptions, by_name
from medground.schema.anatomy import Domain
from medground.schema.errors import DataSetError, UsageError
from medground.schema.vocabulary import Code, Concept, Vocabulary

WriteJpeg = Callable[..., None]


def annotation(name: str, objects: list[tuple[str, int, int, int, int]], size: tuple[int, int] = (60, 40)) -> str:
    boxes = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
        "</object>"
        for label, a, b, c, d in objects
    )
    return (
        f"<annotation><filename>{name}.jpg</filename><size><width>{size[0]}</width><height>{size[1]}</height>"
        f"<depth>3</depth></size>{boxes}</annotation>"
    )


@pytest.fixture
def source(tmp_path: Path, write_jpeg: WriteJpeg) -> Path:
    files = {
        "a": annotation("a", [("RBC", 1, 1, 10, 20), ("WBC", 30, 2, 60, 40), ("Platelets", 5, 5, 6, 6)]),
        "b": annotation("b", [("RBC", 9, 9, 9, 9), ("Sickle", 1, 1, 5, 5), ("RBC", 50, 1, 70, 9)], size=(40, 60)),
        "loose": annotation("loose", []),
        "cut": annotation("cut", []),
    }
    (tmp_path / "Annotations").mkdir()
    for name, text in files.items():
        (tmp_path / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8")
        write_jpeg(tmp_path / "JPEGImages" / f"{name}.jpg", cut=name == "cut")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\ncut\n", encoding="utf-8")
    (lists / "val.txt").write_text("b\ngone\n", encoding="utf-8")
    return tmp_path


def test_records_in_pixel_edges_from_zero(source: Path) -> None:
    records = {record.record_id: record for record in by_name("bccd")(source).records}
    assert list(records) == ["a", "b"]
    a = records["a"]
    assert (a.part, a.domain, a.dataset, records["b"].part) == ("train", Domain.OTHER, "bccd", "valid")
    assert [(r.concept, r.box.xyxy_px) for r in a.regions] == [
        ("red_blood_cell", (0, 0, 10, 20)),
        ("white_blood_cell", (29, 1, 60, 40)),
        ("platelet", (4, 4, 6, 6)),
    ]
    assert a.exhaustive_for == {"white_blood_cell", "platelet"}


def test_every_dirt_is_listed(source: Path) -> None:
    issues = by_name("bccd")(source).issues
    assert Counter((issue.record_id, issue.kind, issue.action) for issue in issues) == {
        ("gone", "missing_annotation", "rejected"): 1,
        ("loose", "no_part", "rejected"): 1,
        ("cut", "truncated_image", "rejected"): 1,
        ("b", "degenerate_box", "rejected"): 1,
        ("b", "unknown_class", "rejected"): 1,
        ("b", "overhanging_box", "repaired"): 1,
        ("b", "swapped_size", "repaired"): 1,
    }


def test_an_image_in_two_lists_and_a_broken_annotation_are_refused(source: Path) -> None:
    (source / "Annotations" / "a.xml").write_text("<annotation>", encoding="utf-8")
    with pytest.raises(DataSetError, match=r"a\.xml"):
        by_name("bccd")(source)
    (source / "Annotations" / "a.xml").write_text("<annotation><size/></annotation>", encoding="utf-8")
    with pytest.raises(DataSetError, match="width"):
        by_name("bccd")(source)
    (source / "Annotations" / "a.xml").write_text(annotation("a", []), encoding="utf-8")
    (source / "ImageSets" / "Main" / "val.txt").write_text("a\n", encoding="utf-8")
    with pytest.raises(DataSetError, match="two parts"):
        by_name("bccd")(source)


@pytest.mark.real_data
def test_counts_equal_the_published_files(shared_data: Path) -> None:
    source = shared_data / "bccd"
    names, flat = Counter(), Counter()
    for file in (source / "Annotations").glob("*.xml"):
        for item in ElementTree.parse(file).getroot().findall("object"):
            left, top, right, bottom = (int(item.find("bndbox").findtext(e)) for e in ("xmin", "ymin", "xmax", "ymax"))
            (flat if right <= left or bottom <= top else names)[item.findtext("name")] += 1
    assert flat == {"RBC": 2}
    assert names == {"RBC": 3348, "WBC": 301, "Platelets": 292}
    imported = by_name("bccd")(source)
    assert Counter(g.concept for r in imported.records for g in r.regions) == {
        "red_blood_cell": names["RBC"],
        "white_blood_cell": names["WBC"],
        "platelet": names["Platelets"],
    }
    assert Counter(r.part for r in imported.records) == {"train": 205, "valid": 87}
    assert [(i.kind, i.action, i.record_id) for i in imported.issues] == [
        ("degenerate_box", "rejected", "BloodImage_00338"),
        ("degenerate_box", "rejected", "BloodImage_00343"),
    ]


def test_anyones_classes_through_a_vocabulary_of_their_own(source: Path) -> None:
    vocabulary = Vocabulary(
        concepts=(
            Concept(key="scratch", code=Code(scheme="99SHOP", value="1", meaning="Scratch"), names={"en": ("RBC",)}),
        )
    )
    options = ImportOptions(
        vocabulary=vocabulary, classes={"WBC": "scratch"}, exhaustive_for=frozenset({"scratch"}), domain=Domain.OTHER
    )
    imported = by_name("voc")(source, options)
    assert [[r.concept for r in record.regions] for record in imported.records] == [["scratch"] * 2, ["scratch"]]
    assert {record.dataset for record in imported.records} == {"voc"}
    assert {name for record in imported.records for name in record.exhaustive_for} == {"scratch"}
    assert Counter(i.detail for i in imported.issues if i.kind == "unknown_class") == {"Platelets": 1, "Sickle": 1}
    kept, lost = (
        sum(len(r.regions) for r in imported.records),
        sum(i.boxes for i in imported.issues if i.action != "repaired"),
    )
    assert kept + lost == imported.published.boxes == 6
    with pytest.raises(UsageError, match="'nothing'"):
        by_name("voc")(source, ImportOptions(classes={"WBC": "nothing"}))


def test_annotations_alone(source: Path) -> None:
    imported = by_name("voc")(source, ImportOptions(with_images=False, classes={"RBC": "red_blood_cell"}))
    assert [(r.record_id, r.path, r.columns, r.sha256) for r in imported.records] == [
        ("a", None, 60, None),
        ("b", None, 40, None),
        ("cut", None, 60, None),
    ]


def test_a_growing_annotation_is_refused(source: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'
    (source / "Annotations" / "a.xml").write_text(bomb, encoding="utf-8")
    with pytest.raises(DataSetError, match="no plain annotation"):
        by_name("voc")(source)


@pytest.mark.parametrize("corners", [("NaN", 2, 60, 40), (30, 2, 30, 40), (70, 2, 90, 40)])
def test_a_smear_whose_only_white_cell_is_rejected_is_no_smear_without_one(
    source: Path, corners: tuple[Any, ...]
) -> None:
    text = annotation("a", [("RBC", 1, 1, 10, 20), ("WBC", *corners)])
    (source / "Annotations" / "a.xml").write_text(text, encoding="utf-8")
    (source / "Annotations" / "b.xml").write_text(annotation("b", []), encoding="utf-8")
    imported = by_name("bccd")(source)
    exhaustive_for = {record.record_id: record.exhaustive_for for record in imported.records}
    assert exhaustive_for == {"a": {"platelet"}, "b": {"white_blood_cell", "platelet"}}
    (issue,) = [issue for issue in imported.issues if issue.boxes and issue.record_id == "a"]
    assert (issue.action, issue.concept) == ("rejected", "white_blood_cell")
    assert issue.detail.startswith("white_blood_cell: ")
    said = frozenset({"white_blood_cell", "red_blood_cell"})
    by_the_user = by_name("voc")(source, ImportOptions(exhaustive_for=said)).records
    assert [record.exhaustive_for for record in by_the_user] == [{"red_blood_cell"}, said]

from __future__ import annotations

import math
from pathlib import Path

import pytest

from medground.data import importers
from medground.data.importers.imported import (
    Action,
    Import,
    ImportOptions,
    Issue,
    Published,
    bounded_box,
    still_exhaustive,
)
from medground.schema.anatomy import Domain
from medground.schema.errors import DataSetError, InputNotFoundError, UsageError
from medground.schema.record import ImageRecord


def test_a_box_within_the_image_is_left_as_it_is() -> None:
    box, issue = bounded_box((1.5, 2, 60, 40), 60, 40, "r", "mass")
    assert box is not None
    assert box.xyxy_px == (1.5, 2, 60, 40)
    assert issue is None


@pytest.mark.parametrize(
    "corners", [(5, 5, 5, 9), (5, 5, 9, 5), (9, 5, 5, 9), (5, 9, 9, 5), (math.nan, 0, 1, 1), (0, 0, 1, math.nan)]
)
def test_a_box_without_area_is_rejected(corners: tuple[float, float, float, float]) -> None:
    box, issue = bounded_box(corners, 60, 40, "r", "mass")
    assert box is None
    assert issue is not None
    assert (issue.kind, issue.action, issue.record_id, issue.concept) == ("degenerate_box", "rejected", "r", "mass")
    assert issue.detail.startswith("mass: ")


def test_a_box_over_the_edge_is_cut_and_one_beyond_it_rejected() -> None:
    box, issue = bounded_box((-3, 10, 70, 50), 60, 40, "r", "mass")
    assert box is not None
    assert box.xyxy_px == (0, 10, 60, 40)
    assert issue is not None
    assert (issue.kind, issue.action, issue.concept) == ("overhanging_box", "repaired", None)
    for corners in [(60, 0, 70, 10), (-9, 0, -1, 10), (0, 40, 10, 41), (0, -4, 10, 0)]:
        box, issue = bounded_box(corners, 60, 40, "r", "mass")
        assert box is None
        assert issue is not None
        assert (issue.kind, issue.action, issue.concept) == ("outside_box", "rejected", "mass")
        assert issue.detail.startswith("mass: ")


def rejected(concept: str | None, action: Action = "rejected") -> Issue:
    return Issue("r", "degenerate_box", "", action, boxes=1, concept=concept)


def test_what_a_rejected_box_marks_is_unknown_and_so_are_the_broader_and_the_narrower() -> None:
    said = frozenset({"lung_lesion", "lung_opacity", "consolidation", "nodule", "mass", "fracture"})
    assert still_exhaustive(ImportOptions(), [], said) == said
    assert still_exhaustive(ImportOptions(), [rejected(None), rejected("mass", "repaired")], said) == said
    assert still_exhaustive(ImportOptions(), [rejected("mass")], said) == said - {"mass", "lung_lesion"}
    assert still_exhaustive(ImportOptions(), [rejected("lung_opacity")], said) == {"nodule", "mass", "fracture"}
    assert still_exhaustive(ImportOptions(), [rejected("mass"), rejected("fracture")], said) == {
        "lung_opacity",
        "consolidation",
        "nodule",
    }


def test_the_users_word_stands_before_the_sources_and_not_before_a_rejected_box() -> None:
    options = ImportOptions(exhaustive_for=frozenset({"nodule", "mass", "scratch"}))
    assert still_exhaustive(options, [], frozenset({"fracture"})) == {"nodule", "mass", "scratch"}
    assert still_exhaustive(options, [rejected("mass")], frozenset({"fracture"})) == {"nodule", "scratch"}
    assert still_exhaustive(ImportOptions(exhaustive_for=frozenset()), [], frozenset({"fracture"})) == frozenset()


def test_issues_are_counted_by_kind() -> None:
    issues = (Issue("a", "x", "", "kept"), Issue("b", "y", "", "kept"), Issue("c", "x", "", "rejected"))
    assert Import((), issues, Published(0, 0, {})).count("x") == 2


def test_tables_are_joined_and_an_image_in_two_is_refused() -> None:
    one, two = (
        Import((record(name),), (Issue(name, "x", "", "kept"),), Published(1, 2, {"a": 1, name: 1})) for name in "pq"
    )
    joined = Import.joined([one, two])
    assert [r.record_id for r in joined.records] == ["p", "q"]
    assert joined.published == Published(2, 4, {"a": 2, "p": 1, "q": 1})
    assert joined.count("x") == 2
    with pytest.raises(DataSetError, match="'p'"):
        Import.joined([one, one])


def record(name: str) -> ImageRecord:
    return ImageRecord(record_id=name, patient_id=name, columns=9, rows=9, domain=Domain.OTHER, dataset="d")


def test_importers_are_found_by_name_and_say_what_they_read(tmp_path: Path) -> None:
    known = importers.importers()
    assert {"bccd", "coco", "fracatlas", "nih-chestxdet", "voc", "yolo"} <= set(known)
    assert list(known) == sorted(known)
    for name, importer in known.items():
        assert importers.by_name(name) is importer
        assert importer.name == name
        assert 10 < len(importer.title) < 120
        assert (Path(importers.__file__).parent / f"{name.replace('-', '_')}.py").is_file()
        with pytest.raises(InputNotFoundError):
            importer(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"'pictures'.*fracatlas"):
        importers.by_name("pictures")

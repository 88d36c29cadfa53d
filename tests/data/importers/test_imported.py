from __future__ import annotations

import math
from pathlib import Path

import pytest

from medground.data import importers
from medground.data.importers.imported import Import, Issue, bounded_box
from medground.schema.errors import InputNotFoundError, UsageError


def test_a_box_within_the_image_is_left_as_it_is() -> None:
    box, issue = bounded_box((1.5, 2, 60, 40), 60, 40, "r")
    assert box is not None
    assert box.xyxy_px == (1.5, 2, 60, 40)
    assert issue is None


@pytest.mark.parametrize(
    "corners", [(5, 5, 5, 9), (5, 5, 9, 5), (9, 5, 5, 9), (5, 9, 9, 5), (math.nan, 0, 1, 1), (0, 0, 1, math.nan)]
)
def test_a_box_without_area_is_rejected(corners: tuple[float, float, float, float]) -> None:
    box, issue = bounded_box(corners, 60, 40, "r")
    assert box is None
    assert issue is not None
    assert (issue.kind, issue.action, issue.record_id) == ("degenerate_box", "rejected", "r")


def test_a_box_over_the_edge_is_cut_and_one_beyond_it_rejected() -> None:
    box, issue = bounded_box((-3, 10, 70, 50), 60, 40, "r")
    assert box is not None
    assert box.xyxy_px == (0, 10, 60, 40)
    assert issue is not None
    assert (issue.kind, issue.action) == ("overhanging_box", "repaired")
    for corners in [(60, 0, 70, 10), (-9, 0, -1, 10), (0, 40, 10, 41), (0, -4, 10, 0)]:
        box, issue = bounded_box(corners, 60, 40, "r")
        assert box is None
        assert issue is not None
        assert (issue.kind, issue.action) == ("outside_box", "rejected")


def test_issues_are_counted_by_kind() -> None:
    issues = (Issue("a", "x", "", "kept"), Issue("b", "y", "", "kept"), Issue("c", "x", "", "rejected"))
    assert Import((), issues).count("x") == 2


def test_importers_by_name(tmp_path: Path) -> None:
    assert importers.NAMES == ("nih_chestxdet", "fracatlas", "voc")
    for name in importers.NAMES:
        assert importers.by_name(name).name == name
        with pytest.raises(InputNotFoundError):
            importers.by_name(name)(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"'coco'.*fracatlas"):
        importers.by_name("coco")

"""The report holds what its parts measure, survives JSON, and reads rarest first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from medground.evaluation.detection import COCO_IOUS, Detection, ImageTruth, average_precision
from medground.evaluation.report import EvaluationReport, evaluate, to_markdown
from medground.evaluation.verdicts import Asked
from medground.schema.result import Verdict

Scene = tuple[list[ImageTruth], list[Detection]]
QUESTIONS = [
    Asked("nodule", True, Verdict.FOUND, 0.9),
    Asked("nodule", False, Verdict.NOT_FOUND, 0.2),
    Asked("fracture", True, Verdict.UNSUPPORTED, None),
]


@pytest.fixture
def report(random_scene: Callable[..., Scene]) -> EvaluationReport:
    images, detections = random_scene(4)
    training = {"nodule": 500, "fracture": 0, "mass": 12}
    return evaluate(
        images, detections, QUESTIONS, training_boxes=training, system="compact 1", data="random", resamples=50
    )


def test_holds_what_its_parts_measure(report: EvaluationReport, random_scene: Callable[..., Scene]) -> None:
    images, detections = random_scene(4)
    assert [row.concept for row in report.concepts] == ["fracture", "mass", "nodule"]
    fracture, mass, nodule = report.concepts
    assert (fracture.ap50, fracture.froc) == (None, None)
    assert mass.ap50 is not None
    assert nodule.ap50 is not None
    assert nodule.ap50_95 is not None
    assert report.mean_ap50 is not None
    assert nodule.ap50.value == average_precision(images, detections, "nodule")
    assert nodule.ap50_95.value == pytest.approx(average_precision(images, detections, "nodule", iou=COCO_IOUS))
    assert report.mean_ap50.value == pytest.approx((mass.ap50.value + nodule.ap50.value) / 2)
    assert report.mean_ap50.n_boxes == mass.ap50.n_boxes + nodule.ap50.n_boxes
    assert nodule.verdicts is not None
    assert nodule.verdicts.present.found == 1
    assert mass.verdicts is None
    assert report.verdicts is not None
    assert report.verdicts.present.total == 2


def test_survives_json(report: EvaluationReport) -> None:
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_markdown_shows_interval_and_numbers_beside_each_figure(report: EvaluationReport) -> None:
    lines = to_markdown(report).splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("| ") and "finding" not in line]
    assert names == ["fracture", "mass", "nodule", "**mean**", "fracture", "nodule", "**all**"]
    ap = report.concepts[1].ap50
    assert ap is not None
    (mass,) = (line for line in lines if line.startswith("| mass"))
    assert mass.startswith(f"| mass | 12 | {ap.value:.3f} [{ap.low:.3f}, {ap.high:.3f}] |")
    assert mass.endswith(f"| {ap.n_images} | {ap.n_boxes} |")
    assert "| fracture | 0 | - | - | - | - | - | - |" in lines
    assert "| nodule | 1 / 0 / 0 / 0 | 0 / 0 / 1 / 0 | 1.000 | 1.000 | 1.000 | 0.150 | 0.025 |" in lines
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables} == {9}


def test_of_nothing_is_a_report_of_nothing() -> None:
    empty = evaluate([], [], training_boxes={}, system="none", data="none")
    assert (empty.n_images, empty.concepts, empty.mean_ap50, empty.verdicts) == (0, (), None, None)
    assert "| **mean** |  | - | - |  | - | - |" in to_markdown(empty)

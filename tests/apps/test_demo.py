from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from apps.demo.__main__ import QUESTIONS, phantom, run_demo
from medground.dicom.sr import read_sr_boxes
from medground.schema.anatomy import Domain, Side
from medground.schema.box import Box
from medground.schema.result import GroundingResult, Verdict
from tests.inference.truth_reader import TruthReader


def test_the_patient_of_the_demo_is_new_and_has_what_the_questions_ask_for() -> None:
    image = phantom()
    assert image.seed >= 9_000_000
    assert [(region.concept, region.side) for region in image.regions] == [
        ("nodule", Side.LEFT),
        ("pleural_effusion", Side.RIGHT),
    ]


def test_with_a_reader_that_knows_the_truth_every_answer_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    regions = phantom().regions
    truth = [(region.concept, region.box) for region in regions]
    code = run_demo(tmp_path, lambda *_: TruthReader([truth], Domain.CHEST_RADIOGRAPH))
    assert code == 0
    (study,) = GroundingResult.model_validate_json((tmp_path / "results.json").read_bytes()).studies
    assert tuple(answer.query for answer in study.answers) == QUESTIONS
    nodule, pneumothorax, effusion, chinese = study.answers
    assert [answer.verdict for answer in study.answers] == [
        Verdict.FOUND,
        Verdict.NOT_FOUND,
        Verdict.FOUND,
        Verdict.FOUND,
    ]
    assert pneumothorax.findings == ()
    for answer, region in ((nodule, regions[0]), (effusion, regions[1]), (chinese, regions[0])):
        (finding,) = answer.findings
        x1, y1, x2, y2 = finding.box_xyxy_px
        assert Box(x1=x1, y1=y1, x2=x2, y2=y2).iou(region.box) > 0.99
        assert finding.laterality == region.side
        assert finding.zone == region.zone
    pictures = {path.name for path in (tmp_path / "overlays").iterdir()}
    assert pictures == {"1-1-1.png", "1-2-1.png", "1-3-1.png", "1-4-1.png"}
    assert len(read_sr_boxes(pydicom.dcmread(tmp_path / "sr" / "1.dcm"))) >= 2
    printed = capsys.readouterr().out
    assert "nodule (left), pleural effusion (right)" in printed
    assert all(question in printed for question in QUESTIONS[:1])
    assert "start the service: medground serve" in printed

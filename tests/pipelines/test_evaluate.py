from __future__ import annotations

import pytest

from medground.evaluation.report import EvaluationReport
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Looking, Request
from medground.model.grounder import load_grounder
from pipelines.evaluate import every_box, main, phantom_cases


@pytest.mark.slow
def test_a_few_phantoms_are_scored_and_the_report_is_written(tmp_path):
    assert main(["--part", "phantom", "--phantoms", "3", "--out", str(tmp_path), "--threads", "1"]) == 0
    report = EvaluationReport.model_validate_json((tmp_path / "phantom.json").read_bytes())
    assert report.n_images == 3
    assert report.verdicts is not None
    asked = report.verdicts.present.total + report.verdicts.absent.total
    assert asked >= 3 * 12  # twelve findings a phantom can show, each known to be there or not
    assert "AP@0.5" in (tmp_path / "phantom.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("looking", list(Looking))
def test_every_box_holds_what_the_answers_show(tmp_path, looking):
    grounder = load_grounder(device="cpu")
    (case,) = phantom_cases(1, tmp_path)
    queries = ("is there a nodule?", "pleural effusion")
    shown = ground(gather([case.path]), Request(queries, looking=looking), grounder).result.studies[0]
    boxes = every_box(case.path, queries, grounder, looking)
    assert {concept for concept, _, _ in boxes} == {"nodule", "pleural_effusion"}
    for answer in shown.answers:
        for finding in answer.findings:
            assert (finding.concept.key, finding.box_xyxy_px, finding.score) in boxes

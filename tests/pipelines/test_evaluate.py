from __future__ import annotations

import pytest

from medground.evaluation.report import EvaluationReport
from medground.inference.gather import gather
from medground.inference.ground import Request, ground
from medground.model.grounder import load_grounder
from pipelines.evaluate import Recorder, main, phantom_cases


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
def test_recording_changes_no_answer(tmp_path):
    grounder = load_grounder(device="cpu")
    (case,) = phantom_cases(1, tmp_path)
    recorder = Recorder(grounder)
    request = Request(("is there a nodule?", "pleural effusion"))
    plain = ground(gather([case.path]), request, grounder).result
    recorded = ground(gather([case.path]), request, recorder).result
    assert recorded.studies == plain.studies
    (reading,) = recorder.readings
    seen = {p.phrase.concept: len(p.candidates) for p in reading.phrases}
    for answer in plain.studies[0].answers:
        assert seen[answer.understood.concepts[0]] >= len(answer.findings)

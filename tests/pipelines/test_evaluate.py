from __future__ import annotations

import pytest

from medground.evaluation.report import EvaluationReport
from pipelines.evaluate import main


@pytest.mark.slow
def test_a_few_phantoms_are_scored_and_the_report_is_written(tmp_path):
    assert main(["--part", "phantom", "--phantoms", "3", "--out", str(tmp_path), "--threads", "1"]) == 0
    report = EvaluationReport.model_validate_json((tmp_path / "phantom.json").read_bytes())
    assert report.n_images == 3
    assert report.verdicts is not None
    asked = report.verdicts.present.total + report.verdicts.absent.total
    assert asked >= 3 * 12  # twelve findings a phantom can show, each known to be there or not
    assert "AP@0.5" in (tmp_path / "phantom.md").read_text()

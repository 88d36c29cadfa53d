"""Runs as small files: what is written can be read, and a full disk leaves what was there."""

from __future__ import annotations

from pathlib import Path

import pytest

from medground.tracking.runs import open_run
from medground.tracking.summary import RunSummary
from pipelines.compare import EXPERIMENT
from pipelines.export_runs import main
from tests.full_disk import no_file_longer_than


def silent(_: str) -> None:
    """Takes no note."""


def test_a_run_is_written_whole_or_stays_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, out = tmp_path / "mlruns", tmp_path / "runs"
    with open_run(home, EXPERIMENT, "one", say=silent) as run:
        run.parameters({"seed": 7})
        with run.child("stage align", kind="stage") as child:
            child.metrics({"loss/score": 0.5}, 3)
    command = ["one", "--mlruns", str(home), "--out", str(out)]
    assert main(command) == 0
    (file,) = out.iterdir()
    summary = RunSummary.model_validate_json(file.read_text())
    assert summary.parameters["seed"] == "7"
    assert [one.name for one in summary.children] == ["stage align"]
    whole = file.read_bytes()
    with no_file_longer_than(100):
        assert main(command) == 2
    assert "cannot be written (File too large)" in capsys.readouterr().err
    assert [path.read_bytes() for path in out.iterdir()] == [whole]
    assert main(["other", "--mlruns", str(home), "--out", str(out)]) == 2
    assert "other" in capsys.readouterr().err

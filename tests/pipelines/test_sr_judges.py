"""A hundred random results before every judge; the full two thousand are `python -m pipelines sr-judges`."""

from __future__ import annotations

from pathlib import Path

import pytest

from medground.dicom.sr import SrKind
from pipelines.judges.random_results import random_case
from pipelines.judges.tally import Tally
from pipelines.sr_judges import judge_others, judge_reports, main

_ALL = pytest.mark.judge("dicom3tools", "libpixelmed-java", "default-jdk-headless", "nodejs", "npm")


@_ALL
@pytest.mark.slow
@pytest.mark.parametrize("kind", list(SrKind))
def test_no_judge_has_a_complaint(kind: SrKind, tmp_path: Path) -> None:
    """50 results as each kind of document, the ones without a box and with 200 among them."""
    indices = range(50) if kind == SrKind.COMPREHENSIVE else [0, *range(50, 99)]
    tally = Tally()
    judge_reports(kind, indices, 0, tmp_path, tally)
    assert tally.complaints == []
    judges = ("written", "dciodvfy", "pixelmed", "ohif", "read_sr")
    assert tally.judged == {(kind, judge): 50 for judge in judges}
    assert len(list(tmp_path.iterdir())) == 50
    assert tally.regions[kind] > tally.boxes[kind] > 200


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize("what", ["gsps", "seg"])
def test_the_other_objects(what: str, tmp_path: Path) -> None:
    tally = Tally()
    judge_others(what, range(20), 0, tmp_path, tally, keep=False)
    assert tally.complaints == []
    assert tally.judged[what, "dciodvfy"] == tally.files[what] > 10
    assert list(tmp_path.iterdir()) == []


@_ALL
def test_the_command_counts_and_keeps_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--count", "4", "--start", "2", "--kind", "comprehensive", "--keep", str(tmp_path / "kept")]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "1/1: comprehensive 2..3, 0 errors so far" in out
    table = [line.split() for line in out.splitlines()]
    assert ["comprehensive", "dciodvfy", "2", "0", "0"] in table
    assert ["comprehensive", "read_sr", "2", "0", "0"] in table
    boxes = sum(len(answer.findings) for index in (2, 3) for answer in random_case(0, index).study.answers)
    assert f"comprehensive: 2 files with {boxes} boxes, " in out
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "comprehensive-0-2.dcm",
        "comprehensive-0-3.dcm",
    ]


def test_the_command_refuses_other_objects(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--what", "sr,rtstruct"])
    assert "'sr,rtstruct' is none of sr, gsps, seg" in capsys.readouterr().err

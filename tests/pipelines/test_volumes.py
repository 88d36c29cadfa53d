"""Findings in three dimensions: scored by hand, and the job on one small CT."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medground.data.phantom.chest_ct import nodule_ct
from pipelines.volumes import Found, Scan, box_mm, interval, main, matched, off_mm, sensitivity


def scan(nodules: int, *found: Found) -> Scan:
    return Scan(0, 10, nodules, found, 1.0)


def test_sensitivity_by_hand() -> None:
    scans = [
        scan(2, Found(0.9, 0, 1.0), Found(0.8, 0, 2.0), Found(0.7, -1), Found(0.5, 1, 3.0)),
        scan(2, Found(0.85, -1), Found(0.6, -1), Found(0.4, 0, 5.0)),
    ]
    assert sensitivity(scans, 0) == 0.25  # one at 0.9, before the first false one
    assert sensitivity(scans, 1) == 0.25  # two false ones allowed: the third comes before the next nodule
    assert sensitivity(scans, 1.5) == 0.75
    assert sensitivity([scans[0]], 1) == 1.0
    twice = np.array([2, 0])
    assert sensitivity(scans, 1, twice) == sensitivity([scans[0]], 1)
    assert off_mm(scans) == [1.0, 3.0, 5.0]
    low, high = interval(scans, 1)
    assert 0 <= low <= 0.25 <= high <= 1
    assert sensitivity([scan(1, Found(0.5, 0), Found(0.5, -1))], 0) == 0.0  # equal scores stand or fall together
    assert np.isnan(sensitivity([scan(0)], 1))


def test_a_finding_is_of_the_nodule_that_holds_its_middle() -> None:
    nodules = [(0.0, 0.0, 0.0, 10.0, 10.0, 8.0), (20.0, 0.0, 0.0, 40.0, 20.0, 20.0)]
    assert matched((1.0, 1.0, 1.0, 11.0, 11.0, 9.0), 0.5, nodules) == Found(0.5, 0, 1.0)
    assert matched((25.0, 5.0, 5.0, 35.0, 15.0, 15.0), 0.5, nodules) == Found(0.5, 1, 5.0)
    assert matched((0.0, 0.0, 20.0, 10.0, 10.0, 28.0), 0.5, nodules) == Found(0.5, -1)
    assert matched((0.0, 0.0, 0.0, 1.0, 1.0, 1.0), 0.5, []) == Found(0.5, -1)


def test_a_nodule_lies_where_it_was_drawn() -> None:
    volume = nodule_ct(3, slices=60, size_px=192, count=2)
    for region in volume.regions3d:
        assert region.nodule is not None
        x1, y1, z1, x2, y2, z2 = box_mm(region, volume)
        assert (x1 + x2) / 2 == pytest.approx(10 * region.nodule.x, abs=region.nodule.diameter_mm / 2 + 2)
        assert (y1 + y2) / 2 == pytest.approx(10 * region.nodule.y, abs=region.nodule.diameter_mm / 2 + 2)
        height = len(volume.hu) * volume.spacing_mm[0]
        assert (z1 + z2) / 2 == pytest.approx(region.nodule.level * height, abs=region.nodule.diameter_mm / 2 + 4)


@pytest.mark.slow
def test_the_job_reads_a_ct_and_tells_time_and_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--count", "1", "--slices", "24", "--threads", "1", "--out", str(tmp_path)]
    assert main([*common, "--grow", "12"]) == 0
    text = capsys.readouterr().out
    assert text == (tmp_path / "volumes.md").read_text(encoding="utf-8") + "\n"
    assert "| 12 |" in text
    (told,) = json.loads((tmp_path / "scans.json").read_text(encoding="utf-8"))
    assert told["nodules"] >= 1
    assert all(found["nodule"] < told["nodules"] for found in told["found"])

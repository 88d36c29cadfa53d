"""The benchmark on tiny files: every receiver is measured in every case, and keeps what it was sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.dicom_receive import Images, main, measure
from benchmarks.dicom_receivers import CHUNKED, LONG, OURS, PLAIN, SHORT, UNSYNCHRONISED, receiver, receivers_here
from benchmarks.synthetic import write_ct


def test_every_case_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    sizes = ["--slices", "4", "--size", "128", "--films", "2", "--film-size", "200", "--associations", "2"]
    assert main([*sizes, "--idle", "2", "--idle-seconds", "0.2", "--repeat", "1", "--out", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert (figures["slices"], figures["associations"], figures["repeat"]) == (4, 2, 1)
    cases = {case["case"]: case for case in figures["cases"]}
    assert list(cases) == ["4 slices, 1 at once", "4 slices, 2 at once", "2 films, 1 at once", "idle, 2 associations"]
    names = set(receivers_here())
    assert names >= {OURS, UNSYNCHRONISED, SHORT, PLAIN, LONG, CHUNKED}
    for name, case in cases.items():
        assert set(case["seconds"]) == set(case["processor_seconds"]) == names
        assert set(case["ratios"]) == (set() if name.startswith("idle") else names - {OURS})
        for other, (median, low, high) in case["ratios"].items():
            assert low == median == high == case["seconds"][other][0] / case["seconds"][OURS][0]


def test_a_receiver_that_does_not_take_the_images_is_refused(tmp_path: Path) -> None:
    images = Images(tmp_path / "ct", lambda folder: write_ct(folder, "uncompressed", 2, 128))
    before = images.digests()
    assert len(before) == 2
    with receiver(OURS, tmp_path / "kept") as running:
        assert not images.renewed()[0].samefile(images.renewed()[1])
        assert not images.digests() & before
        measured = measure("case", [running], images, 1, 2)
        assert (len(measured.seconds[OURS]), measured.ratios) == (2, {})
        running.kept.rename(tmp_path / "elsewhere")
        with pytest.raises(ValueError, match="did not take 2 images"):
            measure("case", [running], images, 1, 1)

"""The benchmark on tiny files: every case is measured, and every reader reads the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.dicom_reading import OURS, main, measure


def test_every_case_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    arguments = ["--slices", "6", "--size", "64", "--film-size", "300", "--repeat", "1", "--out", str(out)]
    assert main(arguments) == 0
    figures = json.loads(out.read_text())
    assert (figures["slices"], figures["size"], figures["repeat"]) == (6, 64, 1)
    cases = {case["case"]: case for case in figures["cases"]}
    syntaxes = ("uncompressed", "jpeg-2000", "rle", "jpeg-ls")
    films = (*syntaxes, "jpeg-lossless")
    expected = {f"ct {syntax}" for syntax in syntaxes}
    expected |= {f"film {syntax}, {window} window" for syntax in films for window in ("with", "without")}
    assert set(cases) == expected
    for name, case in cases.items():
        others = {"pydicom"} if name.startswith("film") else {"MONAI PydicomReader", "SimpleITK ImageSeriesReader"}
        assert set(case["ratios"]) == others
        assert set(case["seconds"]) == {OURS, *others}
        for other in others:
            median, low, high = case["ratios"][other]
            assert low == median == high == case["seconds"][other][0] / case["seconds"][OURS][0]


def test_other_values_are_refused_and_rounds_alternate() -> None:
    calls: list[str] = []

    def reader(name: str, value: float):
        def read():
            calls.append(name)
            return np.full(3, value)

        return read

    measured = measure("case", {OURS: reader("a", 1), "other": reader("b", 2)}, 3, lambda values: values / 2)
    assert calls == ["a", "b", "a", "b", "b", "a", "a", "b"]  # a look at both, then the rounds
    low, high = measured.ratios["other"][1:]
    assert low <= measured.ratios["other"][0] <= high
    with pytest.raises(ValueError, match="reads other values"):
        measure("case", {OURS: reader("a", 1), "other": reader("b", 2)}, 1)

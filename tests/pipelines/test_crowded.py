"""Doubles and swallowed lesions, counted by hand; and the job on one film."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from medground.inference.sighting import Sighting
from pipelines.crowded import WAYS, count, main
from tests.inference.sightings import sighting


def at(x: float, score: float, concept: str = "nodule") -> Sighting:
    return replace(sighting((x, 0.0, x + 20.0, 20.0), score), concept=concept)


def test_what_is_left_is_counted_against_the_lesions() -> None:
    lesions = [(0.0, 0.0, 20.0, 20.0), (30.0, 0.0, 50.0, 20.0), (200.0, 0.0, 220.0, 20.0)]
    kept = [at(0, 0.9), at(2, 0.8, "mass"), at(30, 0.7), at(100, 0.6)]
    assert count(kept, kept, lesions) == (1, 0)  # the first lesion twice; the third was never seen
    assert count([kept[0], kept[3]], kept, lesions) == (0, 1)  # the second is gone
    assert count([], kept, lesions) == (0, 2)
    assert count(kept, kept, []) == (0, 0)


def test_every_way_gets_the_same_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "2", "--out", str(tmp_path), "--threads", "1"]) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [row[1].strip() for row in rows] == list(WAYS)
    shown = [int(row[5]) for row in rows]
    assert shown[0] == shown[1] <= shown[2]  # merging by meaning takes away what other names repeat
    assert (tmp_path / "crowded.md").is_file()

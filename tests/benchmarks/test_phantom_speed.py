from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.phantom_speed import main, measure


def test_films_a_second_are_counted_by_the_clock_that_is_given() -> None:
    made: list[int] = []
    ticks = iter([10.0, 12.0, 20.0, 21.0])
    speed = measure("x", lambda number, _: made.append(number), films=4, rounds=2, clock=lambda: next(ticks))
    assert speed.per_second == (2.0, 4.0)
    assert speed.median == 3.0
    assert made == [0, *range(4), *range(4)]  # the first warms up and does not count


def test_command_prints_and_writes_both_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "speed.json"
    assert main(["--films", "2", "--rounds", "1", "--size", "64", "--out", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    speeds = json.loads(out.read_text(encoding="utf-8"))["speeds"]
    assert [line.split()[0] for line in printed] == [speed["kind"] for speed in speeds] == ["population", "default"]
    for line, speed in zip(printed, speeds, strict=True):
        assert speed["films"] == 2
        assert f"{speed['per_second'][0]:.1f} films a second" in line

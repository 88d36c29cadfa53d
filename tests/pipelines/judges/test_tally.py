"""Files are counted once for each judge, complaints one by one."""

from __future__ import annotations

from pathlib import Path

from pipelines.judges.complaint import Complaint
from pipelines.judges.random_results import random_case
from pipelines.judges.tally import Tally


def test_table() -> None:
    tally = Tally()
    files = [Path("a.dcm"), Path("b.dcm")]
    studies = [random_case(0, index).study for index in (2, 3)]
    for study in studies:
        tally.count("sr", study)
    tally.count("gsps", studies[0], files=3)
    tally.add("sr", "first", files, [Complaint("first", files[0], "one"), Complaint("first", files[0], "two")])
    tally.add("sr", "second", files[:1], [])
    tally.add("gsps", "first", files, [Complaint("first", files[1], "three")])
    rows = [line.split() for line in tally.table().splitlines()]
    assert rows[1:4] == [
        ["sr", "first", "2", "1", "2"],
        ["sr", "second", "1", "0", "0"],
        ["gsps", "first", "2", "1", "1"],
    ]
    findings = [[finding for answer in study.answers for finding in answer.findings] for study in studies]
    regions = [sum(len(f.extent.slices) if f.extent else 1 for f in found) for found in findings]
    boxes = [len(found) for found in findings]
    assert tally.table().splitlines()[4:] == [
        f"sr: 2 files with {sum(boxes)} boxes, {sum(regions)} regions",
        f"gsps: 3 files with {boxes[0]} boxes, {regions[0]} regions",
    ]

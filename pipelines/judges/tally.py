"""What has been judged so far: files, boxes, and complaints by kind of object and judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medground.schema.result import StudyResult
from pipelines.judges.complaint import Complaint


@dataclass
class Tally:
    """Counts of one run.

    Attributes:
        files: by kind of object.
        boxes: findings in the results written, by kind of object.
        regions: rectangles, one for each slice of a finding through a volume, by kind of object.
        judged: files by kind of object and judge.
        complaints: with the kind of object, in order.
    """

    files: Counter[str] = field(default_factory=Counter)
    boxes: Counter[str] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)
    judged: Counter[tuple[str, str]] = field(default_factory=Counter)
    complaints: list[tuple[str, Complaint]] = field(default_factory=list)

    def count(self, what: str, study: StudyResult, files: int = 1) -> None:
        """Count a result written as so many files of one kind."""
        findings = [finding for answer in study.answers for finding in answer.findings]
        self.files[what] += files
        self.boxes[what] += len(findings)
        self.regions[what] += sum(len(finding.extent.slices) if finding.extent else 1 for finding in findings)

    def add(self, what: str, judge: str, files: Sequence[Path], complaints: Iterable[Complaint]) -> None:
        """Add what a judge said of files of one kind."""
        self.judged[what, judge] += len(files)
        self.complaints += [(what, complaint) for complaint in complaints]

    def table(self) -> str:
        """Each judge with the files it judged, those it complains about, and its complaints; then what was in them."""
        lines = [f"{'object':<16} {'judge':<9} {'files':>6} {'with errors':>11} {'errors':>6}"]
        for (what, judge), files in self.judged.items():
            own = [one.file for kind, one in self.complaints if (kind, one.judge) == (what, judge)]
            lines.append(f"{what:<16} {judge:<9} {files:>6} {len(set(own)):>11} {len(own):>6}")
        for what, files in self.files.items():
            lines.append(f"{what}: {files} files with {self.boxes[what]} boxes, {self.regions[what]} regions")
        return "\n".join(lines)

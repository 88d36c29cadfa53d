"""The report of a run: what was removed, by tag and number of times; no value, and no name of a source file."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from medground.dicom.deidentify.options import Options
from medground.schema.config import StrictConfig

REPORT = "deidentification_report.json"


class Outcome(StrEnum):
    """What became of a source file."""

    WRITTEN = "written"
    REFUSED = "refused"
    SKIPPED = "skipped"


class FileReport(StrictConfig):
    """One source file.

    Attributes:
        number: from 1, in the order of the sorted paths of the source; the path itself may name the patient.
        outcome: what became of it.
        reason: why it was refused or skipped.
        output: path below the output folder.
        sop_class: name of the kind of object.
        changed: action to tag to number of elements.
    """

    number: int
    outcome: Outcome
    reason: str | None = None
    output: str | None = None
    sop_class: str | None = None
    changed: dict[str, dict[str, int]] = Field(default_factory=dict)


class ScanReport(StrictConfig):
    """The second scan, which found nothing: a run in which it does is not published.

    Attributes:
        files: output files searched.
        patients: patients whose values were gathered.
        values: values searched, over all patients.
        too_short, ordinary: values not searched because they would be found anywhere.
    """

    files: int
    patients: int
    values: int
    too_short: int
    ordinary: int


class Report(StrictConfig):
    """A run. `profile_edition` is that of PS3.15; `key_kept` says whether the same pseudonyms can be made again."""

    schema_version: int = 1
    code_version: str
    profile_edition: str
    options: Options
    key_kept: bool
    files: tuple[FileReport, ...]
    scan: ScanReport

    def count(self, outcome: Outcome) -> int:
        """How many files came to that."""
        return sum(file.outcome is outcome for file in self.files)

    def changed(self) -> dict[str, dict[str, int]]:
        """Action to tag to number of elements, over all files."""
        total: dict[str, dict[str, int]] = {}
        for file in self.files:
            for action, tags in file.changed.items():
                into = total.setdefault(action, {})
                for tag, count in tags.items():
                    into[tag] = into.get(tag, 0) + count
        return total

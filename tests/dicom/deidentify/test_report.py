from __future__ import annotations

from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.report import FileReport, Outcome, Report, ScanReport


def test_counts_add_up_over_the_files() -> None:
    files = (
        FileReport(number=1, outcome=Outcome.WRITTEN, changed={"removed": {"(0010,1010)": 2, "private": 3}}),
        FileReport(
            number=2, outcome=Outcome.WRITTEN, changed={"removed": {"private": 4}, "emptied": {"(0008,0020)": 1}}
        ),
        FileReport(number=3, outcome=Outcome.REFUSED, reason="it says so"),
    )
    scan = ScanReport(files=2, patients=1, values=9, too_short=0, ordinary=0)
    report = Report(
        code_version="0", profile_edition="2026c", options=Options(), key_kept=False, files=files, scan=scan
    )
    assert [report.count(outcome) for outcome in Outcome] == [2, 1, 0]
    assert report.changed() == {"removed": {"(0010,1010)": 2, "private": 7}, "emptied": {"(0008,0020)": 1}}
    assert Report.model_validate_json(report.model_dump_json()) == report

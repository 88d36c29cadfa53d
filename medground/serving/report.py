"""The report of a study as a page for people: nothing on it that a result, a review or the header does not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from medground.inference.words import verdict_words, whereabouts
from medground.schema.result import Answer, GroundingResult
from medground.schema.vocabulary import Vocabulary
from medground.serving.reviews import FindingStatus, ReviewAction, ReviewedFinding, ReviewRow
from medground.serving.times import time_of
from medground.serving.worklist import ListedStudy

NOTICE = "Research software, not a medical device. No diagnosis rests on it without a physician."
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}td,th{border:1px solid #bbb;padding:.35em .6em;text-align:left;"
    "vertical-align:top}.rejected{text-decoration:line-through;color:#777}.unreviewed{background:#fff3cd}"
    ".notice{border:2px solid #b00;padding:.5em 1em}.origin{color:#666;font-size:85%}"
    "@page{margin:15mm}@media print{body{max-width:none;margin:0;padding:0}tr,h2,h3{break-inside:avoid}"
    "h2,h3{break-after:avoid}.unreviewed{print-color-adjust:exact;-webkit-print-color-adjust:exact}}"
)


@dataclass(frozen=True, slots=True)
class ReportedResult:
    """A result with its review."""

    result: GroundingResult
    findings: Sequence[ReviewedFinding]
    entries: tuple[ReviewRow, ...]
    created: datetime


def report_html(study: ListedStudy, parts: Sequence[ReportedResult], vocabulary: Vocabulary) -> str:
    """The page.

    Args:
        study: whose.
        parts: its results, newest first.
        vocabulary: names of the findings.
    """
    row = study.row
    head = _rows(
        ("Patient", row.patient_name.replace("^", " ")),
        ("Patient ID", row.patient_id),
        ("Study date", row.study_date),
        ("Accession number", row.accession_number),
        ("Description", row.description),
        ("Images", str(row.images)),
        ("Status", study.status.value.replace("_", " ")),
    )
    body = "".join(_result(part, vocabulary) for part in parts) or "<p>Nothing was asked of this study yet.</p>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Report</title><style>{_STYLE}</style>'
        "</head>"
        f'<body><p class="notice">{escape(NOTICE)}</p><h1>Report</h1><table>{head}</table>{body}</body></html>'
    )


def _result(part: ReportedResult, vocabulary: Vocabulary) -> str:
    model = part.result.model
    open_ones = sum(one.status is FindingStatus.UNREVIEWED for one in part.findings)
    signed = [entry for entry in part.entries if entry.entry.action is ReviewAction.SIGN]
    if signed:
        last = signed[-1]
        state = f"Signed by {last.reviewer_name}, {time_of(last.at_us):%Y-%m-%d %H:%M} UTC."
        if last is not part.entries[-1]:
            state += " Reviewed again since: what stands below is not what was signed."
    elif part.entries:
        state = "In review, not signed."
    else:
        state = "Not reviewed: everything below is the model's alone."
    if open_ones:
        state += f" {open_ones} finding(s) were not reviewed."
    by_id = {one.finding_id: one for one in part.findings}
    answers = "".join(_answer(answer, by_id, vocabulary) for study in part.result.studies for answer in study.answers)
    added = [one for one in part.findings if one.finding is None]
    return (
        f"<h2>{escape(model.name)} {escape(model.version)}, {part.created:%Y-%m-%d %H:%M} UTC</h2>"
        f"<p><strong>{escape(state)}</strong> Model {escape(model.sha256[:12])}.</p>"
        f"{answers}{_added(added, vocabulary)}"
    )


def _answer(answer: Answer, by_id: dict[str, ReviewedFinding], vocabulary: Vocabulary) -> str:
    warnings = "".join(f"<li>{escape(words)}</li>" for words in answer.warnings)
    numbered = enumerate(answer.findings, start=1)
    findings = "".join(_finding(number, by_id[one.id], vocabulary) for number, one in numbered)
    table = f"<table><tr><th>#<th>Finding<th>Review<th>Statements</tr>{findings}</table>" if findings else ""
    return (
        f"<h3>{escape(answer.query)}</h3><p>{escape(verdict_words(answer).capitalize())}.</p>"
        f"{table}{f'<ul>{warnings}</ul>' if warnings else ''}"
    )


def _finding(number: int, reviewed: ReviewedFinding, vocabulary: Vocabulary) -> str:
    finding = reviewed.finding
    if finding is None:
        return ""
    said = "<br>".join(
        f'{escape(one.text)} <span class="origin">({one.origin.value})</span>' for one in finding.description.statements
    )
    return (
        f'<tr class="{reviewed.status.value}"><td>{number}<td>{escape(finding.concept.name)}, score {finding.score:.2f}'
        f"<br>{escape(whereabouts(finding))}<td>{_review(reviewed, vocabulary)}<td>{said}</tr>"
    )


def _added(added: Sequence[ReviewedFinding], vocabulary: Vocabulary) -> str:
    rows = ""
    for one in added:
        if one.entry is not None and one.entry.concept is not None:
            name = vocabulary[one.entry.concept].name
            rows += f'<tr class="{one.status.value}"><td>{escape(name)}<td>{_review(one, vocabulary)}</tr>'
    return f"<h3>Added by the reviewer</h3><table><tr><th>Finding<th>Review</tr>{rows}</table>" if rows else ""


def _review(reviewed: ReviewedFinding, vocabulary: Vocabulary) -> str:
    entry = reviewed.entry
    words = reviewed.status.value
    if entry is None:
        return escape(words)
    if entry.reason is not None:
        words += f": {entry.reason.value.replace('_', ' ')}"
    if reviewed.finding is not None and entry.concept is not None:
        words += f". Corrected to {vocabulary[entry.concept].name}"
    if reviewed.finding is not None and entry.box_xyxy_px is not None:
        words += f". Corrected to the box {', '.join(f'{edge:.0f}' for edge in entry.box_xyxy_px)}"
    if entry.text:
        words += f". {entry.text}"
    if entry.statements:
        words += f". {' '.join(entry.statements)}"
    return escape(words)


def _rows(*pairs: tuple[str, str]) -> str:
    return "".join(f"<tr><th>{escape(name)}<td>{escape(value)}</tr>" for name, value in pairs if value)

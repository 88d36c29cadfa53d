"""The answers as tables for people, one per study."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medground.inference.words import whereabouts
from medground.schema.result import Answer, GroundingResult, StudyResult, Verdict

MAX_FINDINGS = 5
_STYLES = {
    Verdict.FOUND: "bold yellow",
    Verdict.NOT_FOUND: "green",
    Verdict.UNCERTAIN: "magenta",
    Verdict.UNSUPPORTED: "dim",
}


def print_answers(result: GroundingResult, console: Console) -> None:
    """Print one table per study with a row per question: verdict, presence, and the best findings.

    Args:
        result: what to show.
        console: writes to stdout.
    """
    for number, study in enumerate(result.studies, start=1):
        table = Table(title=escape(f"Study {number}: {_sources(study)}"), title_justify="left", show_lines=True)
        table.add_column("question", max_width=30, overflow="fold")
        table.add_column("answer", no_wrap=True)
        table.add_column("presence", justify="right")
        table.add_column("findings", overflow="fold")
        for answer in study.answers:
            verdict = f"[{_STYLES[answer.verdict]}]{answer.verdict.value.replace('_', ' ')}[/]"
            presence = "" if answer.presence is None else f"{answer.presence:.2f}"
            table.add_row(escape(answer.query), verdict, presence, escape(_findings(answer)))
        if study.warnings:
            table.caption = escape("\n".join(study.warnings))
        console.print(table)


def _sources(study: StudyResult) -> str:
    more = f" and {len(study.sources) - 1} more" if len(study.sources) > 1 else ""
    return f"{study.sources[0]}{more}"


def _findings(answer: Answer) -> str:
    lines = []
    for rank, finding in enumerate(answer.findings[:MAX_FINDINGS], start=1):
        place = whereabouts(finding)
        lines.append(f"{rank}. {finding.concept.name} {finding.score:.2f}{', ' if place else ''}{place}")
    if len(answer.findings) > MAX_FINDINGS:
        lines.append(f"and {len(answer.findings) - MAX_FINDINGS} more")
    return "\n".join([*lines, *(f"({warning})" for warning in answer.warnings)])

"""The page of drift: what is out of the ordinary first, then each finding with its weeks; it needs no other file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources

from medground.cards.drift import (
    LEAST_REVIEWED,
    LEAST_SCORES,
    PSI_ALARM,
    ConceptDrift,
    Drift,
    ReviewOutcome,
    Week,
)
from medground.cards.rounding import shown

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_WIDTH, _HEIGHT, _LEFT, _TOP, _BELOW = 620.0, 120.0, 44.0, 24.0, 22.0
_MOST_PSI = 1.0  # of the plot; what lies above is drawn at its top
_HEADS = ("week from", "boxes", "stability index", "accepted", "edited", "rejected", "added", "acceptance")


def drift_page(drift: Drift, *, made_at: str) -> str:
    """Write the page.

    Args:
        drift: of one model and one tenant.
        made_at: when it was asked for, in words.

    Returns:
        HTML.
    """
    style = (resources.files("medground.cards") / "page.css").read_text(encoding="utf-8")
    more = ", and there are older ones" if drift.left_out else ""
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>Drift of the model</title>",
        f"<style>\n{style}</style>",
        "</head>",
        "<body>",
        "<main>",
        "<h1>Drift of the model</h1>",
        f"<p>Model {escape(drift.model[:12])}, {shown(drift.results)} results{more}; {escape(made_at)}.</p>",
        *_alarms(drift),
        *_rules(drift),
        *(line for concept in drift.concepts for line in _concept(concept)),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _alarms(drift: Drift) -> Iterator[str]:
    yield "<h2>Out of the ordinary</h2>"
    if not drift.alarms:
        yield "<p>Nothing, by the rules below.</p>"
        return
    for alarm in drift.alarms:
        yield f'<p class="loud">Week from {escape(alarm.monday)}: {escape(alarm.words)}</p>'


def _rules(drift: Drift) -> Iterator[str]:
    yield "<h2>How this is computed</h2>"
    yield "<ul>"
    if not drift.has_card:
        yield "<li>The model has no verified card, so there is nothing to compare scores with.</li>"
    yield (
        f"<li>Scores of {shown(drift.least_score)} and more, in {len(drift.edges) - 1} equal bins, are compared with "
        f"the evaluation on the card by the population stability index. An alarm is an index of {shown(PSI_ALARM)} or "
        f"more that chance gives less than once in a thousand times, with {LEAST_SCORES} boxes or more on both sides. "
        "Other questions, other patients and another share of the sick move it as well as a worse model.</li>"
    )
    yield (
        "<li>Acceptance is what was accepted as it was, of all that was accepted, edited or rejected, with Wilson's "
        f"interval of 95%. An alarm is a week whose interval of 99.9% lies wholly below that of all weeks before, with "
        f"{LEAST_REVIEWED} findings or more on both sides.</li>"
    )
    yield "<li>A week is that of the answer, from Monday, UTC. Added: what reviewers drew that was not found.</li>"
    yield "</ul>"


def _concept(one: ConceptDrift) -> Iterator[str]:
    yield f"<h2>{escape(one.name)}</h2>"
    yield _plot(f"Acceptance of {one.name} by week", one.weeks, [*_acceptance(one.weeks)])
    if any(week.psi is not None for week in one.weeks):
        yield _plot(f"Stability index of the scores of {one.name} by week", one.weeks, [*_stability(one.weeks)])
    yield '<div class="wide"><table>'
    yield f"<thead><tr>{''.join(f'<th>{head}</th>' for head in _HEADS)}</tr></thead><tbody>"
    yield from (_row(week) for week in one.weeks)
    yield "</tbody></table></div>"


def _row(week: Week) -> str:
    rate = week.acceptance
    told = "–" if rate is None else f"{shown(rate.value)} [{shown(rate.low)}, {shown(rate.high)}], n = {shown(rate.n)}"
    counts = (ReviewOutcome.ACCEPTED, ReviewOutcome.EDITED, ReviewOutcome.REJECTED, ReviewOutcome.ADDED)
    cells = (week.monday, shown(week.n), shown(week.psi), *(shown(week.outcomes[one]) for one in counts), told)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _acceptance(weeks: Sequence[Week]) -> Iterator[str]:
    yield from _scale(((0.0, "0"), (0.5, "0.5"), (1.0, "1")))
    for number, week in enumerate(weeks):
        if week.acceptance is not None:
            x = _at(number, len(weeks))
            yield _line(x, _up(week.acceptance.low), x, _up(week.acceptance.high), "bar")
            yield f'<circle class="dot" cx="{x:.1f}" cy="{_up(week.acceptance.value):.1f}" r="4"/>'


def _stability(weeks: Sequence[Week]) -> Iterator[str]:
    yield from _scale(((0.0, "0"), (0.5, "0.5"), (1.0, "≥ 1")))
    yield _line(_LEFT, _up(PSI_ALARM), _WIDTH, _up(PSI_ALARM), "ideal")
    for number, week in enumerate(weeks):
        if week.psi is not None:
            x, y = _at(number, len(weeks)), _up(min(week.psi / _MOST_PSI, 1.0))
            yield f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'


def _scale(ticks: Sequence[tuple[float, str]]) -> Iterator[str]:
    for share, words in ticks:
        yield _line(_LEFT, _up(share), _WIDTH, _up(share), "line")
        yield f'<text class="label" x="{_LEFT - 6:.1f}" y="{_up(share) + 4:.1f}" text-anchor="end">{words}</text>'


def _plot(title: str, weeks: Sequence[Week], parts: Sequence[str]) -> str:
    height = _TOP + _HEIGHT + _BELOW
    ends = ((0, "start"), (len(weeks) - 1, "end")) if len(weeks) > 1 else ((0, "middle"),)
    dates = (
        f'<text class="label" x="{_at(number, len(weeks)):.1f}" y="{height - 5:.1f}" text-anchor="{anchor}">'
        f"{escape(weeks[number].monday)}</text>"
        for number, anchor in ends
    )
    head = f'<text class="head" x="{_LEFT:.1f}" y="14">{escape(title)}</text>'
    size = f'viewBox="0 0 {_WIDTH + 10:.0f} {height:.0f}" width="{_WIDTH + 10:.0f}" height="{height:.0f}"'
    return f'<svg role="img" aria-label="{escape(title)}" {size}>{head}{"".join([*parts, *dates])}</svg>'


def _at(number: int, weeks: int) -> float:
    span = _WIDTH - _LEFT - 20
    return _LEFT + 10 + (span / 2 if weeks == 1 else span * number / (weeks - 1))


def _up(share: float) -> float:
    return _TOP + _HEIGHT * (1 - share)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'

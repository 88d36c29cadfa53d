"""The plots of a card as SVG that stands in a page: drawn from the facts, the same bytes for the same numbers.

Colours are variables of the page (`--ink`, `--soft`, `--line`, `--accent`), so a plot is read in light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from medground.cards.blocks import Drawn
from medground.cards.results import ConceptResult, Evaluation
from medground.cards.rounding import shown
from medground.evaluation.bootstrap import Interval
from medground.evaluation.calibration import ReliabilityBin

TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_ROW, _LABELS, _BAR, _FIGURES = 22, 190, 380, 150
_SMALL_WIDTH, _SMALL_HEIGHT, _ACROSS = 184, 134, 5
_SIDE = 300


def plot_of(kind: Drawn, one: Evaluation) -> str:
    """A plot of an evaluation.

    Args:
        kind: which.
        one: the evaluation.

    Returns:
        An `svg` element, or nothing where there is nothing to draw.
    """
    if kind is Drawn.PRECISION:
        rows = [(row.name, row.ap50) for row in one.concepts if row.ap50]
        return _precision(rows, one) if rows else ""
    if kind is Drawn.FROC:
        curves = [row for row in one.concepts if row.froc]
        return _froc(curves, one) if curves else ""
    return _calibration(one.calibration.bins, one) if one.calibration else ""


def _precision(rows: Sequence[tuple[str, Interval | None]], one: Evaluation) -> str:
    """A line a finding: the interval as a bar, the value as a dot."""
    rows = [*rows, ("mean", one.mean_ap50)] if one.mean_ap50 else rows
    height = _ROW * (len(rows) + 1)
    parts = [
        _line(_at(tick), 0, _at(tick), height - _ROW, "line")
        + _text(_at(tick), height - 6, shown(tick, "setting"), "middle")
        for tick in TICKS
    ]
    for number, (name, figure) in enumerate(rows):
        if figure is None:
            continue
        y = _ROW * number + _ROW / 2
        parts += [
            _text(_LABELS - 12, y + 4, name, "end"),
            _line(_at(figure.low), y, _at(figure.high), y, "bar"),
            f'<circle class="dot" cx="{_at(figure.value):.1f}" cy="{y:.1f}" r="4.5"/>',
            _text(_LABELS + _BAR + 14, y + 4, f"{shown(figure.value)} (n {shown(figure.n_boxes)})", "start"),
        ]
    return _svg(_LABELS + _BAR + _FIGURES, height, f"Average precision by finding, {one.data}", parts)


def _at(share: float) -> float:
    return _LABELS + _BAR * share


def _froc(rows: Sequence[ConceptResult], one: Evaluation) -> str:
    """A small plot a finding: sensitivity over the allowances, which double from one to the next."""
    down = math.ceil(len(rows) / _ACROSS)
    parts = [
        f'<g transform="translate({number % _ACROSS * _SMALL_WIDTH} {number // _ACROSS * _SMALL_HEIGHT})">'
        f"{''.join(_small(row))}</g>"
        for number, row in enumerate(rows)
    ]
    return _svg(min(_ACROSS, len(rows)) * _SMALL_WIDTH, down * _SMALL_HEIGHT, f"FROC by finding, {one.data}", parts)


def _small(row: ConceptResult) -> Iterator[str]:
    if row.froc is None:
        return
    left, top, width, height = 30.0, 22.0, _SMALL_WIDTH - 42.0, _SMALL_HEIGHT - 48.0
    points = row.froc.points
    steps = max(len(points) - 1, 1)
    xs = [left + width * number / steps for number in range(len(points))]
    ys = [top + height * (1 - point.sensitivity) for point in points]
    yield _text(left, 14, row.name, "start", "head")
    for tick in (0.0, 0.5, 1.0):
        y = top + height * (1 - tick)
        yield _line(left, y, left + width, y, "line") + _text(left - 5, y + 4, shown(tick, "setting"), "end")
    for x, point in ((xs[0], points[0]), (xs[-1], points[-1])):
        yield _text(x, top + height + 18, shown(point.fp_per_image, "setting"), "middle")
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    yield f'<polyline class="curve" points="{path}"/>'
    yield from (f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in zip(xs, ys, strict=True))


def _calibration(bins: Sequence[ReliabilityBin], one: Evaluation) -> str:
    """A dot a bin, its area after the number of answers; on the line a probability means what it says."""
    left, top = 44.0, 12.0
    most = max((each.n for each in bins), default=0) or 1
    parts = [_line(left, top + _SIDE, left + _SIDE, top, "ideal")]
    for tick in TICKS:
        x, y = left + _SIDE * tick, top + _SIDE * (1 - tick)
        parts += [
            _line(left, y, left + _SIDE, y, "line"),
            _text(left - 7, y + 4, shown(tick, "setting"), "end"),
            _text(x, top + _SIDE + 18, shown(tick, "setting"), "middle"),
        ]
    for each in bins:
        if each.mean_probability is not None and each.observed is not None:
            x, y = left + _SIDE * each.mean_probability, top + _SIDE * (1 - each.observed)
            radius = 2.5 + 11 * math.sqrt(each.n / most)
            parts.append(f'<circle class="bin" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')
    parts.append(_text(left + _SIDE / 2, top + _SIDE + 38, "stated probability", "middle"))
    parts.append(_text(left + 8, top + 14, "share that was there", "start"))
    return _svg(left + _SIDE + 20, top + _SIDE + 48, f"Calibration of presence, {one.data}", parts)


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg role="img" aria-label="{escape(label)}" {size}>{"".join(parts)}</svg>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'

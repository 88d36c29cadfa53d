"""What is told of the steps of a Qwen-VL model: a row to each mode, and the rows as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

GIB = 2**30
MEASURED, SHORT, FAILED = "measured", "out of memory", "failed"


@dataclass(frozen=True, slots=True)
class Row:
    """What was found of a mode.

    Attributes:
        mode: of the towers.
        parameters, trained: numbers in all, and those that the stage opens.
        least_bytes: of the weights, their running average, and of what is open a gradient, both moments of the
            optimiser, an anchor and its Fisher information; activations come on top.
        outcome: `measured`, `out of memory` or `failed`; `counted` if it was not to be measured.
        why: what was said, unless it was measured.
        training_peak_bytes, answering_peak_bytes: largest memory of the device that tensors took at a time; on a CPU
            the largest resident set of the process up to then.
        step_seconds: of each timed step: forward, losses, backward, optimiser and average; waiting for images is not
            in it.
        answer_seconds: of one film.
        described: boxes that something was said of in it.
    """

    mode: str
    parameters: int
    trained: int
    least_bytes: int
    outcome: str = "counted"
    why: str = ""
    training_peak_bytes: int = 0
    answering_peak_bytes: int = 0
    step_seconds: tuple[float, ...] = ()
    answer_seconds: float = 0.0
    described: int = 0


def table(rows: Sequence[Row], batch: int) -> str:
    """The rows as a Markdown table.

    Args:
        rows: one to a mode.
        batch: images in a step.
    """
    lines = [
        "| mode | parameters | trained | needs at least | peak, training | peak, answering | s a step | s an image "
        "| s an answer |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        counts = f"| {row.mode} | {row.parameters / 1e6:,.2f}M | {row.trained / 1e6:,.2f}M | {_size(row.least_bytes)}"
        if row.outcome == MEASURED:
            peaks = f"{_size(row.training_peak_bytes)} | {_size(row.answering_peak_bytes)}"
            images = [seconds / batch for seconds in row.step_seconds]
            cells = f"{peaks} | {_spread(row.step_seconds)} | {_spread(images)} | {row.answer_seconds:.3g}"
        else:
            cells = f"{row.outcome}{': ' if row.why else ''}{row.why.replace('|', '/')} | | | |"
        lines.append(f"{counts} | {cells} |")
    return "\n".join(lines)


def _size(count: int) -> str:
    return f"{count / GIB:.2f} GiB"


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"

"""Precision-recall and FROC curves of a scene, as pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas

from medground.evaluation.detection import Detection, Floats, ImageTruth, match
from medground.evaluation.files import replace_file
from medground.evaluation.froc import FP_PER_IMAGE

Curve = tuple[Floats, Floats]


def precision_recall(images: Sequence[ImageTruth], detections: Sequence[Detection], concept: str) -> Curve | None:
    """Recall and precision after each detection, best score first; None without truth."""
    matches = match(images, detections, concept)
    truths = matches.truths_P.sum()
    if not truths:
        return None
    true_D = np.cumsum(matches.hit_D).astype(np.float64)
    return true_D / truths, true_D / np.arange(1, len(true_D) + 1)


def froc_curve(images: Sequence[ImageTruth], detections: Sequence[Detection], concept: str) -> Curve | None:
    """False positives an exhaustive image and sensitivity after each detection; None where they cannot be known."""
    matches = match(images, detections, concept)
    truths = matches.truths_P.sum()
    if not (truths and matches.n_exhaustive):
        return None
    false_D = np.cumsum(~matches.hit_D & matches.exhaustive_D)
    return false_D / matches.n_exhaustive, np.cumsum(matches.hit_D) / truths


def draw(curves: Mapping[str, Curve], path: Path, *, across: str, up: str, false_positives: bool = False) -> None:
    """Draws named curves into one PNG; of false positives on the axis of the LUNA16 allowances.

    Raises:
        UsageError: if it cannot be written; it is not there in part.
    """
    canvas = Canvas(figsize=(9, 6), layout="constrained")
    axes = canvas.subplots()
    for number, (name, (x, y)) in enumerate(curves.items()):
        axes.step(x, y, where="post", label=name, linestyle=("-", "--", ":")[number // 10 % 3])
    if false_positives:
        axes.set_xscale("log", base=2)
        axes.set_xlim(FP_PER_IMAGE[0], FP_PER_IMAGE[-1])
    axes.set(xlabel=across, ylabel=up, ylim=(0, 1.02))
    if curves:
        canvas.legend(fontsize="small", loc="outside right upper")  # the best place inside takes seconds to find
    picture = io.BytesIO()
    canvas.savefig(picture, format="png", dpi=100)
    replace_file(path, picture.getvalue())

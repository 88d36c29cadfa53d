"""Fits on development images what the network alone does not know: probabilities and typicality.

Legend: R images, C feature width, M kinds of image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.data.box_utils import box_iou
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from medground.model.calibration import Calibration, Curve
from medground.model.familiarity import Familiarity
from medground.schema.anatomy import DOMAINS, Domain

ENOUGH = 12  # positives and negatives that a curve of its own needs
BOXES_PER_READING = 20


@dataclass(frozen=True, slots=True)
class Reading:
    """One phrase on one development image.

    Attributes:
        concept, domain: what was asked, on what kind of image.
        real: False for a phantom.
        present: whether it is there; None where that is not known.
        presence_logit: of the network.
        logits: score of each box, best first.
        hits: per box, 1 = matches a true box (IoU >= 0.5), 0 = does not, -1 = not to be judged.
    """

    concept: str
    domain: Domain
    real: bool
    present: bool | None
    presence_logit: float
    logits: tuple[float, ...]
    hits: tuple[int, ...]


def hits_of(boxes_N4: Tensor, truth_G4: Tensor, *, exhaustive: bool) -> tuple[int, ...]:
    """Greedy matching in score order, as COCO does: each true box is hit once.

    Args:
        boxes_N4: best first, xyxy pixels.
        truth_G4: true boxes in the same frame.
        exhaustive: whether an unmatched box is a miss (0) or not to be judged (-1).
    """
    free = torch.ones(len(truth_G4), dtype=torch.bool)
    overlap = box_iou(boxes_N4.double(), truth_G4.double()) if len(boxes_N4) and len(truth_G4) else None
    out = []
    for row in range(len(boxes_N4)):
        values = torch.where(free, overlap[row], -1.0) if overlap is not None else torch.zeros(0)
        best = int(values.argmax()) if len(values) else -1
        if best >= 0 and float(values[best]) >= 0.5:
            free[best] = False
            out.append(1)
        else:
            out.append(0 if exhaustive else -1)
    return tuple(out)


def fit_calibration(readings: Sequence[Reading]) -> Calibration:
    """Curves per concept and kind of image, per kind of image, and in common.

    Real and synthetic readings of one curve weigh the same in sum, so that neither drowns the other.
    """
    box: dict[str, list[tuple[tuple[float, ...], int, bool]]] = {}
    presence: dict[str, list[tuple[tuple[float, ...], int, bool]]] = {}
    for reading in readings:
        keys = ("", reading.domain.value, f"{reading.domain.value}/{reading.concept}")
        best = reading.logits[0] if reading.logits else -9.0
        for key in keys:
            if reading.present is not None:
                presence.setdefault(key, []).append(
                    ((reading.presence_logit, best), int(reading.present), reading.real)
                )
            for logit, hit in zip(reading.logits[:BOXES_PER_READING], reading.hits, strict=False):
                if hit >= 0:
                    box.setdefault(key, []).append(((logit,), hit, reading.real))
    return Calibration(box=_curves(box), presence=_curves(presence))


def fit_close(readings: Sequence[Reading]) -> dict[str, Curve]:
    """Curves of boxes found on crops at full resolution; see `fit_calibration`."""
    return fit_calibration(readings).box


def _curves(rows: dict[str, list[tuple[tuple[float, ...], int, bool]]]) -> dict[str, Curve]:
    curves = {}
    for key, items in rows.items():
        positives = sum(hit for _, hit, _ in items)
        negatives = len(items) - positives
        if key == "" or min(positives, negatives) >= ENOUGH:
            curves[key] = _curve(items, positives, negatives)
    return curves


def _curve(items: list[tuple[tuple[float, ...], int, bool]], positives: int, negatives: int) -> Curve:
    logits = np.array([row[0] for row in items])
    hits = np.array([row[1] for row in items])
    real = np.array([row[2] for row in items])
    if min(positives, negatives) == 0:
        weights = (1.0,) + (0.0,) * (logits.shape[1] - 1)
        return Curve(weights=weights, offset=0.0, positives=positives, negatives=negatives)
    share = np.where(real, 1 / max(real.sum(), 1), 1 / max((~real).sum(), 1))
    fit = LogisticRegression(C=10.0, max_iter=1000).fit(logits, hits, sample_weight=share / share.mean())
    slope = np.maximum(fit.coef_[0], 0.0)  # a score that rises must never lower the probability
    if not np.array_equal(slope, fit.coef_[0]):
        kept = slope > 0
        fit = LogisticRegression(C=10.0, max_iter=1000).fit(logits * kept, hits, sample_weight=share / share.mean())
        slope = np.maximum(fit.coef_[0], 0.0) * kept
    return Curve(
        weights=tuple(float(x) for x in slope),
        offset=float(fit.intercept_[0]),
        positives=positives,
        negatives=negatives,
    )


def fit_familiarity(
    train: Iterable[tuple[Domain, NDArray[np.float32]]], development: Iterable[tuple[Domain, NDArray[np.float32]]]
) -> Familiarity:
    """A Gaussian with Ledoit-Wolf covariance per kind of image, and the distances of development images.

    Raises:
        ValueError: if there is no image at all.
    """
    vectors = _by_domain(train)
    yardstick = _by_domain(development)
    if not vectors:
        raise ValueError("familiarity needs at least one training image")
    width = len(next(iter(vectors.values()))[0])
    means, precisions = torch.zeros(len(DOMAINS), width), torch.zeros(len(DOMAINS), width, width)
    for domain, rows in vectors.items():
        fit = LedoitWolf().fit(np.stack(rows))
        means[DOMAINS.index(domain)] = torch.from_numpy(fit.location_).float()
        precisions[DOMAINS.index(domain)] = torch.from_numpy(fit.precision_).float()
    empty = Familiarity(means, precisions, torch.full((len(DOMAINS), 1), torch.inf))
    longest = max((len(rows) for rows in yardstick.values()), default=0)
    distances = torch.full((len(DOMAINS), max(longest, 1)), torch.inf)
    for domain, rows in yardstick.items():
        index = DOMAINS.index(domain)
        values = sorted(empty.distance(torch.from_numpy(row), index) for row in rows)
        distances[index, : len(values)] = torch.tensor(values)
    return Familiarity(means, precisions, distances)


def _by_domain(pairs: Iterable[tuple[Domain, NDArray[np.float32]]]) -> dict[Domain, list[NDArray[np.float32]]]:
    out: dict[Domain, list[NDArray[np.float32]]] = {}
    for domain, vector in pairs:
        out.setdefault(domain, []).append(vector)
    return out

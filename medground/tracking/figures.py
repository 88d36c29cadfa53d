"""Names of measured figures, the same in every run, each kept with its interval and the size of the data behind it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from pydantic import Field, model_validator

from medground.schema.config import StrictConfig

LOW, HIGH, COUNT = "low", "high", "n"
MEAN, ALL = "mean", "all"  # in the place of a concept: over the concepts, over all questions
# Of the boxes in one of COCO's size ranges: the mean over the concepts that have such boxes.
AP50_SMALL, AP50_MEDIUM, AP50_LARGE = "ap50/small", "ap50/medium", "ap50/large"
ABSENT_ERROR = "absent_error"
_RESERVED = {LOW, HIGH, COUNT, "rare"}
_NAME = re.compile(r"(?:ap50/rare|ap50|ap|froc|false_on_normal|ece|auroc)/([a-z][a-z0-9_]*)")


def ap50(concept: str) -> str:
    """Average precision at an overlap of 0.5."""
    return f"ap50/{concept}"


def ap(concept: str) -> str:
    """Average precision over the overlaps 0.5 to 0.95, as COCO defines it."""
    return f"ap/{concept}"


def ap50_rare(concept: str) -> str:
    """AP at 0.5 again, of concepts that are rare in training."""
    return f"ap50/rare/{concept}"


def froc(concept: str) -> str:
    """Mean sensitivity at 1/8 to 8 false positives an image."""
    return f"froc/{concept}"


def false_on_normal(concept: str) -> str:
    """Boxes on an image without the finding, at the score where half of the findings are found."""
    return f"false_on_normal/{concept}"


def ece(concept: str) -> str:
    """Expected calibration error of the presence probability."""
    return f"ece/{concept}"


def auroc(concept: str) -> str:
    """How well the presence probability sets images with the finding apart from images without."""
    return f"auroc/{concept}"


class Figure(StrictConfig):
    """One measured number.

    Attributes:
        name: of a family of this module, such as `ap50/nodule`.
        value: on the data as they are.
        low, high: limits of the 95% bootstrap interval; both None where it was not computed.
        n: labelled boxes behind it, or questions where it is about answers.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int = Field(ge=0)

    @model_validator(mode="after")
    def _is_named_and_finite(self) -> Figure:
        if not _is_named(self.name):
            raise ValueError(f"{self.name!r} is no name of a figure; make it by medground.tracking.figures")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{self.name} needs both limits or none, got {self.low} and {self.high}")
        numbers = [x for x in (self.low, self.value, self.high) if x is not None]
        if not all(map(math.isfinite, numbers)) or numbers[0] > numbers[-1]:
            raise ValueError(f"{self.name} needs finite numbers with low <= high, got {numbers}")
        return self


def as_metrics(figures: Iterable[Figure]) -> dict[str, float]:
    """Figures as MLflow's plain numbers: `NAME`, `NAME/low`, `NAME/high` and `NAME/n`."""
    out: dict[str, float] = {}
    for figure in figures:
        out[figure.name] = figure.value
        if figure.low is not None and figure.high is not None:
            out[f"{figure.name}/{LOW}"], out[f"{figure.name}/{HIGH}"] = figure.low, figure.high
        out[f"{figure.name}/{COUNT}"] = figure.n
    return out


def from_metrics(metrics: Mapping[str, float]) -> list[Figure]:
    """The figures among MLflow's plain numbers, as `as_metrics` wrote them; other numbers are passed over."""
    out = []
    for name, value in metrics.items():
        count = metrics.get(f"{name}/{COUNT}")
        if _is_named(name) and count is not None:
            low, high = metrics.get(f"{name}/{LOW}"), metrics.get(f"{name}/{HIGH}")
            out.append(Figure(name=name, value=value, low=low, high=high, n=int(count)))
    return out


def _is_named(name: str) -> bool:
    known = _NAME.fullmatch(name)
    return name == ABSENT_ERROR or (known is not None and known[1] not in _RESERVED)

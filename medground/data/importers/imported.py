"""What an importer gives back: the records, and an account of everything it rejected, repaired or found doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from medground.schema.box import Box
from medground.schema.record import ImageRecord

Action = Literal["rejected", "repaired", "kept"]


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong or doubtful in the source.

    Attributes:
        record_id: the image it stands in; a file name where no record came of it.
        kind: short stable word for counting, e.g. `truncated_image`, `degenerate_box`.
        detail: the value found, for a person.
        action: `rejected` (left out of the records), `repaired` (changed) or `kept` (as published).
    """

    record_id: str
    kind: str
    detail: str
    action: Action


@dataclass(frozen=True, slots=True)
class Import:
    """The records of a data set and every issue met on the way, in the order of the source."""

    records: tuple[ImageRecord, ...]
    issues: tuple[Issue, ...]

    def count(self, kind: str) -> int:
        """Number of issues of that kind."""
        return sum(issue.kind == kind for issue in self.issues)


class Importer(Protocol):
    """Reads one published layout from a folder."""

    name: str

    def __call__(self, source: Path) -> Import:
        """Read the data set in the folder `source`.

        Raises:
            InputNotFoundError: if the folder or its annotations are absent.
            DataSetError: if the annotations do not have the published form.
        """
        ...


def bounded_box(
    xyxy_px: tuple[float, float, float, float], columns: int, rows: int, record_id: str
) -> tuple[Box | None, Issue | None]:
    """Turn four published numbers into a box inside the image, or into the reason why there is none.

    Args:
        xyxy_px: corners as published, pixels.
        columns: width of the frame that the corners are in, pixels.
        rows: height of that frame, pixels.
        record_id: the image, for the issue.

    Returns:
        The box, cut at the image edge where it reached over it, and the issue if there is one. The box is None where
        it has no area, or lies outside the image altogether.
    """
    x1, y1, x2, y2 = xyxy_px
    if not (x1 < x2 and y1 < y2):  # also refuses NaN
        return None, Issue(record_id, "degenerate_box", f"{xyxy_px} has no area", "rejected")
    cut = (max(x1, 0.0), max(y1, 0.0), min(x2, float(columns)), min(y2, float(rows)))
    if not (cut[0] < cut[2] and cut[1] < cut[3]):
        return None, Issue(record_id, "outside_box", f"{xyxy_px} lies outside {columns}x{rows}", "rejected")
    box = Box(x1=cut[0], y1=cut[1], x2=cut[2], y2=cut[3])
    if cut != (x1, y1, x2, y2):
        return box, Issue(record_id, "overhanging_box", f"{xyxy_px} cut at the edge of {columns}x{rows}", "repaired")
    return box, None
